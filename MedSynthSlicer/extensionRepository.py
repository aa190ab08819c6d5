"""Makes the repository that the Extensions Index builds: SlicerMedSynth, without the weights.

python MedSynthSlicer/extensionRepository.py OUT --repository https://github.com/OWNER/SlicerMedSynth

The Index clones a repository whole, wants CMakeLists.txt at its root with addresses that it can read, and
no more than 100 MB; this one holds 150 MB of weights. OUT gets the extension at its root, the library
beside it, the entry for the Index (MedSynth.json) and the address of the networks (Resources/networks.json).
Attach the weights to a release called networks-1 of that repository: the module fetches from there what it
lacks, after asking, and holds it against the library's index of networks.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

EXTENSION = Path(__file__).resolve().parent
CHECKOUT = EXTENSION.parent
MODELS = CHECKOUT / "monai_bundle" / "models"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    "slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
LARGEST_MB = 100  # of a clone, says the Index
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.safetensors", ".DS_Store")


def setting(text: str, name: str) -> str:
    """The value of `set(EXTENSION_NAME "...")` in a CMakeLists.txt."""
    return re.search(rf'set\(EXTENSION_{name}\s+"([^"]+)"', text)[1]


def entry(cmake: str, repository: str) -> dict:
    """The description file for the Extensions Index, in agreement with CMakeLists.txt."""
    return {
        "$schema": SCHEMA,
        "build_dependencies": setting(cmake, "DEPENDS").split(),
        "build_subdirectory": ".",
        "category": setting(cmake, "CATEGORY"),
        "scm_revision": "main",
        "scm_url": repository,
        "tier": 1,
    }


def make(out: Path, repository: str) -> None:
    """Write the repository into `out`.

    Raises:
        ValueError: the address cannot be one the Index takes, `out` is not empty, or it got too large.
    """
    check(repository)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; give a new folder")
    raw = repository.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main"
    cmake = (EXTENSION / "CMakeLists.txt").read_text()
    cmake = re.sub(r"^set\(MEDSYNTH_\w+ .*\n", "", cmake, flags=re.MULTILINE)
    cmake = cmake.replace("${MEDSYNTH_HOMEPAGE}", repository).replace("${MEDSYNTH_RAW}", raw)
    shutil.copytree(EXTENSION / "MedSynth", out / "MedSynth", ignore=IGNORED)
    shutil.copytree(CHECKOUT / "medsynth", out / "medsynth", ignore=IGNORED)
    shutil.copytree(MODELS, out / "monai_bundle" / "models", ignore=IGNORED)
    shutil.copytree(CHECKOUT / "monai_bundle" / "docs", out / "monai_bundle" / "docs")
    (out / "CMakeLists.txt").write_text(cmake)
    shutil.copy(CHECKOUT / "LICENSE", out / "LICENSE.txt")
    shutil.copy(EXTENSION / "MedSynthSlicer.png", out / "MedSynth.png")
    (out / "Screenshots").mkdir()
    for url in setting(cmake, "SCREENSHOTURLS").split():
        name = url.rpartition("/")[2]
        shutil.copy(CHECKOUT / "docs" / "pictures" / f"slicer_{name}", out / "Screenshots" / name)
    shutil.copy(EXTENSION / "README.md", out / "README.md")
    address = {"address": f"{repository}/releases/download/networks-1"}
    text = json.dumps(address, indent=2) + "\n"
    (out / "MedSynth" / "Resources" / "networks.json").write_text(text)
    text = json.dumps(entry(cmake, repository), indent=2) + "\n"
    (out / "MedSynth.json").write_text(text)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 2**20
    if size > LARGEST_MB:
        raise ValueError(f"{out} has {size:.0f} MB, the Index takes {LARGEST_MB}")


def check(repository: str) -> None:
    """The Index wants names that begin with Slicer; the addresses of pictures follow from GitHub's."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/Slicer[\w-]*", repository):
        raise ValueError(
            f"the repository must be https://github.com/OWNER/SlicerMedSynth, got {repository!r}"
        )


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--repository", required=True, help="where OUT will be published")
    args = parser.parse_args()
    try:
        make(args.out, args.repository)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.out} is ready; add MedSynth.json to the Extensions Index")
    return 0


if __name__ == "__main__":
    sys.exit(main())
