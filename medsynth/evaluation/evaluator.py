"""An evaluation from the held-out patients to the page: what `medsynth evaluate` and the bundle run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medsynth import __version__, domains, threads
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.datasets.split_record import check_evaluated
from medsynth.datasets.splits import Split
from medsynth.diffusion.denoiser import Denoiser
from medsynth.domains import Preset
from medsynth.evaluation import audits, figures, held_out
from medsynth.evaluation.learned_features import ImageNet
from medsynth.evaluation.metrics.base import MetricInputs
from medsynth.evaluation.names import AUDITS, METRICS
from medsynth.evaluation.page import write_page
from medsynth.events import Event, Listener, ignore
from medsynth.networks import load_denoiser, sha256
from medsynth.networks.domain_weights import check_metadata
from medsynth.networks.experts import check_calls, expert_file
from medsynth.storage import aliases
from medsynth.storage.files import check_new_file, new_file
from medsynth.storage.folders import check_output
from medsynth.training.recipe import Recipe

OUTPUTS = ("figures.json", "report.html", "sheet.png")
PAIRS = "pairs.npz"
FEWEST = 8  # four to learn from, four to test on


@dataclass(eq=False)
class Evaluator:
    """Synthetic slices beside the real ones that guided them, and every figure about them.

    Attributes:
        recipe: says who is held out, and where the images are.
        out: the folder of page and figures.
        weights: the file of the network that is evaluated.
        denoiser: what samples; None loads that of `weights` when it is needed.
        expert: the file of the network for the fine levels, `none`, or None: as `weights` say,
            with `steps` of the preset's network of few calls that one.
        factor, sampler: of the anatomy's guidance; None is the preset's.
        slices: how many slices are synthesized, at least 8.
        steps: NFE of each.
        seed: of noise and figures.
        only: names of figures; None measures all.
        unguided: free samples in which copies of training images are looked for.
        nodules: how many nodules are placed to see whether they are found.
        imagenet: a ResNet-50 whose features are added.
        low_pass_weights: what draws the low-pass images of free samples; None is the preset's.
        reuse: take the slices of an earlier run from `out`.
        overwrite: replace an earlier run in `out`.
        images: called with `held_out`, reads those slices of the recipe; None reads the recipe's own.
        threads: that compute on the CPU; None leaves their number.

    Raises:
        ValueError, CheckpointError, OSError: what could not be evaluated or written is refused at
            once, before anything is synthesized.
    """

    recipe: Recipe
    out: Path
    weights: Path
    denoiser: Denoiser | None = None
    expert: Path | str | None = None
    factor: int | None = None
    sampler: str | None = None
    slices: int = 24
    steps: int = 20
    seed: int = 0
    only: Sequence[str] | None = None
    unguided: int = 8
    nodules: int = 0
    imagenet: Path | None = None
    low_pass_weights: Path | None = None
    reuse: bool = False
    overwrite: bool = False
    listener: Listener = ignore
    images: Callable[..., Slices] | None = None
    threads: int | None = None
    preset: Preset = field(init=False)
    split: Split = field(init=False)

    def __post_init__(self) -> None:
        self.preset = domains.get(self.recipe.preset)
        # A network that is handed over is drawn with as it is.
        own = self.denoiser is None and self.weights.name == self.preset.weights
        if own and self.expert is None and self.sampler is None:
            self.expert, self.sampler = self.preset.drawn_with(self.steps)
        self._chosen = _chosen(self.only)
        threads.choose(self.threads)
        if self.slices < FEWEST:
            raise ValueError(
                f"slices must be at least {FEWEST} (four to learn from), got {self.slices}"
            )
        self._check_out()
        audits.check_nodules(self.nodules, self.preset)
        metadata = check_metadata(self.weights, self.preset)
        self.split = read_split(self.recipe.data)
        check_evaluated(self.split, metadata, weights=self.weights)
        self._expert = expert_file(self.weights, metadata, self.expert)
        check_calls(self._expert, steps=self.steps, sampler=self.sampler or self.preset.sampler)
        if self._expert is not None:
            check_evaluated(self.split, self._expert.metadata, weights=self._expert.path)
        self._drop_what_cannot_be_audited()
        self._low_pass = audits.low_pass_of(
            self.low_pass_weights,
            metadata,
            self.preset,
            split=self.split,
            free=self.unguided if "memorization" in self._chosen else 0,
            listener=self.listener,
        )
        self._imagenet = None if self.imagenet is None else ImageNet(self.imagenet)

    def run(self) -> dict[str, Any]:
        """Synthesize, measure and write; what `figures.json` holds.

        Raises:
            KeyboardInterrupt: the user stopped it; with slices that are kept, its message says so.
        """
        with threads.using(self.threads):
            return self._run()

    def _run(self) -> dict[str, Any]:
        pairs = self._pairs()
        try:
            found, drawn = figures.measure(
                self._inputs(pairs),
                only=[name for name in self._chosen if name in METRICS],
                listener=self.listener,
            )
            sections = self._audit(pairs, found)
        except KeyboardInterrupt:
            kept = self.out / PAIRS
            raise KeyboardInterrupt(
                f"stopped; the slices are in {kept}, and --reuse goes on from there"
            ) from None
        record = self._record(pairs, found)
        self._write(record, pairs, drawn, sections)
        words = f"wrote {self.out / 'report.html'}"
        self.listener(Event("result", message=words, data=record))
        return record

    @cached_property
    def made_by(self) -> dict[str, Any]:
        """What the slices depend on."""
        used = None if self._expert is None else self._expert.checkpoint()
        expert = {} if used is None else {"expert": used.name, "expert_sha256": used.sha256}
        return {
            "weights": self.weights.name,
            "weights_sha256": sha256(self.weights),
            **expert,
            "preset": self.preset.name,
            "slices_asked": self.slices,
            "factor": self.factor or self.preset.anatomy_factor,
            "nfe": self.steps,
            "sampler": self.sampler or self.preset.sampler,
            "seed": self.seed,
        }

    def _read(self, *, held_out: bool) -> Slices:
        if self.images is not None:
            return self.images(held_out=held_out)
        return load_slices(
            self.recipe.data,
            preset=self.preset,
            split=self.split,
            held_out=held_out,
            listener=self.listener,
        )

    def _network(self) -> Denoiser:
        return self.denoiser or load_denoiser(self.weights, expert=self.expert)

    def _pairs(self) -> held_out.Pairs:
        """The slices: those of an earlier run, or new ones, which are kept."""
        if self.reuse:
            return held_out.load_pairs(self.out / PAIRS, made_by=self.made_by)
        real = self._read(held_out=True)
        chosen = held_out.choose(real.patients, self.slices)
        pairs = held_out.synthesize_pairs(
            self._network(),
            real.images[chosen].astype("float32"),
            preset=self.preset,
            factor=self.made_by["factor"],
            steps=self.steps,
            sampler=self.sampler,
            seed=self.seed,
            patients=tuple(real.patients[k] for k in chosen),
            listener=self.listener,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        with new_file(self.out / PAIRS, overwrite=self.overwrite) as file:
            held_out.save_pairs(pairs, file, made_by=self.made_by)
        return pairs

    def _inputs(self, pairs: held_out.Pairs) -> MetricInputs:
        return MetricInputs(
            pairs,
            self.preset,
            training=lambda: self._read(held_out=False).images,
            imagenet=self._imagenet,
            seed=self.seed,
        )

    def _audit(self, pairs: held_out.Pairs, found: dict[str, dict]) -> list[tuple[str, str]]:
        """Adds the figures that need samples of their own to `found`; their sections of the page."""
        samples = audits.Samples(
            self.out, self.made_by, self.preset, self._network, self.listener, self._low_pass
        )
        sections = []
        if "memorization" in self._chosen:
            parts = [self._read(held_out=part) for part in (False, True)]
            found["memorization"], more = audits.memorization(
                samples, pairs, *parts, unguided=self.unguided
            )
            sections += more
        if self.nodules:
            found["nodules"], section = audits.nodules(samples, self.split, count=self.nodules)
            sections.append(section)
        return sections

    def _check_out(self) -> None:
        """Refuse what could not be written."""
        if not self.out.exists():
            check_output(self.out)
            return
        if not self.reuse:
            for name in (*OUTPUTS, PAIRS):
                check_new_file(self.out / name, overwrite=self.overwrite)

    def _drop_what_cannot_be_audited(self) -> None:
        """Without a word about figures, memorization is measured where it can be."""
        if "memorization" not in self._chosen:
            return
        try:
            audits.check_memorization(self.split, self.preset)
        except ValueError as error:
            if self.only is not None:
                raise
            self._chosen = tuple(name for name in self._chosen if name != "memorization")
            words = f"no audit of memorization: {error}"
            self.listener(Event("warning", message=words))

    def _record(self, pairs: held_out.Pairs, found: dict[str, dict]) -> dict[str, Any]:
        """What `figures.json` holds."""
        return {
            "medsynth": __version__,
            **self.made_by,
            "data": self.recipe.data.statement,
            "patients": sorted(set(pairs.owners)),
            "slices": len(pairs.real),
            "slices_of_each_patient": {p: pairs.owners.count(p) for p in sorted(set(pairs.owners))},
            "guidance_error": max(error for error in pairs.errors if error is not None),
            **figures.EXPLAINED,
            "figures": found,
        }

    def _write(
        self,
        record: dict[str, Any],
        pairs: held_out.Pairs,
        drawn: figures.PlotData,
        extra: list[tuple[str, str]],
    ) -> None:
        """Sheet, page and figures."""
        overwrite = self.overwrite or self.reuse
        rows = np.linspace(0, len(pairs.real) - 1, 6).round().astype(int)[1:-1]
        with new_file(self.out / "sheet.png", overwrite=overwrite) as file:
            held_out.sheet(pairs, file, preset=self.preset, indices=rows.tolist())
        with new_file(self.out / "report.html", overwrite=overwrite) as file:
            write_page(
                file, record=record, pairs=pairs, drawn=drawn, preset=self.preset, extra=extra
            )
        with new_file(self.out / "figures.json", overwrite=overwrite) as file:
            file.write_text(json.dumps(record, indent=2) + "\n")


def _chosen(only: Sequence[str] | None) -> tuple[str, ...]:
    """The names of figures to measure.

    Raises:
        ValueError: one of them does not exist.
    """
    known = (*METRICS, *AUDITS)
    names = known if only is None else tuple(aliases.current_key(name) for name in only)
    for name in names:
        if name not in known:
            raise ValueError(f"only: no figure {name!r}, expected some of {', '.join(known)}")
    return names
