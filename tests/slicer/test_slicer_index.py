"""The Extensions Index's own rules, as its scripts/check_description_files.py and its checklist say them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "MedSynthSlicer" / "extensionRepository.py"
ADDRESS = "https://github.com/example/SlicerMedSynth"
RAW = "https://raw.githubusercontent.com/example/SlicerMedSynth/main/"


def make(out, address=ADDRESS):
    command = [sys.executable, str(SCRIPT), str(out), "--repository", address]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    out = tmp_path_factory.mktemp("index") / "SlicerMedSynth"
    done = make(out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def cmake(repository):
    return (repository / "CMakeLists.txt").read_text()


def setting(cmake, name):
    # The Index reads the file as text: a variable in an address is an address that is not there.
    return re.search(rf'set\s*\(EXTENSION_{name}\s*"([^"]+)"\s*\)', cmake)[1]


def test_the_entry_is_what_the_schema_allows(repository, cmake):
    text = (repository / "MedSynth.json").read_bytes()
    assert b"\r" not in text
    entry = json.loads(text)
    assert set(entry) <= {
        *("$schema", "category", "scm_url", "scm_revision", "scm_type"),
        *("build_dependencies", "build_subdirectory", "enabled", "tier"),
    }
    assert entry["$schema"].startswith(
        "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    )
    assert entry["tier"] in (1, 3, 5)
    assert entry["scm_url"] == ADDRESS
    assert (repository / entry["build_subdirectory"]).is_dir()
    # The entry and CMakeLists.txt must agree.
    assert entry["build_dependencies"] == setting(cmake, "DEPENDS").split() == ["PyTorch"]
    assert entry["category"] == setting(cmake, "CATEGORY") == "Image Synthesis"


def test_names(repository, cmake):
    (project,) = re.findall(r"project\s*\(\s*([^\s)]+)", cmake)
    assert project == "MedSynth"  # the entry's file name, without the word Slicer
    assert ADDRESS.rpartition("/")[2] == "Slicer" + project


def test_every_address_is_literal_and_its_picture_is_there(repository, cmake):
    from PIL import Image

    addresses = [setting(cmake, "ICONURL"), *setting(cmake, "SCREENSHOTURLS").split()]
    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith(RAW)
        with Image.open(repository / address.removeprefix(RAW)) as picture:
            assert picture.format == "PNG"
    icon = Image.open(repository / addresses[0].removeprefix(RAW))
    assert icon.size == (128, 128)
    assert setting(cmake, "HOMEPAGE") == ADDRESS
    assert "${MEDSYNTH" not in cmake
    assert len(setting(cmake, "CONTRIBUTORS")) > 5


def test_license_and_home_page(repository):
    assert "Apache License" in (repository / "LICENSE.txt").read_text()
    page = (repository / "README.md").read_text()
    for wanted in ("# MedSynth\n", "| MedSynth |", "How to cite", "Apache License 2.0", "patents"):
        assert wanted in page
    assert re.search(r"mammography.{0,40}research use only", page, re.DOTALL)
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page):
        assert (repository / picture).is_file()


def test_no_weights_and_not_too_large(repository):
    assert list(repository.rglob("*.safetensors")) == []
    assert sum(p.stat().st_size for p in repository.rglob("*") if p.is_file()) < 100 * 2**20


def test_every_network_is_listed_with_checksum_and_license(repository):
    address = json.loads((repository / "MedSynth" / "Resources" / "networks.json").read_text())
    assert address == {"address": f"{ADDRESS}/releases/download/networks-1"}
    networks = json.loads((repository / "medsynth" / "networks" / "index.json").read_text())
    code = "from medsynth.domains import PRESETS; print(*(p.weights for p in PRESETS.values()))"
    asked = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {Path(name).stem for name in asked} <= set(networks)
    assert "research use" in networks["mammography_832"]["license"]


def test_the_builds_of_a_checkout_pack_no_weights():
    lists = (ROOT / "MedSynthSlicer" / "MedSynth" / "CMakeLists.txt").read_text()
    folders = lists.count("monai_bundle/models")
    assert folders
    assert lists.count('PATTERN "*.safetensors" EXCLUDE') == 2 * folders  # build and install


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/example/MedSynth",
        "example/SlicerMedSynth",
        "http://x.org/SlicerMedSynth",
    ],
)
def test_an_address_that_the_index_refuses_is_refused(tmp_path, address):
    done = make(tmp_path / "out", address)
    assert done.returncode == 2
    assert address in done.stderr
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_into_a_folder_that_is_in_use(tmp_path):
    (tmp_path / "mine").write_text("")
    assert make(tmp_path).returncode == 2
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
