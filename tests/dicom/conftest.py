"""The small oblique CT that the DICOM tests write, and the headers of its reference."""

import pytest
from made_dicom import hounsfield, oblique_image, reference_headers


@pytest.fixture
def image():
    return oblique_image(hounsfield())


@pytest.fixture
def headers(image):
    return reference_headers(image)
