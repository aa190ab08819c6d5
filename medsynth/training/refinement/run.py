"""A refinement from images to weights: the paired crops, then the refiner that is trained on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth import domains, threads
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.datasets.split_record import check_evaluated, record_split
from medsynth.datasets.splits import Split, matches, some
from medsynth.diffusion.denoiser import Denoiser
from medsynth.errors import CheckpointError
from medsynth.events import Event, Listener, ignore
from medsynth.networks import load_denoiser, read_metadata, sha256
from medsynth.networks.checkpoint import load_refiner
from medsynth.networks.refiner import Refiner
from medsynth.request.model import NO_EXPERT
from medsynth.training.recipe import Recipe
from medsynth.training.refinement.paired_crops import PairedCrops, make_paired_crops
from medsynth.training.refinement.trainer import RefinementTrainer, check_start, refiner_config
from medsynth.training.stopping import Limits

CROPS, OLD_CROPS = "paired_crops", "pool"  # in the run's folder; as runs of users call it


@dataclass(eq=False)
class RefinementRun:
    """A refiner for the network in `weights`, trained as the recipe's `refinement` says.

    Attributes:
        recipe: what the network was trained with.
        out: the run's folder; a run that is there goes on.
        weights: the network's file.
        metadata: what its header says.
        device: cpu or cuda.
        start_from: a file whose refiner a new run begins as.
        denoiser: what makes the synthetic crops; None loads that of `weights`.
        images: reads the training slices; None reads those of the recipe.
        limits: when to stop.
        threads: that compute on the CPU; None leaves their number.

    Raises:
        ValueError, CheckpointError: what cannot be refined is refused at once, before crops are made.
    """

    recipe: Recipe
    out: Path
    weights: Path
    metadata: dict[str, Any]
    device: str = "cpu"
    start_from: Path | None = None
    denoiser: Denoiser | None = None
    images: Callable[[], Slices] | None = None
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    listener: Listener = ignore

    def __post_init__(self) -> None:
        if (processes := int(os.environ.get("WORLD_SIZE", 1))) > 1:
            raise ValueError(
                f"refine runs in one process, got {processes}; start it without torchrun"
            )
        if self.weights.resolve() == (self.out / "weights.safetensors").resolve():
            raise ValueError(
                f"{self.weights} would be replaced by its refined self; choose another --out"
            )
        threads.choose(self.threads)
        refiner_config(self.recipe.refinement)
        self._refiner = None if self.start_from is None else _refiner(self.start_from)
        if self._refiner:
            check_start(self._refiner, self.recipe.refinement, run=self.out)
        self.split = read_split(self.recipe.data)
        check_evaluated(self.split, self.metadata, weights=self.weights)
        _check_unseen(self.split, self.metadata, self.weights)

    @property
    def crops(self) -> Path:
        """The folder of the paired crops."""
        old = self.out / OLD_CROPS
        return old if old.is_dir() else self.out / CROPS

    def run(self) -> Path | None:
        """Make what is missing of the crops, then train; the weights, None if the time was too short.

        Raises:
            KeyboardInterrupt: the user stopped it; the same call goes on there.
        """
        with threads.using(self.threads):
            return self._run()

    def _run(self) -> Path | None:
        record_split(self.split, self.out)
        slices = self._slices()
        made_by = self._made_by(slices)
        kept = f"with the paired crops in {self.crops}"
        try:
            crops = self._crops(slices, made_by)
            if crops is None:
                words = (
                    f"the {self.limits.minutes:g} minutes are over; the same command goes on {kept}"
                )
                self.listener(Event("result", message=words, data={"step": 0}))
                return None
            trainer = self._trainer(crops, made_by)
            kept = f"from {self.out}"
            trainer.train(limits=self.limits, listener=self.listener)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; the same command goes on {kept}") from None
        data = {"weights": str(trainer.weights), "step": trainer.step}
        words = f"step {trainer.step}: wrote {trainer.weights}"
        self.listener(Event("result", message=words, data=data))
        return trainer.weights

    def _slices(self) -> Slices:
        if self.images is not None:
            return self.images()
        preset = domains.get(self.recipe.preset)
        return load_slices(
            self.recipe.data, preset=preset, split=self.split, listener=self.listener
        )

    def _made_by(self, slices: Slices) -> dict[str, Any]:
        """What the crops depend on."""
        options = self.recipe.refinement
        return {
            "weights_sha256": sha256(self.weights),
            "images_digest": slices.digest,
            "images": options.images,
            "crop": options.crop,
            "factors": list(options.factors),
            "factor_weights": list(options.weights),
            "sampling_steps": options.sampling_steps,
            "seed": self.recipe.seed,
        }

    def _crops(self, slices: Slices, made_by: dict[str, Any]) -> PairedCrops | None:
        """The crops, announced beforehand; None when the time is over before all are made."""
        options = self.recipe.refinement
        plan = (
            f"{len(slices.images)} slices of {len(set(slices.patients))} patients on {self.device}; "
            f"{options.images} paired crops, {options.sampling_steps} network calls each, then "
            f"{options.steps} steps"
        )
        self.listener(Event("estimate", message=plan, data={"images": options.images}))
        return make_paired_crops(
            self.denoiser or load_denoiser(self.weights, device=self.device, expert=NO_EXPERT),
            slices,
            options=options,
            preset=domains.get(self.recipe.preset),
            folder=self.crops,
            made_by=made_by,
            seed=self.recipe.seed,
            limits=self.limits,
            listener=self.listener,
        )

    def _trainer(self, crops: PairedCrops, made_by: dict[str, Any]) -> RefinementTrainer:
        """Of a refiner for the network alone: behind an expert it would meet other samples."""
        return RefinementTrainer(
            self.recipe.refinement,
            crops,
            preset=domains.get(self.recipe.preset),
            weights=self.weights,
            metadata={key: value for key, value in self.metadata.items() if key != "expert"},
            run=self.out,
            made_by=made_by,
            seed=self.recipe.seed,
            device=self.device,
            start_from=self._refiner,
        )


def _refiner(path: Path) -> Refiner:
    """The refiner to begin as.

    Raises:
        ValueError: the file has none.
    """
    refiner = load_refiner(path, read_metadata(path))
    if refiner is None:
        raise ValueError(f"start_from: {path} has no refiner; leave it out")
    return refiner


def _check_unseen(split: Split, metadata: dict[str, Any], weights: Path) -> None:
    """Whom the network's header holds out must not train its refiner either.

    Raises:
        CheckpointError: the recipe trains on some of them.
    """
    held_out = metadata.get("held_out") or []
    seen = {e.patient for e in split.training if any(matches(h, e.patient) for h in held_out)}
    if seen:
        raise CheckpointError(
            f"{weights} holds out {some(sorted(seen))}, on whom the recipe trains; put them into "
            "data.held_out"
        )
