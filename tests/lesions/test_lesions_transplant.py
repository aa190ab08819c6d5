"""Lesions from annotated studies: one map in mm for image and mask, feathered, never leaving."""

import numpy as np
import pytest
import SimpleITK as sitk
from pathology_chest import LUNG_HU, OBLIQUE, array, center_of, chest, place

from medsynth import lesions as pathology
from medsynth.errors import GeometryError

ISOTROPIC = {"spacing": (2.0, 2.0, 2.0), "size": (120, 88, 40)}
THERE = (-51.0, 7.0, 1.0)  # a voxel center of the isotropic chest (an even number of voxels)


def study(**grid):
    """A chest with an L-shaped lesion of 30 HU and one arm of 90 HU; and its mask."""
    image = chest(**(grid or ISOTROPIC))
    hu = array(image)
    mask = np.zeros(hu.shape, np.uint8)
    # one arm along +i, one along +j, a short one along +k: no two orientations look alike
    k, j, i = 19, 40, 82
    mask[k : k + 2, j : j + 3, i : i + 10] = 1
    mask[k : k + 2, j : j + 7, i : i + 3] = 1
    mask[k : k + 5, j : j + 3, i : i + 3] = 1
    hu[mask > 0] = 30
    hu[k : k + 2, j : j + 3, i + 7 : i + 10] = 90
    moved = sitk.GetImageFromArray(hu)
    moved.CopyInformation(image)
    marked = sitk.GetImageFromArray(mask)
    marked.CopyInformation(image)
    return moved, marked


def cut(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`values` in the mask's box, zero outside the mask."""
    box = tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(mask))
    return np.where(mask, values, 0)[box]


@pytest.fixture(scope="module")
def source():
    return study()


def move(source, reference, center_mm, **options):
    return pathology.from_study(*source, reference=reference, center_mm=center_mm, **options)


def on_the_lattice(source, reference):
    """A center that puts the source's voxels exactly on the reference's."""
    image, mask = source
    index = np.array(image.TransformPhysicalPointToContinuousIndex(center_of(mask).tolist()))
    wanted = np.array(reference.TransformPhysicalPointToIndex(place(reference, *THERE)))
    whole = wanted + index % 1
    return np.array(reference.TransformContinuousIndexToPhysicalPoint(whole.tolist()))


@pytest.mark.slow
def test_a_plain_move_copies_every_voxel(source):
    reference = chest(**ISOTROPIC)
    center = on_the_lattice(source, reference)
    lesion = move(source, reference, center)
    mask, wanted = array(lesion.mask) > 0, array(source[1]) > 0
    np.testing.assert_array_equal(cut(mask, mask), cut(wanted, wanted))
    np.testing.assert_allclose(
        cut(array(lesion.image), mask), cut(array(source[0]), wanted), atol=0.5
    )
    np.testing.assert_allclose(center_of(lesion.mask), center, atol=1e-6)
    bright = center_of_values(lesion.image, array(lesion.image) > 75)
    offset = center_of_values(source[0], array(source[0]) > 75) - center_of(source[1])
    np.testing.assert_allclose(bright - center, offset, atol=1e-4)


def center_of_values(image, marked):
    chosen = sitk.GetImageFromArray(marked.astype(np.uint8))
    chosen.CopyInformation(image)
    return center_of(chosen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "turned"),
    [
        ({}, np.eye(3)),
        ({"mirror": True}, np.diag([-1, 1, 1])),
        ({"mirror": "x"}, np.diag([-1, 1, 1])),
        ({"mirror": "y"}, np.diag([1, -1, 1])),
        ({"mirror": "z"}, np.diag([1, 1, -1])),
        ({"rotate_deg": 90.0}, np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])),
        ({"rotate_deg": (90.0, 0, 0)}, np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])),
        ({"rotate_deg": (0, 90.0, 0)}, np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])),
        # first x, then z: Rz Rx
        ({"rotate_deg": (90.0, 0, 90.0)}, np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])),
        # the mirror comes before the rotation
        ({"mirror": True, "rotate_deg": 90.0}, np.array([[0, -1, 0], [-1, 0, 0], [0, 0, 1]])),
    ],
)
def test_image_and_mask_go_through_the_same_map(source, options, turned):
    """Every voxel of the lesion lands where the matrix sends it, with its HU."""
    reference = chest(**ISOTROPIC)
    image, mask = source
    marked = np.argwhere(array(mask) > 0)
    points = np.array([mask.TransformIndexToPhysicalPoint(p[::-1].tolist()) for p in marked])
    turned_mm = (points - center_of(mask)) @ turned.T
    # the first voxel lands on a voxel, so on grids of one spacing all of them do
    there = reference.TransformPhysicalPointToIndex(place(reference, *THERE))
    center = np.array(reference.TransformIndexToPhysicalPoint(there)) - turned_mm[0]
    lesion = move(source, reference, center, **options)
    landed = [reference.TransformPhysicalPointToIndex(p.tolist()) for p in center + turned_mm]
    at = tuple(np.array(landed).T[::-1])
    assert array(lesion.mask)[at].all()
    assert array(lesion.mask).sum() == len(marked)
    given = array(image)[tuple(marked.T)]
    np.testing.assert_allclose(array(lesion.image)[at], given, atol=0.5)


@pytest.mark.slow
def test_scale_is_of_lengths(source):
    reference = chest(**ISOTROPIC)
    plain, large = (move(source, reference, place(reference, *THERE), scale=s) for s in (1.0, 1.5))
    assert array(large.mask).sum() == pytest.approx(1.5**3 * array(plain.mask).sum(), rel=0.06)
    assert large.drawn["measured_diameter_mm"] == pytest.approx(
        1.5 * plain.drawn["measured_diameter_mm"], rel=0.02
    )
    sized = move(source, reference, place(reference, *THERE), diameter_mm=20.0)
    assert pathology.mask_diameter_mm(sized.mask) == pytest.approx(20, rel=0.03)


@pytest.mark.slow
def test_grids_do_not_matter(source):
    """The same lesion into an oblique, anisotropic reference: same size, same direction in mm."""
    reference = chest(spacing=(1.2, 1.6, 3.0), size=(200, 112, 30), direction=OBLIQUE)
    center = np.array(place(reference, *THERE))
    lesion = move(source, reference, center)
    assert lesion.image.GetDirection() == reference.GetDirection()
    assert np.linalg.norm(center_of(lesion.mask) - center) < 0.5
    assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(
        pathology.mask_diameter_mm(source[1]), rel=0.03
    )
    bright = center_of_values(lesion.image, array(lesion.image) > 70) - center
    offset = center_of_values(source[0], array(source[0]) > 75) - center_of(source[1])
    np.testing.assert_allclose(bright, offset, atol=1.5)


@pytest.mark.slow
def test_the_mask_may_have_a_grid_of_its_own(source):
    reference = chest(**ISOTROPIC)
    image, mask = source
    finer = sitk.Resample(
        mask,
        [240, 176, 80],
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        (np.array(mask.GetOrigin()) - 0.5).tolist(),
        [1.0, 1.0, 1.0],
        mask.GetDirection(),
    )
    center = place(reference, *THERE)
    a, b = (move((image, m), reference, center) for m in (mask, finer))
    np.testing.assert_array_equal(array(a.mask), array(b.mask))


@pytest.mark.slow
def test_it_is_feathered_into_the_reference():
    """A denser source lung: full shift off, the blend falls to the reference over the feather."""
    image, mask = study()
    hu = array(image)
    hu[hu == LUNG_HU] = -700
    dense = sitk.GetImageFromArray(hu)
    dense.CopyInformation(image)
    reference = chest(**ISOTROPIC)
    center = place(reference, *THERE)
    lesion = move((dense, mask), reference, center, adapt=False, feather_mm=8.0)
    change = array(lesion.image) - array(reference)
    from scipy import ndimage

    away = ndimage.distance_transform_edt(array(lesion.mask) == 0, sampling=2.0)
    rings = [change[(away > r) & (away <= r + 2.0)].mean() for r in (2, 4, 6, 8)]
    assert rings[0] > rings[1] > rings[2] > rings[3] >= 0
    assert 60 < rings[0] <= 151
    assert not change[away > 12].any()
    adapted = move((dense, mask), reference, center, feather_mm=8.0)
    assert adapted.drawn["density_shift_hu"] == pytest.approx(-150, abs=1)
    ring = (away > 4) & (away < 8)
    assert np.abs(array(adapted.image) - array(reference))[ring].max() < 10
    inside = array(lesion.mask) > 0
    assert array(adapted.image)[inside].mean() == pytest.approx(
        array(lesion.image)[inside].mean(), abs=40
    )


@pytest.mark.slow
def test_the_sources_chest_wall_stays_behind():
    """A lesion beside the pleura brings no piece of the source's wall along."""
    image, mask = study()
    hu = array(image)
    wall = np.zeros_like(hu, bool)
    wall[:, :37] = True  # soft tissue 6 mm in front of the lesion
    hu[wall] = 50
    walled = sitk.GetImageFromArray(hu)
    walled.CopyInformation(image)
    reference = chest(**ISOTROPIC)
    lesion = move((walled, mask), reference, place(reference, *THERE), feather_mm=10.0)
    from scipy import ndimage

    away = ndimage.distance_transform_edt(array(lesion.mask) == 0, sampling=2.0)
    ring = (away > 3.5) & (away < 10)
    assert (array(lesion.image)[ring] - array(reference)[ring]).max() < 100  # of 900


@pytest.mark.slow
def test_a_region_gives_place_and_size(source):
    reference = chest(**ISOTROPIC)
    hu = array(reference)
    z, y, x = np.mgrid[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    ball = (x - 33) ** 2 + (y - 44) ** 2 + (z - 20) ** 2 < 16
    roi = sitk.GetImageFromArray(ball.astype(np.uint8))
    roi.CopyInformation(reference)
    lesion = pathology.from_study(*source, reference=reference, roi=roi)
    assert np.linalg.norm(center_of(lesion.mask) - center_of(roi)) < 1.0
    assert array(lesion.mask).sum() == pytest.approx(ball.sum(), rel=0.06)


@pytest.mark.slow
def test_leaving_the_image_or_the_body_is_an_error_with_the_distance(source):
    reference = chest(**ISOTROPIC)
    with pytest.raises(GeometryError, match=r"leave the image by [\d.]+ mm"):
        move(source, reference, place(reference, -50, 0, 38))
    with pytest.raises(GeometryError, match=r"leave the body by [\d.]+ mm"):
        move(source, reference, place(reference, -106, 0, 0))
    outside = move(source, reference, place(reference, 0, 20, 0))
    assert "outside the lung" in outside.warnings[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale must lie in 0.2 to 5"),
        ({"scale": float("nan")}, "scale must lie"),
        ({"diameter_mm": 140.0}, "scale must lie"),
        ({"feather_mm": -1.0}, "feather_mm must lie"),
        ({"rotate_deg": (1.0, 2.0)}, "one angle or three"),
        ({"rotate_deg": float("nan")}, "one angle or three"),
        ({"mirror": "w"}, "mirror must be"),
        ({"center_mm": None}, "either roi or center_mm"),
    ],
)
def test_refusals(source, options, message):
    reference = chest(**ISOTROPIC)
    arguments = {"center_mm": place(reference, *THERE)} | options
    with pytest.raises(ValueError, match=message):
        pathology.from_study(*source, reference=reference, **arguments)


def test_an_empty_mask_is_refused(source):
    reference = chest(**ISOTROPIC)
    with pytest.raises(ValueError, match="empty"):
        move((source[0], source[1] * 0), reference, place(reference, *THERE))
