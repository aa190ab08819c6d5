"""The two parts of an evaluation that make samples of their own: memorization and nodules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsynth.evaluation.lesion_fidelity import detection as lesions
from medsynth.evaluation.lesion_fidelity import figure as lesion_figure
from medsynth.evaluation.lesion_fidelity import targets as lesion_targets
from medsynth.evaluation.memorization import figure as memorization_figure
from medsynth.evaluation.memorization.audit import RealImages
from medsynth.evaluation.memorization.similarity import FINE_SIDE
from medsynth.evaluation.page_audits import memorization_section, nodules_section, unguided_section
from medsynth.events import Event, Listener, Stage
from medsynth.networks.architectures import network_config
from medsynth.storage import aliases
from medsynth.storage.files import new_file

if TYPE_CHECKING:
    from medsynth.datasets.data import Slices
    from medsynth.datasets.splits import Split
    from medsynth.diffusion.denoiser import Denoiser
    from medsynth.domains import Preset
    from medsynth.evaluation.held_out import Pairs

UNGUIDED, NODULES = "unguided.npz", "nodules.jsonl"
VOLUMES = 10
Found = tuple[dict[str, Any], tuple[str, str]]  # for JSON; title and HTML for the page


@dataclass(frozen=True, eq=False)
class Samples:
    """What samples are made with. `made_by` as in figures.json; `denoiser` is loaded when needed.

    `low_pass`: weights that draw the low-pass images of free samples, for a reference-conditioned
    network.
    """

    out: Path
    made_by: dict[str, Any]
    preset: Preset
    denoiser: Callable[[], Denoiser]
    listener: Listener
    low_pass: Path | None = None


def check_nodules(count: int, preset: Preset) -> None:
    """Refuse what cannot be asked for.

    Raises:
        ValueError: a negative number, or a preset without lung nodules in HU.
    """
    if count < 0:
        raise ValueError(f"nodules must be at least 0, got {count}")
    if count and not ({*lesion_targets.KINDS} <= {*preset.lesion_kinds} and preset.units == "HU"):
        raise ValueError(
            f"nodules places {' and '.join(lesion_targets.KINDS)} lung nodules in HU, which preset "
            f"{preset.name} has not; leave it out"
        )


def check_memorization(split: Split, preset: Preset) -> None:
    """Refuse an audit that has nothing to compare with.

    Raises:
        ValueError: too few patients, or images too small to have detail.
    """
    trained, others = ({e.patient for e in split.part(held_out=h)} for h in (False, True))
    if len(trained) < 2 or len(trained | others) < 3:
        raise ValueError(
            f"it needs at least three patients, two of them trained on, got {len(trained | others)} "
            f"and {len(trained)}"
        )
    if max(preset.grid) < FINE_SIDE:
        raise ValueError(f"it needs images of {FINE_SIDE} pixels, preset {preset.name} has fewer")


def low_pass_of(
    given: Path | None,
    metadata: dict[str, Any],
    preset: Preset,
    *,
    split: Split,
    free: int,
    listener: Listener,
) -> Path | None:
    """The weights that draw the low-pass images of `free` samples: those `given`, else the preset's.

    None where the network of `metadata` is not reference-conditioned, no samples are wanted, or the
    preset has none for this split, which is a warning.

    Raises:
        ValueError: weights were given for a network that is not conditioned, or for no samples.
        CheckpointError: those given are missing, damaged, do not draw low-pass images of this preset,
            or were trained with another split.
    """
    from medsynth.datasets.split_record import check_evaluated
    from medsynth.errors import CheckpointError
    from medsynth.generators.cascade import check_low_pass_weights
    from medsynth.networks import model_store, read_metadata

    conditioned = network_config(metadata["network"]).reference_conditioned
    if given is not None and not conditioned:
        raise ValueError(
            f"low_pass_weights {given}: the network is not reference-conditioned and needs no low-pass "
            "image; leave them out"
        )
    if given is not None and not free:
        raise ValueError(
            f"low_pass_weights {given}: no free samples are asked for; leave them out, or leave out "
            "`unguided` and `only`"
        )
    shipped = preset.low_pass_weights
    if not conditioned or not free or (given is None and shipped is None):
        return None
    try:
        path = given or model_store.path(str(shipped))
        check_low_pass_weights(path, preset=preset.name)
        check_evaluated(split, read_metadata(path), weights=path)
    except CheckpointError as error:
        if given is not None:
            raise
        listener(Event("warning", message=f"free samples without a low-pass image: {error}"))
        return None
    return path


def memorization(
    samples: Samples, pairs: Pairs, training: Slices, held_out: Slices, *, unguided: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The audit of `unguided` free samples and of the slices guided by held-out patients.

    For JSON; title and HTML of the sections for the page.
    """
    sections = []
    images: dict[str, tuple[np.ndarray, Sequence[str]]] = {
        "guided by held-out patients": (pairs.synthetic, pairs.owners)
    }
    if unguided:
        free = _unguided(samples, unguided)
        images = {"unguided": (free, ["unguided"] * unguided), **images}
        drawn_by = samples.low_pass.name if samples.low_pass else None
        sections.append(unguided_section(free, preset=samples.preset, low_pass=drawn_by))
    figure, pictures = memorization_figure.audit(
        images,
        *(RealImages(s.images, s.patients, s.series) for s in (training, held_out)),
        preset=samples.preset,
        seed=samples.made_by["seed"],
        listener=samples.listener,
    )
    if unguided and samples.low_pass is not None:
        figure["low_pass_of_unguided"] = samples.low_pass.name
    return figure, [*sections, memorization_section(figure, pictures)]


def _unguided(samples: Samples, count: int) -> np.ndarray:
    """Free samples (N, H, W) in physical units; those of an earlier run are taken from OUT."""
    from medsynth.diffusion.sampling import generators, slice_noise
    from medsynth.generators.cascade import load_low_pass_network, sample_unguided
    from medsynth.generators.guided_diffusion import GuidedDiffusion
    from medsynth.networks import sha256

    file = samples.out / UNGUIDED
    keys = ("weights_sha256", "nfe", "sampler", "seed")
    made_by = {key: samples.made_by[key] for key in keys}
    low_pass = None
    if samples.low_pass is not None:
        low_pass = load_low_pass_network(samples.low_pass, preset=samples.preset.name)
        made_by["low_pass_sha256"] = sha256(samples.low_pass)
    maker = json.dumps(made_by)
    if file.exists():
        with np.load(file) as kept:
            earlier = aliases.current(json.loads(str(kept["made_by"])), where=str(file))
            if earlier == made_by and len(kept["images"]) >= count:
                return kept["images"][:count]
    preset, seed = samples.preset, samples.made_by["seed"]
    generator = GuidedDiffusion(
        samples.denoiser(), preset, samples.made_by["sampler"], samples.made_by["nfe"]
    )
    made = []
    noises = slice_noise(seed, range(count), size=preset.grid, length_mm=0)
    with Stage("free samples", total=count, listener=samples.listener) as stage:
        for index, (_, noise) in enumerate(noises):
            batch = sample_unguided(
                generator,
                noise,
                generators=generators(seed, [index]),
                low_pass_network=low_pass,
            )
            made.append(batch.images[0])
            stage.advance()
    images = np.stack(made).astype(np.float32)
    with new_file(file, overwrite=True) as partial:
        np.savez_compressed(partial, images=images, made_by=np.array(maker))
    return images


def nodules(samples: Samples, split: Split, *, count: int) -> Found:
    """`count` nodules in held-out patients; what an earlier run measured in OUT is taken over."""
    made_by = samples.made_by
    setting = lesions.Setting(
        samples.denoiser(),
        samples.preset,
        weights=made_by["weights_sha256"],
        steps=made_by["nfe"],
        seed=made_by["seed"],
        sampler=made_by["sampler"],
        anatomy_factor=made_by["factor"],
    )
    folders = [entry.path for entry in split.part(held_out=True)]
    volumes = lesion_targets.volumes_with_lung(
        folders, min(VOLUMES, count), preset=samples.preset, listener=samples.listener
    )
    targets = lesion_targets.draw_targets(
        volumes, count, preset=samples.preset, seed=made_by["seed"]
    )
    detections, pictures = lesions.find_all(
        targets, volumes, setting, progress=samples.out / NODULES, listener=samples.listener
    )
    figure = {**setting.to_dict(), **lesion_figure.figure(detections)}
    return figure, nodules_section(figure, pictures)
