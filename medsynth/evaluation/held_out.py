"""Synthetic slices beside the real slices of held-out patients that guided them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.sampling import slice_noise
from medsynth.domains import Preset, Window
from medsynth.errors import GeometryError
from medsynth.evaluation.radial_power import BANDS, power, ring_means
from medsynth.events import Listener, Stage, ignore
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.lesions.body import body_array
from medsynth.marking import png_chunks

# Only tells the body from the table, where slices have no spacing of their own.
PIXEL_MM = 0.75


@dataclass(frozen=True, eq=False)
class Pairs:
    """`real` and `synthetic` (N, H, W) in physical units, pair by pair; guidance `errors` per slice.

    `patients`: of each slice; without, all are taken to be of one.
    """

    real: np.ndarray
    synthetic: np.ndarray
    errors: tuple[float | None, ...]
    patients: tuple[str, ...] = ()

    @property
    def owners(self) -> tuple[str, ...]:
        """A name of a patient for every slice."""
        return self.patients or ("",) * len(self.real)


def choose(patients: Sequence[str], count: int) -> np.ndarray:
    """Indices of `count` slices (all, if there are no more): patients in equal parts, spread evenly.

    What a patient with few slices cannot give, the others do.
    """
    labels = np.asarray(patients)
    names, sizes = np.unique(labels, return_counts=True)
    order = names[np.argsort(sizes, kind="stable")]
    chosen: list[int] = []
    for place, name in enumerate(order):
        members = np.flatnonzero(labels == name)
        share = min(len(members), (count - len(chosen)) // (len(order) - place))
        # The first and last slice of a series are those with least in them.
        steps = (
            np.linspace(0, len(members) - 1, share + 2)[1:-1]
            if share + 2 <= len(members)
            else (np.linspace(0, len(members) - 1, share))
        )
        chosen += members[np.round(steps).astype(int)].tolist()
    return np.array(sorted(chosen))


def synthesize_pairs(
    denoiser: Denoiser,
    real: np.ndarray,
    *,
    preset: Preset,
    factor: int,
    steps: int = 20,
    sampler: str | None = None,
    seed: int = 0,
    patients: tuple[str, ...] = (),
    listener: Listener = ignore,
) -> Pairs:
    """One synthetic slice for every real one (N, H, W), guided by it alone, noise as the preset has it.

    `sampler` None is the preset's.
    """
    generator = GuidedDiffusion(
        denoiser,
        preset,
        sampler or preset.sampler,
        steps,
        noise=preset.noise,
        surroundings=preset.surroundings,
    )
    synthetic: list[np.ndarray] = []
    errors: list[float | None] = []
    noises = slice_noise(seed, range(len(real)), size=real.shape[1:], length_mm=0)
    with Stage("synthesizing", total=len(real), listener=listener) as stage:
        for plane, (_, noise) in zip(real, noises, strict=True):
            index = len(synthetic)
            made = generator.follow(plane, factor=factor, noise=noise, index=index, seed=seed)
            errors.append(made.errors[0]["anatomy"])
            synthetic.append(made.images[0])
            stage.advance()
    return Pairs(real.astype(np.float32), np.stack(synthetic), tuple(errors), patients)


def save_pairs(pairs: Pairs, path: Path, *, made_by: dict) -> None:
    """All slices, and what made them, in one file."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            real=pairs.real,
            synthetic=pairs.synthetic,
            errors=np.array(pairs.errors, dtype=float),
            patients=np.array(pairs.owners),
            made_by=np.array(json.dumps(made_by)),
        )


def load_pairs(path: Path, *, made_by: dict) -> Pairs:
    """What `save_pairs` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another network or other settings.
    """
    if not path.exists():
        raise FileNotFoundError(f"no {path} to reuse; run once without --reuse")
    with np.load(path) as file:
        earlier = json.loads(str(file["made_by"]))
        for key, value in made_by.items():
            if earlier.get(key) != value:
                raise ValueError(
                    f"{path} was made with {key} {earlier.get(key)!r}, now {value!r} is asked for; "
                    "run without --reuse"
                )
        return Pairs(
            file["real"],
            file["synthetic"],
            tuple(file["errors"].tolist()),
            tuple(file["patients"].tolist()),
        )


def power_ratio(ours: np.ndarray, theirs: np.ndarray, *, window: Window) -> list[float]:
    """Power of `ours` over `theirs` in each of `BANDS`, both seen through the window; 1 is equal."""
    powers = [
        np.mean([ring_means(power(plane, window), BANDS) for plane in planes], axis=0)
        for planes in (ours, theirs)
    ]
    return (powers[0] / powers[1]).tolist()


def body(planes: np.ndarray, *, preset: Preset) -> np.ndarray:
    """Which pixels of the slices (N, H, W) are body, bool; slice by slice, none where none is found."""
    pixel_mm = preset.pixel_mm or PIXEL_MM
    return np.stack([_body(plane, pixel_mm, preset.body_threshold) for plane in planes])


def _body(plane: np.ndarray, pixel_mm: float, threshold: float) -> np.ndarray:
    try:
        return body_array(plane[None], (pixel_mm, pixel_mm, 1.0), threshold)[0]
    except GeometryError:
        return np.zeros(plane.shape, dtype=bool)


def sheet(pairs: Pairs, path: Path, *, preset: Preset, indices: Sequence[int]) -> None:
    """A picture: per chosen slice a row, per window the real slice and the synthetic one beside it."""
    rows = []
    for index in indices:
        cells = []
        for window in preset.windows:
            cells += [window.to_8_bit(p[index]) for p in (pairs.real, pairs.synthetic)]
        rows.append(np.hstack(cells))
    Image.fromarray(np.vstack(rows)).save(path, pnginfo=png_chunks())
