"""Several systems' images of one domain beside real ones: the same figures for each, on one page.

Images are not guided by a real one, so that they are paired with real ones at random. The floor is what
the same figure gives for real images of other people, as many of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth import __version__, domains
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.domains import Preset
from medsynth.evaluation import figures
from medsynth.evaluation.comparison_page import write_comparison_page
from medsynth.evaluation.held_out import Pairs, body
from medsynth.evaluation.kept_figures import KeptFigures, key_of
from medsynth.evaluation.lesion_fidelity.figure import wilson
from medsynth.evaluation.memorization.audit import METHOD, nearest_images
from medsynth.evaluation.memorization.auditor import Auditor
from medsynth.evaluation.metrics import two_sample
from medsynth.evaluation.metrics.base import MetricInputs
from medsynth.events import Event, Listener, ignore
from medsynth.images import fit_to_grid, read_image
from medsynth.registry import unknown
from medsynth.storage.files import new_file
from medsynth.storage.folders import check_output
from medsynth.training.recipe import Recipe

FIGURES = ("two_sample", "features", "diversity", "memorization")
FEWEST = 8  # as for an evaluation: four to learn from, four to test on
REAL = "real, other people"
MEASURED = "measured.json"
WRITTEN = ("compare.html", "compare.json", MEASURED)


@dataclass(frozen=True, eq=False)
class SystemImages:
    """What one run of `medsynth generate` left: `images` (N, H, W) on the domain's grid."""

    name: str
    folder: Path
    images: np.ndarray
    license: str
    seconds: float | None
    memory_mb: float | None
    side: int


@dataclass(eq=False)
class SystemComparison:
    """Compares folders of `medsynth generate`.

    Attributes:
        folders: one of each system, or of each setting of one.
        recipe: says where the real images are, and who is held out.
        out: the folder for compare.html and compare.json.
        only: names of `FIGURES`.
        most: use at most so many images of each.
        settings: of metrics, as in `MetricInputs`.

    Raises:
        ValueError, OSError: what cannot be compared or written is refused before anything is measured.
    """

    folders: Sequence[Path]
    recipe: Recipe
    out: Path
    only: Sequence[str] = FIGURES
    most: int = 48
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    listener: Listener = ignore

    def __post_init__(self) -> None:
        self.preset = domains.get(self.recipe.preset)
        for name in self.only:
            if name not in FIGURES:
                raise unknown("figure", name, FIGURES)
        if self.most < FEWEST:
            raise ValueError(f"most must be at least {FEWEST}, got {self.most}")
        check_output(self.out, overwrite=True, contents=WRITTEN)
        self.kept = KeptFigures(self.out / MEASURED)
        self.split = read_split(self.recipe.data)
        names = _names(self.folders)
        self.systems = [
            read_system(f, n, self.preset, most=self.most)
            for f, n in zip(self.folders, names, strict=True)
        ]

    def run(self) -> dict[str, Any]:
        """Measure and write; what compare.json holds. What an earlier run measured is taken over.

        Raises:
            ValueError: too few images, of a system or of people held out.
            KeyboardInterrupt: stopped; the message says that what was measured is kept.
        """
        try:
            return self._run()
        except KeyboardInterrupt:
            if not self.kept.found:
                raise
            raise KeyboardInterrupt(
                f"stopped; {len(self.kept.found)} parts are measured and kept in {self.out / MEASURED}; the same "
                "command goes on there"
            ) from None

    def _run(self) -> dict[str, Any]:
        first, other = two_groups(self._held_out, seed=self.seed)
        real = self._held_out.images
        count = min(len(first), len(other), *(len(s.images) for s in self.systems), self.most)
        if count < FEWEST:
            raise ValueError(
                f"{count} images are left of the smallest part (systems, and two halves of {len(real)} "
                f"real images of people held out); at least {FEWEST} of each are needed"
            )
        parts = {s.name: s.images[:count] for s in self.systems}
        parts[REAL] = real[other[:count]].astype(np.float32)
        guides = real[first[:count]].astype(np.float32)
        owners = tuple(self._held_out.patients[k] for k in first[:count])
        found = self._two_sample_tests(guides, parts, owners)
        of_real: dict[str, Any] = {}
        for number, (name, images) in enumerate(parts.items(), 1):
            words = f"figures of {name} ({number} of {len(parts)})"
            self.listener(Event("estimate", message=words))
            pairs = Pairs(guides, images, (None,) * count, owners)
            found[name] |= self._measured(pairs, of_real)
        self._find_copies(found)
        record = self._record(found, count)
        self._write(record, parts)
        return record

    @cached_property
    def _held_out(self) -> Slices:
        return self._load(held_out=True)

    @cached_property
    def _training(self) -> Slices:
        return self._load(held_out=False)

    def _load(self, *, held_out: bool) -> Slices:
        return load_slices(
            self.recipe.data,
            preset=self.preset,
            held_out=held_out,
            split=self.split,
            listener=self.listener,
        )

    def _two_sample_tests(
        self, real: np.ndarray, parts: dict[str, np.ndarray], owners: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        """By name, the two-sample test where it is wanted; all share the real patches and the floor."""
        if "two_sample" not in self.only:
            return {name: {} for name in parts}
        tests = two_sample.paired_tests(
            real,
            parts,
            body(real, preset=self.preset),
            windows=self.preset.windows,
            patients=owners,
            budget=self.settings.get("two_sample"),
            seed=self.seed,
            kept=self.kept,
            listener=self.listener,
        )
        return {name: {"two_sample": test} for name, test in tests.items()}

    def _measured(self, pairs: Pairs, of_real: dict[str, Any]) -> dict[str, Any]:
        """The figures that take little time."""
        wanted = [key for key in self.only if key not in ("two_sample", "memorization")]
        learned = "features" in wanted
        key = key_of(
            *(pairs.real, pairs.synthetic, pairs.owners, wanted, self.preset.name, self.seed),
            *(self._training.digest if learned else "", sorted(self.settings.items())),
        )

        def measure() -> dict[str, Any]:
            inputs = MetricInputs(
                pairs,
                self.preset,
                training=(lambda: self._training.images) if learned else None,
                seed=self.seed,
                settings=self.settings,
                of_real=of_real,
            )
            return figures.measure(inputs, only=wanted, listener=self.listener)[0]

        return self.kept.once(key, measure)

    def _find_copies(self, found: dict[str, dict[str, Any]]) -> None:
        """Adds, for every system, how many images are near copies of training images."""
        if "memorization" not in self.only:
            return
        digests = METHOD, self._training.digest, self._held_out.digest
        for number, system in enumerate(self.systems, 1):
            words = f"near copies of {system.name} ({number} of {len(self.systems)})"
            self.listener(Event("estimate", message=words))
            key = key_of("near copies", *digests, system.images)
            copies = self.kept.once(key, partial(self._copies_of, system.images))
            found[system.name]["memorization"] = copies

    @cached_property
    def _auditor(self) -> Auditor:
        """With the thresholds, which all systems share."""
        slices = (self._training, self._held_out)
        return Auditor(self.recipe, self.preset, self.listener, slices=slices)

    def _copies_of(self, images: np.ndarray) -> dict[str, Any]:
        auditor = self._auditor
        matches = nearest_images(
            images,
            auditor.reference_index,
            auditor.training,
            auditor.calibration,
            listener=self.listener,
        )
        copies = [[m for m in each if m.is_copy] for each in matches]
        near = sum(map(bool, copies))
        return {
            "near_copies": near,
            "images": len(matches),
            "interval": list(wilson(near, len(matches))),
            "copies": [asdict(match) for each in copies for match in each],
            "controls": auditor.calibration.controls,
        }

    def _record(self, found: dict[str, dict[str, Any]], count: int) -> dict[str, Any]:
        return {
            "medsynth": __version__,
            "preset": self.preset.name,
            "images_of_each": count,
            "data": self.recipe.data.statement,
            "floor": f"{REAL}: as many real images of other people, against the same real images",
            "systems": {
                s.name: {
                    "folder": str(s.folder),
                    "license": s.license,
                    "seconds_per_image": s.seconds,
                    "memory_mb": s.memory_mb,
                    "pixels": s.side,
                    "figures": found[s.name],
                }
                for s in self.systems
            },
            "real": {"figures": found[REAL]},
        }

    def _write(self, record: dict[str, Any], parts: dict[str, np.ndarray]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        with new_file(self.out / "compare.html", overwrite=True) as file:
            write_comparison_page(file, record=record, parts=parts, preset=self.preset)
        with new_file(self.out / "compare.json", overwrite=True) as file:
            file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        words = f"wrote {self.out / 'compare.html'}"
        self.listener(Event("result", message=words, data={"page": str(self.out / "compare.html")}))


def two_groups(real: Slices, *, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the images of two groups of people with about as many images each."""
    people = sorted(set(real.patients))
    order = np.random.default_rng(seed).permutation(len(people))
    groups: tuple[list[int], list[int]] = ([], [])
    for place in order:
        mine = [k for k, owner in enumerate(real.patients) if owner == people[place]]
        smaller = groups[0] if len(groups[0]) <= len(groups[1]) else groups[1]
        smaller.extend(mine)
    return groups


def read_system(folder: Path, name: str, preset: Preset, *, most: int) -> SystemImages:
    """The images of a folder of `medsynth generate`, in the domain's units and on its grid.

    Raises:
        ValueError: no such folder, of another domain, or damaged.
    """
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        records = [r for r in result["images"] if "file" in r][:most]
        system = result["system"]
    except FileNotFoundError:
        raise ValueError(
            f"{folder} holds no result.json; expected a folder that `medsynth generate` wrote"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / 'result.json'} is damaged ({error}); generate again"
        ) from error
    of = result["request"].get("preset")
    if of and of != preset.name:
        raise ValueError(f"{folder} holds images of {of}; this comparison is of {preset.name}")
    if len(records) < FEWEST:
        raise ValueError(f"{folder} holds {len(records)} images; at least {FEWEST} are needed")
    images = [_on_grid(folder / r["file"], preset) for r in records]
    sides = [side for _, side in images]
    return SystemImages(
        name,
        folder,
        np.stack([image for image, _ in images]),
        system["license"],
        _mean([r.get("seconds") for r in records]),
        _mean([r.get("memory_mb") for r in records]),
        sides[0],
    )


def _on_grid(file: Path, preset: Preset) -> tuple[np.ndarray, int]:
    read = read_image(file)
    image = sitk.Cast(read.image, sitk.sitkFloat32)
    side = image.GetSize()[0]
    if preset.units != "HU":
        low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
        values = sitk.GetArrayFromImage(image)
        deep = values.max() > high
        scaled = sitk.GetImageFromArray(
            (values * (high / 65535) if deep else values).clip(low, high)
        )
        scaled.CopyInformation(image)
        image = scaled
    image = fit_to_grid(image, preset.grid, air=preset.air, pixel_mm=None)
    return sitk.GetArrayFromImage(image)[0], side


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _names(folders: Sequence[Path]) -> list[str]:
    """Names of folders, with their parents where several are called the same."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) == len(names):
        return names
    return [str(folder) for folder in folders]
