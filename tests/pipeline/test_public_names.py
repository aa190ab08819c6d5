"""`import medsynth`: light, with every public name, and the same images as the command."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from made_up_network import save_network, small

import medsynth
from medsynth.cli.app import main
from medsynth.generators import guided_diffusion
from medsynth.pipeline.image_types import KINDS, from_sitk, kind_of, to_sitk


def test_importing_it_loads_nothing_heavy():
    code = "import sys, medsynth; print({'torch', 'numpy', 'yaml', 'SimpleITK'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize("name", medsynth.__all__)
def test_every_public_name_is_there(name):
    assert getattr(medsynth, name) is not None
    assert name in dir(medsynth)


def volume():
    k, j, i = np.indices((3, 40, 48))
    radius = np.hypot(j - 20, i - 24)
    values = np.select([radius < 13, radius < 19], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((3, 3.5, 4))
    image.SetOrigin((20, -10, 5))
    image.SetDirection(np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]).ravel().tolist())
    return image


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SimpleITK", "itk", "monai"])
def test_an_image_comes_back_with_its_geometry(kind):
    image = volume()
    other = from_sitk(image, kind)
    assert kind_of(other) == kind
    back = to_sitk(other)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(back, part)() == pytest.approx(getattr(image, part)(), abs=1e-9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    save_network(folder / "tiny.safetensors", small(64, reference_conditioned=False))
    sitk.WriteImage(volume(), str(folder / "lung.nrrd"))
    (folder / "request.yaml").write_text(
        "preset: lung_ct\nanatomy: {image: lung.nrrd}\nweights: tiny.safetensors\nsteps: 2\n"
        "device: cpu\n"
    )
    assert main(["synthesize", str(folder / "request.yaml"), "-o", str(folder / "out")]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["path", "request", *KINDS])
def test_synthesize_gives_the_commands_image_bit_for_bit(folder, kind):
    file = folder / "request.yaml"
    given = {"path": file, "request": medsynth.load_request(file)}.get(kind)
    if given is None:
        image = from_sitk(volume(), kind)
        given = {
            "preset": "lung_ct",
            "anatomy": {"image": image},
            "weights": str(folder / "tiny.safetensors"),
            "steps": 2,
            "device": "cpu",
        }
    made = medsynth.synthesize(given, spacing_mm=(3, 3.5, 4) if kind == "numpy" else None)
    expected = sitk.ReadImage(str(folder / "out" / "image.nrrd"))
    got = made.image if kind == "numpy" else sitk.GetArrayFromImage(to_sitk(made.image))
    assert np.array_equal(got, sitk.GetArrayFromImage(expected))
    if kind != "numpy":
        assert to_sitk(made.image).GetSpacing() == pytest.approx(expected.GetSpacing())
    assert kind_of(made.image) == (kind if kind in KINDS else "SimpleITK")
    assert got.shape == (3, 40, 48)
    assert made.result.nfe == 2


@pytest.mark.slow
def test_the_network_stays_loaded(folder):
    guided_diffusion._network.cache_clear()
    for _ in range(2):
        assert medsynth.estimate(folder / "request.yaml").slices == 3
    assert guided_diffusion._network.cache_info()[:2] == (1, 1)
