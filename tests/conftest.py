"""What every test may ask for: the shared real images, and Debian tools, or a skip that says why."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from medsynth import lazy

# As commands do: MONAI would read it in every process of the suite.
lazy.leave_out("transformers")
# Read by OpenMP when torch is loaded: threads that wait by spinning take the cores from the tests
# beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would the commands that tests stop with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MEDSYNTH_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip(f"needs the real images in {folder} (set MEDSYNTH_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def needs_tool():
    """`needs_tool("dciodvfy", "dicom3tools")`: its path, or a skip that names the Debian package."""

    def find(program: str, package: str) -> str:
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"needs {program} (Debian package {package})")
        return path

    return find


@pytest.fixture
def unrefined_weights(tmp_path) -> Path:
    """The weights of a small network, as `medsynth train` writes them, to train a refiner for."""
    from refinement_made_up import save_network

    return save_network(tmp_path)


@pytest.fixture
def paired_crops():
    """What a refiner learns from: real and synthetic patches that differ in a fine pattern."""
    from refinement_made_up import made_paired_crops

    return made_paired_crops()
