"""What a lesion can be, as cards to choose from: the kinds of a domain and the lesions that this user saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medsynth.domains.lesion_kinds import KINDS
from medsynth.lesions import thumbnail
from medsynth.scene.vocabulary import KIND_TITLES
from medsynth.storage import saved_lesions


@dataclass(frozen=True)
class LesionCard:
    """A kind, or a saved lesion (`saved`), by its `name`; `picture` may not be there yet.

    `size`, `margin`, `density` and `words` are a radiologist's; of a saved lesion `words` are its note.
    """

    name: str
    saved: bool
    title: str
    picture: Path
    size: str = ""
    margin: str = ""
    density: str = ""
    words: str = ""

    @property
    def has_picture(self) -> bool:
        """Whether it can be shown."""
        return self.picture.is_file()


def kinds(preset: Any) -> list[LesionCard]:
    """Those that the domain draws."""
    return [_kind(name, preset) for name in preset.lesion_kinds]


def _kind(name: str, preset: Any) -> LesionCard:
    kind = KINDS[name]
    seen = asdict(kind.reading) if kind.reading else {}
    picture = thumbnail.file_of(name, preset)
    return LesionCard(name, False, KIND_TITLES[name], picture, words=kind.words, **seen)


def mine(preset: Any, store: Path | None = None) -> list[LesionCard]:
    """The saved ones that fit into images of the domain.

    Raises:
        ValueError: one is damaged.
    """
    return [
        LesionCard(
            *(each.name, True, each.name, each.picture, f"{each.diameter_mm:.0f} mm"),
            words=str(each.origin.get("note", "")),
        )
        for each in saved_lesions.saved(store)
        if each.preset == preset.name
    ]
