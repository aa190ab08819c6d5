"""A domain and its lesion kind are one file each: abdominal CT with hypodense liver lesions.

Both files are written into folders that only this test adds to the packages; nothing else changes.
"""

import json
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_network import save_network, small

from medsynth import domains, pipeline
from medsynth.domains import lesion_kinds
from medsynth.errors import GeometryError
from medsynth.lesions import kinds, procedural
from medsynth.request import parse

DOMAIN = '''
"""Abdominal CT, 64 x 64, in Hounsfield units."""

from medsynth.domains.base import IntensityMap, OrganFinder, Preset, Window


def find_liver(values, spacing_mm, threshold):
    """The largest structure of 45 to 120 HU in the body: boolean (k, j, i)."""
    from scipy import ndimage

    from medsynth.lesions.body import body_array

    dense = body_array(values, spacing_mm, threshold) & (values > 45) & (values < 120)
    label, count = ndimage.label(ndimage.binary_opening(dense, iterations=2))
    if count == 0:
        return dense & False
    largest = label == 1 + ndimage.sum_labels(dense, label, range(1, count + 1)).argmax()
    return ndimage.binary_dilation(largest, iterations=2) & dense


PRESET = Preset(
    name="abdomen_ct",
    title="Abdominal CT",
    modality="CT",
    units="HU",
    windows=(Window("abdomen", 40, 400),),
    intensity=IntensityMap(physical=(-1024, -200, 300, 3071), unit=(-1.0, -0.5, 0.6, 1.0)),
    grid=(64, 64),
    trained_pixel_mm=(3.0, 5.0),
    weights="abdomen_ct_64.safetensors",
    anatomy_factor=4,
    anatomy_stop=0.0,
    pathology_factor=2,
    pathology_stop=0.0,
    lesion_kinds=("liver_metastasis",),
    organ=OrganFinder("liver", find_liver, must_hold=False),
    body_part="ABDOMEN",
)
'''
KIND = '''
"""A hypodense metastasis of the liver."""

from medsynth.domains.lesion_kinds import ELONGATION, LOBULATION, LesionKind, Option


def draw(context, options):
    """Darker than the liver around it by `contrast` HU."""
    from medsynth.lesions.display_context import DisplayLesion, edge, filled

    dark = context.tissue + options["contrast"]
    return DisplayLesion(filled(context.before, context.share(edge(context.beyond)), dark))


KIND = LesionKind(
    name="liver_metastasis",
    title="hypodense liver metastasis",
    code=("94381002", "SCT", "Metastatic malignant neoplasm to liver"),
    drawer="relative",
    draw=draw,
    parameters=(
        Option("contrast", (-90, -5), (-60, -30), "HU by which it is darker than the liver"),
        Option("lobulation", (0.0, 0.35), (0.02, 0.08), LOBULATION),
        Option("elongation", (1.0, 2.5), (1.0, 1.2), ELONGATION),
    ),
)
'''
LIVER, SPLEEN, ASIDE = (-60.0, 0.0, 22.0), (75.0, 0.0, 22.0), (-134.0, 0.0, 22.0)
CONFIG = small(64, patch_size=8)


@pytest.fixture(scope="module", autouse=True)
def added(tmp_path_factory):
    """The two files in place, and taken away again."""
    homes = [(domains, "abdomen_ct", DOMAIN), (kinds, "liver_metastasis", KIND)]
    for package, name, text in homes:
        folder = tmp_path_factory.mktemp(name)
        (folder / f"{name}.py").write_text(text)
        package.__path__.append(str(folder))
    domains.discover()
    yield
    for package, name, _ in homes:
        package.__path__.pop()
        sys.modules.pop(f"{package.__name__}.{name}", None)
    lesion_kinds.KINDS.forget("liver_metastasis")
    domains.discover()


@pytest.fixture(scope="module")
def abdomen():
    """(12, 64, 64) of 5 mm: fat of -100 HU, the liver of 60 HU at the patient's right, a spleen."""
    values = np.full((12, 64, 64), -1000.0, np.float32)
    row, column = np.mgrid[:64, :64] * 5.0 - 160
    values[:, (row / 110) ** 2 + (column / 145) ** 2 < 1] = -100
    values[:, (row / 70) ** 2 + ((column + 60) / 60) ** 2 < 1] = 60
    values[:, (row / 25) ** 2 + ((column - 75) / 25) ** 2 < 1] = 50
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((5.0, 5.0, 4.0))
    image.SetOrigin((-160.0, -160.0, 0.0))
    return image


def lesion(abdomen, at, **options):
    return procedural(
        "liver_metastasis", reference=abdomen, center_mm=at, diameter_mm=30.0, seed=2, **options
    )


def test_it_is_darker_than_the_liver_around_it(abdomen):
    drawn = lesion(abdomen, LIVER, contrast=-40)
    values, mask = (sitk.GetArrayFromImage(i) for i in (drawn.image, drawn.mask))
    assert drawn.warnings == ()
    assert drawn.drawn["background"] == 60
    middle = abdomen.TransformPhysicalPointToIndex(LIVER)[::-1]
    assert values[middle] == pytest.approx(20, abs=0.5)
    before = sitk.GetArrayFromImage(abdomen)
    assert (values <= before + 1e-3).all()
    assert drawn.drawn["measured_diameter_mm"] == pytest.approx(30, rel=0.06)
    assert (before[mask > 0] == 60).all()


def test_beside_the_liver_it_is_drawn_with_a_warning(abdomen):
    (warning,) = lesion(abdomen, SPLEEN).warnings
    # the liver's edge lies at x = 0, to half a pixel
    away = float(warning.split(" mm outside the liver")[0].split()[-1])
    assert away == pytest.approx(75, abs=5)


def test_without_a_liver_it_says_so(abdomen):
    fat = sitk.Cast(sitk.Clamp(abdomen, upperBound=-100.0), sitk.sitkFloat32)
    (warning,) = lesion(fat, LIVER).warnings
    assert warning == "the lesion's center is not in the liver, and there is no liver in its slices"


def test_out_of_the_body_it_is_refused(abdomen):
    with pytest.raises(GeometryError, match=r"would leave the body by \d"):
        lesion(abdomen, ASIDE)


def test_options_are_checked_by_the_request(tmp_path):
    place = {"center_mm": list(LIVER), "diameter_mm": 30}
    drawn = {"kind": "liver_metastasis", "contrast": 20}
    raw = {"preset": "abdomen_ct", "anatomy": {"image": "."}}
    raw["pathologies"] = [{**place, "source": {"procedural": drawn}}]
    with pytest.raises(
        ValueError, match=r"contrast: expected a finite number >= -90 and <= -5, got 20"
    ):
        parse(raw, tmp_path)


@pytest.mark.slow
def test_a_request_is_run_to_the_end(tmp_path, abdomen):
    save_network(tmp_path / "tiny.safetensors", CONFIG, preset="abdomen_ct")
    sitk.WriteImage(abdomen, str(tmp_path / "ct.nrrd"))
    places = [
        {"center_mm": list(at), "diameter_mm": 30, "source": {"procedural": {"kind": kind}}}
        for at, kind in ((LIVER, "liver_metastasis"), (SPLEEN, "liver_metastasis"))
    ]
    raw = {
        "preset": "abdomen_ct",
        "anatomy": {"image": "ct.nrrd"},
        "pathologies": places,
        "weights": "tiny.safetensors",
        "steps": 2,
    }
    pipeline.run(parse(raw, tmp_path), tmp_path / "out")
    said = json.loads((tmp_path / "out" / "result.json").read_text())
    outside = [w for w in said["warnings"] if "outside the liver" in w]
    assert len(outside) == 1
    segments = [
        str(segment.SegmentedPropertyTypeCodeSequence[0].CodeValue)
        for path in (tmp_path / "out" / "dicom" / "seg").glob("*.dcm")
        for segment in pydicom.dcmread(path).SegmentSequence
    ]
    assert segments == ["94381002"] * 2
    slices = [pydicom.dcmread(p) for p in (tmp_path / "out" / "dicom" / "image").glob("*.dcm")]
    assert {s.BodyPartExamined for s in slices} == {"ABDOMEN"}
    assert {str(s.SOPClassUID) for s in slices} == {"1.2.840.10008.5.1.4.1.1.2"}
