"""A head is not taken for a chest or a breast without a word, and no real image is warned of in its own domain."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsynth import domains
from medsynth.images.appearance import appearance, unlike

SIDE = 200
ROW, COLUMN = np.indices((SIDE, SIDE))
REAL = Path(os.environ.get("MEDSYNTH_SHARED_DATA", "no such folder"))


def head():
    """A bright skull around gray tissue, as a brain window shows it."""
    reach = np.hypot((ROW - 100) / 95, (COLUMN - 100) / 78)
    return np.select([reach < 0.88, reach < 1], [110, 255], 0).astype(np.float32)


def breast():
    """Half an ellipse on the right-hand edge, brightest there."""
    reach = np.hypot((ROW - 100) / 90, (COLUMN - 199) / 110)
    return np.where(reach < 1, 70 + 110 * (1 - reach), 0).astype(np.float32)


@pytest.mark.parametrize(
    ("image", "home", "elsewhere"),
    [
        (head, "brain_ct", ("mammography", "brain_mri")),
        (breast, "mammography", ("chest_xray", "brain_ct", "brain_mri")),
    ],
)
def test_an_image_is_at_home_in_one_domain(image, home, elsewhere):
    assert unlike(image(), domains.get(home)) is None
    for name in elsewhere:
        warning = unlike(image(), domains.get(name))
        assert f"does not look like the images of {domains.get(name).title}" in warning
        assert domains.get(home).title in warning


def test_dark_margins_and_size_do_not_matter():
    framed = np.pad(head(), ((60, 60), (10, 90)))
    larger = head().repeat(3, axis=0).repeat(3, axis=1)
    for other in (framed, larger):
        assert appearance(other) == pytest.approx(appearance(head()), abs=0.05)


def test_of_an_image_without_content_nothing_is_said():
    assert appearance(np.zeros((SIDE, SIDE))) == {}
    assert unlike(np.zeros((SIDE, SIDE)), domains.get("brain_ct")) is None


@pytest.mark.skipif(not REAL.is_dir(), reason="MEDSYNTH_SHARED_DATA names no folder of real images")
@pytest.mark.parametrize("name", ["mammography", "chest_xray", "brain_mri", "brain_ct"])
def test_real_images_are_at_home(name):
    pictures = sorted(p for p in (REAL / name).rglob("*.[jp]*g") if "lesion" not in p.stem)
    for path in pictures[:: len(pictures) // 8]:
        values = np.asarray(Image.open(path).convert("L"), np.float32)
        assert unlike(values, domains.get(name)) is None, path
