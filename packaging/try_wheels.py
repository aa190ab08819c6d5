"""Installs dist/*.whl into an empty environment and runs the README's example there (`make wheel-test`).

The example runs in an empty folder, and the checkout is on no path. --borrow takes the dependencies from
the Python that runs this file instead of fetching them again; our two wheels are installed either way.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Everything the example has no use for: recipes, templates and types lie beside the code too.
COMPLETE = """
import importlib.metadata, importlib.util, sys
from pathlib import Path
import medsynth
from medsynth.networks import model_store
from medsynth.training.recipe import load_recipe
package = Path(medsynth.__file__).parent
assert package.is_relative_to(sys.prefix), f"{package} is not what was installed"
assert (package / "py.typed").is_file()
assert load_recipe("lung_ct").preset == "lung_ct"
for name in model_store.index():
    file = model_store.verify(name)
    assert file.is_relative_to(sys.prefix), f"{file} is not what was installed"
    assert file.with_suffix(".md").is_file()
    assert file.with_name("data_license.txt").is_file()
"""


def example() -> str:
    """The first Python example of the README."""
    return EXAMPLE.search((CHECKOUT / "README.md").read_text(encoding="utf-8"))[1]


def install(folder: Path, wheels: list[Path], *, borrow: bool) -> Path:
    """The Python of a new environment with `wheels`."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "-q", *wheels]
    if borrow:
        command.append("--no-deps")
        # A plain path: .pth files in there, such as an editable install of the checkout, are not read.
        site = subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
        (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elif shutil.which("nvidia-smi") is None:
        subprocess.run([python, "-m", "pip", "install", "-q", "torch==2.13.0"], check=True)
    subprocess.run(command, check=True)
    return python


def try_out(python: Path, folder: Path) -> None:
    """The README's example and the commands of a first look, as a stranger would run them."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MEDSYNTH"))}
    environment["XDG_CACHE_HOME"] = str(folder / "no-cache")
    medsynth = python.with_name("medsynth")
    for command in (
        [python, "-c", COMPLETE],
        [medsynth, "models", "list"],
        [medsynth, "models", "verify"],
        [medsynth, "info"],
        [python, "-c", example()],
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True)
    for name in ("image.nrrd", "result.json", "report.html", "dicom"):
        if not (folder / "out" / name).exists():
            raise FileNotFoundError(f"the README's example made no {name}")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--borrow", action="store_true", help="dependencies of this Python")
    parser.add_argument("--dist", type=Path, default=CHECKOUT / "dist")
    args = parser.parse_args()
    wheels = sorted(args.dist.resolve().glob("medsynth_*.whl"))
    if len(wheels) != 2:
        print(f"error: expected two wheels in {args.dist}, got {len(wheels)}; run `make wheel`")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder) / "venv", wheels, borrow=args.borrow)
        (Path(folder) / "work").mkdir()
        try_out(python, Path(folder) / "work")
    print("the wheels work in an empty environment")
    return 0


if __name__ == "__main__":
    sys.exit(main())
