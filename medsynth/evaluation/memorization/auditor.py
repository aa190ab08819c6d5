"""Finished results compared with the images that their network was trained on, one after another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.domains import Preset
from medsynth.evaluation.memorization import audit as memorization
from medsynth.evaluation.memorization.audit import (
    METHOD,
    Calibration,
    RealImages,
    calibrate,
    pair_picture,
)
from medsynth.evaluation.memorization.similarity import ReferenceIndex
from medsynth.events import Event, Listener
from medsynth.images import fit_to_grid
from medsynth.marking import png_chunks
from medsynth.records.audit import Audit, Match, now, sha256_of_image
from medsynth.storage.files import new_file
from medsynth.storage.user_folders import configuration_folder
from medsynth.training.recipe import Recipe


class Auditor:
    """The training images, transformed once, and the thresholds.

    `slices`: those of the training people and of the people held out, where they are loaded already.
    """

    def __init__(
        self,
        recipe: Recipe,
        preset: Preset,
        listener: Listener,
        *,
        slices: Sequence[Slices] = (),
    ):
        self.preset, self.listener = preset, listener
        slices = slices or _loaded(recipe, preset, listener)
        parts = [RealImages(s.images, s.patients, s.series) for s in slices]
        self.training: RealImages = parts[0]
        held_out = parts[1] if len(parts) == 2 else None
        self.reference_index: ReferenceIndex = ReferenceIndex(
            self.training.images, to_unit=preset.intensity.to_unit
        )
        self.digest = "-".join(s.digest for s in slices)
        self.calibration = _calibrated(self, held_out)

    def audit(self, out: Path) -> Audit:
        """Compare the synthesized slices of OUT, and write what was found."""
        planes, first = synthesized(out, preset=self.preset)
        matches = memorization.nearest_images(
            planes,
            self.reference_index,
            self.training,
            self.calibration,
            first=first,
            listener=self.listener,
        )
        audit = Audit(
            image_sha256=sha256_of_image(out),
            training={
                "images": len(self.training.images),
                "patients": len(set(self.training.patients)),
                "digest": self.digest,
            },
            worst=memorization.worst(matches),
            slices=len(planes),
            controls=self.calibration.controls,
            created=now(),
        )
        (out / "audit.png").unlink(missing_ok=True)
        # A result that copies nobody must not get a patient's image into its folder.
        if audit.copies:
            self._draw(out, planes, first, audit.copies[0])
        audit.write(out)
        return audit

    def _draw(self, out: Path, planes: np.ndarray, first: int, match: Match) -> None:
        pair = pair_picture(planes[match.slice - first], match, self.training, preset=self.preset)
        with new_file(out / "audit.png", overwrite=True) as file:
            Image.fromarray(pair).save(file, pnginfo=png_chunks())


def synthesized(out: Path, *, preset: Preset) -> tuple[np.ndarray, int]:
    """The slices of OUT that were synthesized, (N, H, W) on the preset's grid, and the first's index."""
    first, last = json.loads((out / "result.json").read_text(encoding="utf-8"))["slices"]
    image = sitk.ReadImage(str(out / "image.nrrd"))[:, :, first : last + 1]
    fitted = fit_to_grid(image, preset.grid, air=preset.air, pixel_mm=preset.pixel_mm)
    return sitk.GetArrayFromImage(fitted).astype("float32"), first


def _loaded(recipe: Recipe, preset: Preset, listener: Listener) -> list[Slices]:
    split = read_split(recipe.data)
    options: dict[str, Any] = {"preset": preset, "split": split, "listener": listener}
    slices = [load_slices(recipe.data, **options)]
    if split.part(held_out=True):
        slices.append(load_slices(recipe.data, held_out=True, **options))
    return slices


def _calibrated(auditor: Auditor, held_out: RealImages | None) -> Calibration:
    """The thresholds for these images: those that were kept, or new ones."""
    file = configuration_folder() / "audits" / f"{auditor.digest}-{METHOD}.json"
    if file.exists():
        try:
            return Calibration(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            auditor.listener(Event("warning", message=f"{file} is damaged and is made again"))
    calibration = calibrate(
        auditor.reference_index, auditor.training, held_out, listener=auditor.listener
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file, overwrite=True) as partial:
        partial.write_text(json.dumps(calibration.to_dict(), indent=2) + "\n", encoding="utf-8")
    return calibration
