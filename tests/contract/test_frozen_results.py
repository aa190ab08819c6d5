"""Ten small requests over all five domains give the bits that they gave when they were frozen.

Bits differ between processors and PyTorch builds, so the digests are kept for the machine that froze
them and the test is skipped on others: `MEDSYNTH_FREEZE=1 pytest tests/contract/test_frozen_results.py`
freezes anew, which is right only for a change that is meant to alter images.
"""

import hashlib
import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from made_pictures import as_image, film, head_ct, head_mr, write_picture

from medsynth import domains as presets
from medsynth.cli.app import main
from medsynth.marking.pixels import is_air

pytestmark = pytest.mark.slow

FROZEN = Path(__file__).with_name("frozen_results.json")
THORAX = {
    "phantom": {
        "kind": "thorax",
        "seed": 3,
        "slices": 1,
        "size": [256, 256],
        "spacing_mm": [1.4, 1.4, 3.0],
    }
}
SEVEN = {"phantom": {**THORAX["phantom"], "slices": 7}}
NODULE = {"center_mm": [-75, -10, 0], "diameter_mm": 18}


def lesion(kind, **options):
    return {**NODULE, "source": {"procedural": {"kind": kind}}, **options}


REQUESTS = {
    "lung_anatomy": {"preset": "lung_ct", "anatomy": {**THORAX, "factor": 16}, "steps": 3},
    "lung_solid": {"preset": "lung_ct", "anatomy": SEVEN, "pathologies": [lesion("solid", diameter_mm=8)], "steps": 3},
    "lung_keep": {
        "preset": "lung_ct", "anatomy": THORAX, "pathologies": [lesion("part_solid", factor=2)],
        "background": "keep", "steps": 3, "sampler": "dpmpp_2m",
    },
    "lung_stop": {
        "preset": "lung_ct", "anatomy": {**THORAX, "stop": 0.1}, "steps": 4, "sampler": "ddim",
        "pathologies": [lesion("spiculated", stop={"fraction": 0.75}, weight="gaussian")],
        "composition": "weighted", "filter": "block",
    },
    "lung_ddpm": {
        "preset": "lung_ct", "anatomy": THORAX, "steps": 4, "sampler": "ddpm", "guidance": "x_t",
        "composition": "sum", "filter": "bicubic",
    },
    "mammography": {"preset": "mammography", "anatomy": {"phantom": {"seed": 5}}, "steps": 2},
    "mammography_mass": {
        "preset": "mammography", "anatomy": {"phantom": {"seed": 5, "view": "CC"}}, "steps": 2,
        "pathologies": [{"center_mm": [35, 100, 0], "diameter_mm": 14,
                         "source": {"procedural": {"kind": "spiculated_mass"}}}],
    },
    "chest_xray": {
        "preset": "chest_xray", "anatomy": {"image": "film.png", "view": "PA"}, "steps": 3,
        "pathologies": [{"center_mm": [35, 70, 0], "diameter_mm": 16,
                         "source": {"procedural": {"kind": "nodule"}}}],
    },
    "brain_mri": {
        "preset": "brain_mri", "anatomy": {"image": "mr.nii.gz"}, "steps": 3,
        "pathologies": [{"center_mm": [-20, 0, 20], "diameter_mm": 14,
                         "source": {"procedural": {"kind": "ring_enhancing_mass"}}}],
    },
    "brain_ct": {
        "preset": "brain_ct", "anatomy": {"image": "ct.nii.gz"}, "steps": 3,
        "pathologies": [{"center_mm": [-20, 0, 20], "diameter_mm": 10,
                         "source": {"procedural": {"kind": "hemorrhage"}}}],
    },
}  # fmt: skip

# A scanner's noise, the reference's surroundings, the mark in the pixels and the experts of four domains
# came later and are on by default: what was frozen is the network's own.
UNMARKED = {"output": {"no_pixel_mark": "the frozen results are older than the mark"}}
ALONE = {"expert": "none", "sampler": "dpmpp_2m_sde"}
NETWORKS_OWN = {
    "lung_ct": {"noise": "network", "surroundings": "network"},
    "mammography": {"surroundings": "network", **ALONE},
    **dict.fromkeys(("chest_xray", "brain_mri", "brain_ct"), ALONE),
}


def machine() -> str:
    """What bits depend on: processor, instruction set, PyTorch."""
    facts = dict(line.split(":", 1) for line in _cpuinfo() if ":" in line)
    known = {name.strip(): value.strip() for name, value in facts.items()}
    instructions = torch.backends.cpu.get_cpu_capability()
    if instructions == "AVX512":  # virtual machines call several generations by one name
        instructions += f" family {known.get('cpu family')} model {known.get('model')}"
    return f"{platform.machine()} {known.get('model name', '')} {instructions} torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def digest(out: Path) -> str:
    """SHA-256 over voxels and geometry of every image of a result."""
    total = hashlib.sha256()
    for path in sorted(out.glob("*.nrrd")):
        image = sitk.ReadImage(str(path))
        geometry = image.GetSize() + image.GetSpacing() + image.GetOrigin() + image.GetDirection()
        total.update(path.name.encode() + repr(geometry).encode())
        total.update(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).tobytes())
    return total.hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    write_picture(folder / "film.png", film())
    sitk.WriteImage(as_image(head_mr(5)), str(folder / "mr.nii.gz"))
    sitk.WriteImage(as_image(head_ct(5)), str(folder / "ct.nii.gz"))
    return folder


@pytest.fixture(scope="module")
def frozen():
    everything = json.loads(FROZEN.read_text()) if FROZEN.exists() else {}
    if not os.environ.get("MEDSYNTH_FREEZE") and machine() not in everything:
        pytest.skip(f"no results were frozen on this kind of machine: {machine()}")
    return everything


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_gives_the_frozen_bits(name, folder, frozen):
    request = folder / f"{name}.json"
    request.write_text(
        json.dumps(
            {
                "seed": 7,
                **UNMARKED,
                **NETWORKS_OWN.get(REQUESTS[name]["preset"], {}),
                **REQUESTS[name],
            }
        )
    )
    assert main(["synthesize", str(request), "-o", str(folder / name), "--threads", "1"]) == 0
    found = digest(folder / name)
    if os.environ.get("MEDSYNTH_FREEZE"):
        frozen.setdefault(machine(), {})[name] = found
        FROZEN.write_text(json.dumps(frozen, indent=1, sort_keys=True) + "\n")
    assert frozen[machine()][name] == found


@pytest.mark.parametrize("name", ["lung_keep", "brain_ct"])
def test_the_mark_is_all_that_a_marked_result_differs_by(name, tmp_path):
    write_picture(tmp_path / "film.png", film())
    sitk.WriteImage(as_image(head_ct(5)), str(tmp_path / "ct.nii.gz"))
    results = {}
    for words, output in (("off", UNMARKED), ("on", {}), ("again", {})):
        request = tmp_path / f"{words}.json"
        request.write_text(json.dumps({"seed": 7, **output, **REQUESTS[name]}))
        assert (
            main(["synthesize", str(request), "-o", str(tmp_path / words), "--threads", "1"]) == 0
        )
        results[words] = sitk.GetArrayFromImage(
            sitk.ReadImage(str(tmp_path / words / "image.nrrd"))
        )
    record = json.loads((tmp_path / "on" / "result.json").read_text())
    preset = presets.get(REQUESTS[name]["preset"])
    change = results["on"].astype(np.float64) - results["off"]
    assert (results["on"] == results["again"]).all()
    assert 0 < np.abs(change).max() <= preset.mark_limits.largest
    assert np.abs(change).max() == record["pixel_mark"]["largest"]
    # No more than rounding to whole values, at most 0.5, leaves in the mean of 8 x 8 pixels.
    assert record["pixel_mark"]["low_pass_change"] < max(0.5 / 8 / results["off"].std(), 1e-3)
    for k in range(record["slices"][0], record["slices"][1] + 1):
        air = is_air(results["off"][k], preset.mark_limits.air)
        assert (change[k][air] == 0).all()
    masks = {}
    for words in ("off", "on"):
        for path in sorted((tmp_path / words).glob("pathology_*.nrrd")):
            masks.setdefault(path.name, []).append(sitk.Hash(sitk.ReadImage(str(path))))
    assert masks
    assert all(a == b for a, b in masks.values())
