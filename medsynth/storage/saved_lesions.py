"""The lesions that this user saved, by name: cut out of an annotated image, with where they come from.

DATA/lesions/NAME/    image.nrrd  mask.nrrd  picture.png  about.json

A request says `source: {saved: NAME}`; the page, the Slicer module and `medsynth lesions` show the same ones.
Nobody else reads them: they may come from a patient.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from medsynth.storage.folders import new_folder
from medsynth.storage.user_folders import data_folder

IMAGE, MASK, PICTURE, ABOUT = "image.nrrd", "mask.nrrd", "picture.png", "about.json"
NAME = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,47}"


@dataclass(frozen=True)
class SavedLesion:
    """One of them.

    `preset`: the domain whose images it can be put into; `origin`: what it was cut out of, when, and what
    was measured then, without anything that names a patient.
    """

    name: str
    preset: str
    diameter_mm: float
    origin: dict[str, Any] = field(default_factory=dict, compare=False)
    folder: Path = Path()

    @property
    def image(self) -> Path:
        """The image around it."""
        return self.folder / IMAGE

    @property
    def mask(self) -> Path:
        """What marks it there."""
        return self.folder / MASK

    @property
    def picture(self) -> Path:
        """The slice through its middle."""
        return self.folder / PICTURE

    def source(self) -> dict[str, str]:
        """As a request says it: by name where every door finds it, else by its files."""
        if self.folder.parent == own_store():
            return {"saved": self.name}
        return {"image": str(self.image), "mask": str(self.mask)}


def own_store() -> Path:
    """Where this user's lie; `MEDSYNTH_HOME` overrides the platform's place."""
    return data_folder() / "lesions"


def check_name(name: str) -> str:
    """The name.

    Raises:
        ValueError: none that can be.
    """
    if not re.fullmatch(NAME, name) or name.endswith((" ", ".")):
        raise ValueError(
            "a saved lesion's name is 1 to 48 letters, digits, spaces and . _ - , beginning with a "
            f"letter or digit; got {name[:60]!r}"
        )
    return name


def saved(store: Path | None = None) -> list[SavedLesion]:
    """All of them, by name.

    Raises:
        ValueError: one is damaged.
    """
    folder = store or own_store()
    if not folder.is_dir():
        return []
    return [_read(path) for path in sorted(folder.iterdir()) if re.fullmatch(NAME, path.name)]


def find(name: str, store: Path | None = None) -> SavedLesion:
    """The one of that name.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    folder = (store or own_store()) / check_name(name)
    if not folder.is_dir():
        known = [each.name for each in saved(store)]
        close = get_close_matches(name, known, n=1)
        suggestion = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"no lesion is saved as {name!r} (saved: {', '.join(known) or 'none'}){suggestion} "
            "medsynth lesions lists them"
        )
    return _read(folder)


def _read(folder: Path) -> SavedLesion:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        found = SavedLesion(folder=folder, **about)
        if found.name != folder.name or not found.image.is_file() or not found.mask.is_file():
            raise ValueError("its files are not those that were saved")
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"the saved lesion {folder} cannot be read ({error}); remove the folder"
        ) from None
    return found


@contextmanager
def adding(lesion: SavedLesion, store: Path | None = None) -> Iterator[Path]:
    """`with adding(lesion) as folder:` write image, mask and picture; it is then there, or nothing is.

    Raises:
        FileExistsError: one of that name is there.
    """
    target = (store or own_store()) / check_name(lesion.name)
    if target.exists():
        raise FileExistsError(f"a lesion is saved as {lesion.name!r} already; choose another name")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with new_folder(target, private=True) as hidden:
        yield hidden
        about = {key: value for key, value in asdict(lesion).items() if key != "folder"}
        (hidden / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def remove(name: str, store: Path | None = None) -> None:
    """Delete one, with its files.

    Raises:
        ValueError: there is none of that name.
    """
    folder = (store or own_store()) / check_name(name)
    if not folder.is_dir():
        find(name, store)
    shutil.rmtree(folder)
