"""What every test may ask for: the shared real images, and Debian tools, or a skip that says why."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from medsynth import lazy

# As commands do: MONAI would read them in every process of the suite.
lazy.leave_out()
# Read by OpenMP when torch is loaded: threads that wait by spinning take the cores from the tests
# beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would the commands that tests stop with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
LANES = ("slow", "gpu", "pacs", "browser")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file whose own marks the lane leaves out is not imported: that takes a third of `make check`."""
    left_out = [lane for lane in LANES if f"not {lane}" in config.option.markexpr]
    if not left_out or collection_path.suffix != ".py" or not collection_path.is_file():
        return None
    marks = re.search(r"^pytestmark = (\[[^]]*\]|.*)", collection_path.read_text(), re.MULTILINE)
    named = re.findall(r"pytest\.mark\.(\w+)", marks[1]) if marks else []
    return True if set(named) & set(left_out) else None


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
