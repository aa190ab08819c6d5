"""The model store: where the shipped networks lie, found by name and checked by SHA-256.

A network is looked for in these folders, and the first that has it wins:

1. the one that the environment variable `MEDSYNTH_MODELS` names;
2. `monai_bundle/models` of a checkout;
3. the installed distribution `medsynth-models`;
4. this user's cache.

`index.json` beside this file holds size, SHA-256 and license of every shipped network, so that a file
from anywhere can be told from the one that was tested. `make model-index` writes it.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from medsynth.errors import CheckpointError
from medsynth.storage.files import sha256

INDEX = Path(__file__).with_name("index.json")
CHECKOUT = Path(__file__).resolve().parents[2] / "monai_bundle" / "models"
VARIABLE = "MEDSYNTH_MODELS"
DISTRIBUTION = "medsynth_models"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ShippedNetwork:
    """A shipped network: bytes of its file, their hexadecimal SHA-256, license and expert of its header.

    `expert` is the shipped network that it calls for its fine levels; None: it does all by itself.
    """

    size: int
    sha256: str
    license: str
    expert: str | None = None


@cache
def index() -> Mapping[str, ShippedNetwork]:
    """Every shipped network, by the name of its file without the suffix."""
    entries = json.loads(INDEX.read_text(encoding="utf-8"))
    return {name: ShippedNetwork(**entry) for name, entry in entries.items()}


def folders() -> list[Path]:
    """The folders that are searched, in order, whether they exist or not.

    Raises:
        CheckpointError: `MEDSYNTH_MODELS` names no folder.
    """
    found = []
    if named := os.environ.get(VARIABLE):
        found.append(Path(named).expanduser())
        if not found[0].is_dir():
            raise CheckpointError(
                f"{VARIABLE} names {named}, which is no folder; correct or unset it"
            )
    found.append(CHECKOUT)
    installed = importlib.util.find_spec(DISTRIBUTION)
    if installed and installed.submodule_search_locations:
        found += [Path(place) for place in installed.submodule_search_locations]
    return [*found, cache_folder()]


def cache_folder() -> Path:
    """Where networks of this user lie (XDG base directories; `%LOCALAPPDATA%` on Windows)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "medsynth" / "models"


def locate(name: str) -> Path | None:
    """Where the network `name` lies, with or without its suffix; None where it is nowhere."""
    file = name.removesuffix(SUFFIX) + SUFFIX
    return next((folder / file for folder in folders() if (folder / file).is_file()), None)


def path(name: str) -> Path:
    """Where the network `name` lies, with or without its suffix.

    Raises:
        CheckpointError: it is in none of `folders()`; the message says how to get it.
    """
    found = locate(name)
    if found is not None:
        return found
    name = name.removesuffix(SUFFIX)
    near = difflib.get_close_matches(name, index(), n=1)
    if name not in index() and near:
        raise CheckpointError(f"no network {name!r} is shipped; did you mean {near[0]}?")
    places = ", ".join(str(folder) for folder in folders())
    raise CheckpointError(
        f"no weights {name}{SUFFIX} in {places}; train them with `medsynth train`, install "
        f"medsynth-models, name a folder in {VARIABLE}, or a file with `weights:`"
    )


def file_or_shipped(asked: Path | str) -> Path:
    """`asked` where it is a file, else the shipped network of that name, if there is one.

    Raises:
        CheckpointError: a shipped network that is in none of `folders()`.
    """
    given, name = Path(asked), str(asked).removesuffix(SUFFIX)
    return path(name) if name in index() and not given.is_file() else given


def verify(name: str) -> Path:
    """The file of a shipped network, once its bytes are those that were shipped.

    Raises:
        CheckpointError: unknown name, missing file, or other bytes than the index says.
    """
    name = name.removesuffix(SUFFIX)
    if name not in index():
        raise CheckpointError(f"no network {name!r} is shipped, expected {', '.join(index())}")
    file, expected = path(name), index()[name]
    size = file.stat().st_size
    if size != expected.size:
        raise CheckpointError(_other(file, name, f"{size} bytes, expected {expected.size}"))
    if (found := sha256(file)) != expected.sha256:
        raise CheckpointError(_other(file, name, f"SHA-256 {found}, expected {expected.sha256}"))
    return file


def _other(file: Path, name: str, found: str) -> str:
    return (
        f"{file} is not the {name} that was shipped: {found}; restore it, or name your own network "
        "with `weights:`"
    )


def entry(file: Path) -> ShippedNetwork:
    """What the index says about a weights file.

    Raises:
        CheckpointError: not a weights file of this program.
    """
    from medsynth.networks.checkpoint import read_metadata

    header = read_metadata(file)
    expert = (header.get("expert") or {}).get("weights")
    return ShippedNetwork(file.stat().st_size, sha256(file), header["license"], expert)


def write_index(models: Path = CHECKOUT, *, index_file: Path = INDEX) -> None:
    """Write the index of the networks in the folder `models`."""
    entries = {file.stem: asdict(entry(file)) for file in sorted(models.glob(f"*{SUFFIX}"))}
    index_file.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_index()
