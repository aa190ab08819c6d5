"""The kinds of lesion of the domain and the saved ones as pictures to choose from; a marked lesion is saved here."""

from __future__ import annotations

import asyncio
import base64
import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.lesions import thumbnail
from medsynth.scene import lesion_cards, nodes, region
from medsynth.scene.lesion_cards import LesionCard
from medsynth.serve.jobs import ServedJob
from medsynth.storage import saved_lesions

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

NEVER = -1


class LesionCards:
    """What a visitor chooses a lesion from.

    Args:
        desk: the session's.
        own: whether lesions are kept where every door of who runs the server finds them; else they are gone
            with the session.
    """

    def __init__(self, desk: Desk, own: bool) -> None:
        self.desk, self.state, self.own = desk, desk.state, own
        self.store = None if own else desk.folder / "lesions"
        self.drawing: asyncio.Task[None] | None = None
        self.state.update({"gallery_for": NEVER, "kind_cards": [], "saved_cards": []})
        self.state.update({"save_for": NEVER, "save_name": "", "own_store": own})

    def refresh(self) -> None:
        """The cards of the domain, and those that are saved; kinds without a picture are being drawn."""
        preset = self.desk.preset
        self.state.kind_cards = [_card(each) for each in lesion_cards.kinds(preset)]
        self.state.saved_cards = [
            {"name": c.name, "size": c.size, "note": c.words, "picture": _picture(c.picture)}
            for c in lesion_cards.mine(preset, self.store)
        ]
        missing = [card for card in self.state.kind_cards if not card["picture"]]
        if missing and (self.drawing is None or self.drawing.done()):
            self.drawing = asyncio.ensure_future(self._draw(preset.name))

    async def _draw(self, preset: str) -> None:
        """In a process apart, beside whatever runs; kept on disk for every later session."""
        job = ServedJob("pictures", self.desk.folder)
        command = ["medsynth.cli.attached", "lesions", "pictures", "--preset", preset]
        await self.desk.runs.jobs.follow(job, [*command, "--progress", "json"])
        if preset == self.desk.preset.name and job.state == "running":
            self.state.kind_cards = [_card(each) for each in lesion_cards.kinds(self.desk.preset)]
            self.state.flush()

    def picture_of(self, lesion: Any) -> str:
        """Of what a pathology is to be; empty while it is not drawn."""
        if lesion.saved is not None:
            return _picture(lesion.saved.picture)
        return _picture(thumbnail.file_of(lesion.kind, self.desk.preset))

    def open(self, index: int) -> None:
        """Show it, for one pathology."""
        self.refresh()
        self.state.gallery_for = index

    def close(self) -> None:
        """Choose nothing."""
        self.state.gallery_for = NEVER

    def choose(self, key: str, value: str) -> None:
        """A kind, or a saved lesion by its name."""
        index = self.state.gallery_for
        self.close()
        found: Any = saved_lesions.find(value, self.store) if key == "saved" else value
        self.desk.set_lesion(index, key, found)

    def ask(self, index: int) -> None:
        """Show the question for the name under which a marked lesion is saved."""
        self.state.update({"save_for": index, "save_name": ""})

    def cancel(self) -> None:
        """Do not save."""
        self.state.save_for = NEVER

    async def save(self) -> None:
        """Cut what is marked out of the reference, and keep it.

        Raises:
            ValueError: nothing is marked, or the name cannot be or is taken.
        """
        index, name = self.state.save_for, " ".join(str(self.state.save_name).split())
        saved_lesions.check_name(name)
        if any(each.name == name for each in saved_lesions.saved(self.store)):
            raise ValueError(f"A lesion is saved as {name!r} already. Choose another name.")
        reference, lesion = self.desk.anatomy.reference, self.desk.lesions.all[index]
        folder = self.desk.new_folder()
        places = region.entries(lesion.where, reference, lesion.diameter, folder, index + 1)
        source = self.desk.anatomy.source
        image = source or nodes.write_volume(reference, folder / "reference.nrrd")
        mask = places[0]["roi"]
        note = f"marked on the page in {'a DICOM series' if source else reference.GetName()}"
        command = ["medsynth.cli.attached", "lesions", "save", name, "--image", str(image)]
        command += ["--mask", mask, "--preset", self.desk.preset.name, "--note", note]
        command += ["--store", str(self.store)] if self.store else []
        self.cancel()
        try:
            await self.desk.runs.helper("Saving the lesion", [*command, "--progress", "json"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.refresh()
        self.desk.say(f"Saved as {name!r}. The gallery of every pathology has it now.")

    def forget(self, name: str) -> None:
        """Delete a saved lesion; a pathology that is to be it becomes one of its kind."""
        saved_lesions.remove(name, self.store)
        for lesion in self.desk.lesions.all:
            if lesion.saved is not None and lesion.saved.name == name:
                lesion.saved = None
        self.desk.forget_steps()
        self.refresh()


def _card(card: LesionCard) -> dict[str, str]:
    said = {key: getattr(card, key) for key in ("title", "size", "margin", "density", "words")}
    return {"kind": card.name, "picture": _picture(card.picture), **said}


def _picture(file: Path) -> str:
    """As the address of an image; empty while it is not there."""
    return _address(file, file.stat().st_mtime_ns) if file.is_file() else ""


@functools.lru_cache(64)
def _address(file: Path, _: int) -> str:
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode("ascii")
