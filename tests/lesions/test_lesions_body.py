"""The body in an image: lungs filled, table left out, any grid."""

import numpy as np
import pytest
import SimpleITK as sitk
from pathology_chest import BODY_RADII_MM, OBLIQUE, array, chest

from medsynth import lesions as pathology
from medsynth import phantoms as anatomy
from medsynth.errors import GeometryError
from medsynth.lesions.body import lung_array

AREA_MM2 = np.pi * BODY_RADII_MM[0] * BODY_RADII_MM[1]


def area_mm2(mask: sitk.Image) -> float:
    return array(mask)[0].sum() * mask.GetSpacing()[0] * mask.GetSpacing()[1]


@pytest.mark.parametrize(
    "grid",
    [{}, {"spacing": (0.9, 1.3, 5.0), "size": (270, 140, 3)}, {"direction": OBLIQUE}],
    ids=["axial", "anisotropic", "oblique"],
)
def test_the_body_is_the_ellipse_with_its_lungs(grid):
    image = chest(**grid)
    body = pathology.body_mask(image)
    assert area_mm2(body) == pytest.approx(AREA_MM2, rel=0.01)
    assert body.GetDirection() == image.GetDirection()
    assert body.GetPixelID() == sitk.sitkUInt8


def test_the_table_is_no_body():
    """A trough of 4 mm sheets that touches the back and encloses air at its sides."""
    image = chest(table=True)
    assert (array(image) == -100).sum() > 1000
    assert area_mm2(pathology.body_mask(image)) == pytest.approx(AREA_MM2, rel=0.02)


@pytest.mark.slow
def test_a_phantoms_body_is_all_but_air_and_table():
    phantom = anatomy.thorax(seed=1, slices=3, spacing_mm=(2, 2, 8), size=(180, 160))
    body = array(pathology.body_mask(phantom.image)) > 0
    label = array(phantom.labels)
    truth = ~np.isin(label, [phantom.label_names[name] for name in ("air", "table")])
    assert (body & truth).sum() / truth.sum() > 0.995
    assert (body & ~truth).sum() / truth.sum() < 0.01


@pytest.mark.slow
def test_the_lung_holds_its_vessels():
    image = chest(vessel_radius_mm=3.0)
    body = array(pathology.body_mask(image)) > 0
    lung = lung_array(array(image), body, image.GetSpacing())
    plain = array(chest()) == -850
    agreement = (lung & plain).sum() / (lung | plain).sum()
    assert agreement > 0.985


def test_the_largest_body_is_taken():
    image = chest(size=(220, 120, 4))
    hu = array(image)
    hu[:, 2:60, 205:216] = 50  # an arm beside the chest
    two = sitk.GetImageFromArray(hu)
    two.CopyInformation(image)
    assert not array(pathology.body_mask(two))[:, 2:60, 205:216].any()


def test_no_body_is_an_error_that_names_the_threshold():
    with pytest.raises(GeometryError, match="above -500"):
        pathology.body_mask(chest() * 0 - 1000)
