"""Every lesion kind that a domain lists is declared, accepted by a request, documented and drawn."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from made_pictures import as_image, film, head_ct, head_mr
from pathology_chest import chest

from medsynth.dicom.lesion_codes import property_type
from medsynth.domains import PRESETS, get, of_kind
from medsynth.domains.lesion_kinds import KINDS, titled
from medsynth.lesions import procedural
from medsynth.request import parse

LISTED = [(p.name, kind) for p in PRESETS.values() for kind in p.lesion_kinds]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "request.md"


@pytest.fixture(scope="module")
def references():
    """An image of each domain with a voxel (i, j, k) where a lesion of it belongs."""
    lung = chest()
    lung = lung[0] if isinstance(lung, tuple) else lung
    size = lung.GetSize()
    return {
        "lung_ct": (lung, [0.3 * size[0], 0.5 * size[1], 0.5 * size[2]]),
        "mammography": (as_image(film()[None]), [36, 75, 0]),
        "chest_xray": (as_image(film()[None]), [36, 75, 0]),
        "brain_mri": (as_image((head_mr(7) / 1400 * 255).clip(0, 255)), [35, 60, 3]),
        "brain_ct": (as_image(head_ct(7).clip(0, 80) / 80 * 255), [35, 60, 3]),
    }


def test_the_domains_list_exactly_the_declared_kinds():
    assert {kind for _, kind in LISTED} == set(KINDS)
    assert all(kind == KINDS[kind].name for kind in KINDS)


@pytest.mark.parametrize(("domain", "kind"), LISTED)
def test_a_kind_is_accepted_documented_and_coded(tmp_path, domain, kind):
    options = {o.name: o.allowed[0] for o in KINDS[kind].parameters}
    place = {"center_mm": [0, 0, 0], "diameter_mm": 12}
    lesion = {**place, "source": {"procedural": {"kind": kind, **options}}}
    raw = {"preset": domain, "anatomy": {"image": "."}, "pathologies": [lesion]}
    assert parse(raw, tmp_path).pathologies[0].source.procedural == {"kind": kind, **options}
    page = PAGE.read_text()
    assert f"`{kind}`" in page
    for option in KINDS[kind].parameters:
        rows = [row for row in page.splitlines() if row.startswith(f"| `{option.name}` |")]
        row = [r for r in rows if f"`{kind}`" in r] or [r for r in rows if "| all |" in r]
        assert row, f"{option.name} of {kind} is not in the table of docs/request.md"
        assert row[0].rstrip(" |").endswith(option.meaning)
    code = property_type(kind, get(domain).modality)
    assert (code.value, code.scheme_designator, code.meaning) == KINDS[kind].code
    assert titled(kind)[0].isupper()


@pytest.mark.slow
@pytest.mark.parametrize(("domain", "kind"), LISTED)
def test_a_kind_is_drawn_in_its_domain(references, domain, kind):
    image, at = references[domain]
    place = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in at])
    lesion = procedural(
        kind, reference=image, center_mm=place, diameter_mm=12.0, seed=1, preset=get(domain)
    )
    before, after = (sitk.GetArrayFromImage(i) for i in (image, lesion.image))
    marked = sitk.GetArrayFromImage(lesion.mask) > 0
    assert 9 < lesion.drawn["measured_diameter_mm"] < 14
    assert np.abs(after - before)[marked].max() > 2
    assert set(KINDS[kind].options) <= set(lesion.drawn)
    assert lesion.kind == kind
    assert KINDS[kind].title in lesion.description


def test_a_kind_that_no_domain_lists_is_refused():
    with pytest.raises(ValueError, match="no domain lists the lesion kind 'invented'"):
        of_kind("invented")


def test_declarations_load_no_drawer():
    """Slicer reads them in its own process, which has neither SciPy nor torch."""
    import subprocess
    import sys

    code = (
        "import sys; from medsynth.domains.lesion_kinds import KINDS; list(KINDS.values());"
        "print(*{'numpy', 'scipy', 'torch', 'SimpleITK', 'pydicom', 'yaml'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.sub(r"\s", "", said.stdout) == ""
