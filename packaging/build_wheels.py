"""Builds sdist and wheel of medsynth-slicer and of medsynth-models into a folder (`make wheel`)."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BUNDLE = CHECKOUT / "monai_bundle"
MODELS = Path(__file__).resolve().parent / "medsynth-models"


def version() -> str:
    """That of the library; a library and its networks go together."""
    text = (CHECKOUT / "medsynth" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+?)"', text)[1]


def stage_library(folder: Path) -> None:
    """What the library is built of, without leftovers of earlier builds."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(CHECKOUT / "medsynth", folder / "medsynth", ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)


def stage_models(folder: Path) -> None:
    """The networks, their cards and licenses as a distribution of their own."""
    shutil.copytree(MODELS, folder, dirs_exist_ok=True)
    package = folder / "medsynth_models"
    for file in (BUNDLE / "models").iterdir():
        shutil.copy(file, package)
    for place in (folder, package):
        shutil.copy(BUNDLE / "docs" / "data_license.txt", place)
    shutil.copy(CHECKOUT / "LICENSE", folder)
    (folder / "VERSION").write_text(version() + "\n")


def build(out: Path) -> list[Path]:
    """Four files in `out`; those of earlier versions are removed."""
    from medsynth.networks import model_store

    for name in model_store.index():
        model_store.verify(name)
    for old in (*out.glob("medsynth_slicer-*"), *out.glob("medsynth_models-*")):
        old.unlink()
    for stage in (stage_library, stage_models):
        with tempfile.TemporaryDirectory() as folder:
            stage(Path(folder))
            command = [sys.executable, "-m", "build", "--no-isolation", folder, "-o", str(out)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted(out.glob("medsynth_*"))


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?", default=CHECKOUT / "dist")
    for file in build(parser.parse_args().out.resolve()):
        print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
