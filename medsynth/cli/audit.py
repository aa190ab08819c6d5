"""`medsynth audit OUT --data FOLDER`: is a finished result too near to an image of training?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.events import Event, Listener

if TYPE_CHECKING:
    import numpy as np

    from medsynth.domains import Preset
    from medsynth.evaluation.memorization.audit import Calibration, RealImages
    from medsynth.evaluation.memorization.similarity import Gallery
    from medsynth.records.audit import Audit, Match
    from medsynth.training.recipe import Recipe

NEAR_COPY = 3

DESCRIPTION = """\
Compare the synthesized slices of OUT with every image that the recipe trains on, and write OUT/audit.json
(the verdict, the nearest images, the thresholds). The thresholds come from real images of different
patients; they are found once for a folder of images, which takes minutes, and kept. Exit code 3: a result
is a near copy. OUT/audit.png then shows it beside the training image, and medsynth send and the Slicer
module refuse OUT."""

EXAMPLES = """\
examples:
  medsynth audit out --data path/to/lung_ct --recipe lung_ct
  medsynth audit out-1 out-2 --data path/to/lung_ct --recipe my_recipe.yaml
  medsynth audit out --allow-near-copy out"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`audit` and its options."""
    parser = subparsers.add_parser(
        "audit",
        help="check that a result copies no training image",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "out", metavar="OUT", nargs="+", type=Path, help="folders made by synthesize"
    )
    parser.add_argument("--data", metavar="FOLDER", help="the images, as for `medsynth train`")
    parser.add_argument(
        "--recipe", metavar="RECIPE", help="what the network was trained with; says who is held out"
    )
    parser.add_argument(
        "--allow-near-copy",
        metavar="NAME",
        help="let the result of that name leave although it was found to be a near copy; who did so "
        "is recorded",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Audit every OUT, or allow what was audited."""
    outs = [_checked(out) for out in args.out]
    if args.allow_near_copy is not None:
        return _allow(args, outs, listener)
    if args.data is None or args.recipe is None:
        raise ValueError(
            "medsynth audit needs the images to compare with: --data FOLDER --recipe NAME"
        )
    from medsynth import domains as presets
    from medsynth.request import read_mapping
    from medsynth.training.recipe import load_recipe

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    preset = presets.get(recipe.preset)
    for out in outs:
        asked = read_mapping(out / "request.yaml").get("preset")
        if asked != preset.name:
            raise ValueError(
                f"{out} is of preset {asked}, the recipe {args.recipe} trains {preset.name}"
            )
    auditor = _Auditor(recipe, preset, listener)
    audits = {out: auditor.audit(out) for out in outs}
    for out, audit in audits.items():
        remark = f"{out}: {audit.verdict}"
        remark += "".join(f"; {match.sentence()}" for match in audit.copies[:1])
        listener(Event("result", message=remark, data={"out": str(out), **audit.to_dict()}))
    return NEAR_COPY if any(audit.copies for audit in audits.values()) else 0


def _checked(out: Path) -> Path:
    """The folder, which must be a result."""
    for name in ("image.nrrd", "request.yaml", "result.json"):
        if not (out / name).is_file():
            raise FileNotFoundError(
                f"{out} has no {name}; give the OUT folder of a synthesis whose output.write has nrrd"
            )
    return out.resolve()


def _allow(args: argparse.Namespace, outs: list[Path], listener: Listener) -> int:
    from medsynth.records.audit import ANYWHERE, check_export

    if args.data is not None or args.recipe is not None or len(outs) != 1:
        raise ValueError(
            "--allow-near-copy is for one result that was audited before, without --data and --recipe"
        )
    remark, _ = check_export(outs[0], allow=args.allow_near_copy, to=ANYWHERE)
    listener(Event("result", message=f"{outs[0]}: {remark}"))
    return 0


class _Auditor:
    """The training images, transformed once, and the thresholds."""

    def __init__(self, recipe: Recipe, preset: Preset, listener: Listener):
        from medsynth.datasets.data import load_slices, read_split
        from medsynth.evaluation.memorization.audit import RealImages
        from medsynth.evaluation.memorization.similarity import Gallery

        self.preset, self.listener = preset, listener
        split = read_split(recipe.data)
        options: dict[str, Any] = {"preset": preset, "split": split, "listener": listener}
        slices = [load_slices(recipe.data, **options)]
        if split.part(held_out=True):
            slices.append(load_slices(recipe.data, held_out=True, **options))
        parts = [RealImages(s.images, s.patients, s.series) for s in slices]
        self.training: RealImages = parts[0]
        held_out = parts[1] if len(parts) == 2 else None
        self.gallery: Gallery = Gallery(self.training.images, to_unit=preset.intensity.to_unit)
        self.digest = "-".join(s.digest for s in slices)
        self.calibration = _calibrated(self, held_out)

    def audit(self, out: Path) -> Audit:
        """Compare the synthesized slices of OUT, and write what was found."""
        from medsynth.evaluation.memorization import audit as memorisation
        from medsynth.records.audit import Audit, now, sha256_of_image

        planes, first = synthesized(out, preset=self.preset)
        matches = memorisation.nearest_images(
            planes,
            self.gallery,
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
            worst=memorisation.worst(matches),
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
        from PIL import Image

        from medsynth.evaluation.memorization.audit import pair_picture
        from medsynth.marking import png_chunks
        from medsynth.storage.files import new_file

        pair = pair_picture(planes[match.slice - first], match, self.training, preset=self.preset)
        with new_file(out / "audit.png", overwrite=True) as file:
            Image.fromarray(pair).save(file, pnginfo=png_chunks())


def synthesized(out: Path, *, preset: Preset) -> tuple[np.ndarray, int]:
    """The slices of OUT that were synthesized, (N, H, W) on the preset's grid, and the first's index."""
    import json

    import SimpleITK as sitk

    from medsynth.images import fit_to_grid

    first, last = json.loads((out / "result.json").read_text(encoding="utf-8"))["slices"]
    image = sitk.ReadImage(str(out / "image.nrrd"))[:, :, first : last + 1]
    fitted = fit_to_grid(image, preset.grid, air=preset.air, pixel_mm=preset.pixel_mm)
    return sitk.GetArrayFromImage(fitted).astype("float32"), first


def _calibrated(auditor: _Auditor, held_out: RealImages | None) -> Calibration:
    """The thresholds for these images: those that were kept, or new ones."""
    import json

    from medsynth.evaluation.memorization.audit import METHOD, Calibration, calibrate
    from medsynth.pacs.folders import configuration_folder
    from medsynth.storage.files import new_file

    file = configuration_folder() / "audits" / f"{auditor.digest}-{METHOD}.json"
    if file.exists():
        try:
            return Calibration(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            auditor.listener(Event("warning", message=f"{file} is damaged and is made again"))
    calibration = calibrate(auditor.gallery, auditor.training, held_out, listener=auditor.listener)
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file, overwrite=True) as partial:
        partial.write_text(json.dumps(calibration.to_dict(), indent=2) + "\n", encoding="utf-8")
    return calibration
