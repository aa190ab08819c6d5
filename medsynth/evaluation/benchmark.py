"""Speed of guided synthesis, as ratios in one run on one set of weights, with the fidelity beside.

Everything is measured on one slice of the built-in phantom, so that anybody can repeat it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch
from torch import Tensor

from medsynth import phantoms as anatomy
from medsynth.diffusion import samplers
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance, ReferenceGuidance
from medsynth.diffusion.sampling import generators, slice_noise
from medsynth.diffusion.step import Step
from medsynth.domains import Preset
from medsynth.events import Listener, Stage, ignore
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import load_denoiser


@dataclass(frozen=True)
class BenchmarkedMethod:
    """A way to sample: what the benchmark compares; `refined` with the weights' refiner, if any."""

    name: str
    sampler: str
    steps: int
    guidance: str = "x0"
    filter: str = "dct"
    dtype: torch.dtype | None = None
    refined: bool = True


@dataclass(frozen=True)
class Row:
    """What one method took: seconds per slice, and how far its low-pass image is off (share of the std).

    `guidance_error` is None without guidance.
    """

    method: str
    nfe: int
    dtype: str
    seconds: float
    seconds_per_call: float
    guidance_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


OURS = BenchmarkedMethod("guided SDE-DPM-Solver++ 2M", "dpmpp_2m_sde", 20)
BASELINES = (
    BenchmarkedMethod("guided DPM-Solver++ 2M", "dpmpp_2m", 20),
    BenchmarkedMethod(
        "guided SDE-DPM-Solver++ 2M, float32", "dpmpp_2m_sde", 20, dtype=torch.float32
    ),
    BenchmarkedMethod("guided DDIM", "ddim", 50),
    # As it was published: nothing looks over the sample afterwards.
    BenchmarkedMethod(
        "ILVR: ancestral, bicubic, float32", "ddpm", 250, "x_t", "bicubic", torch.float32, False
    ),
)


def phantom_slice(preset: Preset) -> Tensor:
    """One slice of the thorax phantom on the preset's grid, (1, 1, H, W) in [-1, 1]."""
    phantom = anatomy.build("thorax", seed=3, slices=1)
    values = sitk.GetArrayViewFromImage(phantom.image)
    return torch.from_numpy(preset.intensity.to_unit(values))[None]


def run(
    weights: Path,
    *,
    preset: Preset,
    device: str,
    methods: tuple[BenchmarkedMethod, ...] = (OURS, *BASELINES),
    repeats: int = 3,
    listener: Listener = ignore,
) -> list[Row]:
    """Time every method in turn, `repeats` times, and take medians."""
    reference = phantom_slice(preset).to(device)
    times: dict[str, list[float]] = {m.name: [] for m in methods}
    rows: dict[str, Row] = {}
    with Stage("benchmark", total=repeats * len(methods), listener=listener) as stage:
        for _ in range(repeats):
            for method in methods:
                denoiser = load_denoiser(weights, device=device, dtype=method.dtype)
                if not method.refined:
                    denoiser = replace(denoiser, refiner=None)
                generator = GuidedDiffusion(
                    denoiser,
                    preset,
                    method.sampler,
                    method.steps,
                    guidance=ReferenceGuidance(filter=method.filter, space=method.guidance),
                    device=device,
                )
                rows[method.name] = _measure(method.name, generator, reference, times[method.name])
                stage.advance(message=method.name)
    return [rows[m.name] for m in methods]


def _measure(name: str, generator: GuidedDiffusion, reference: Tensor, times: list[float]) -> Row:
    guidance = generator.guided_by(reference, 8)
    _, noise = next(slice_noise(0, [0.0], size=(reference.shape[-2], reference.shape[-1])))
    generator.denoiser(noise.to(reference), 500.0)  # warm-up
    started = time.perf_counter()
    made = generator.sample(noise, conditions=guidance, generators=generators(0, [0]))
    error = made.errors[0]["anatomy"]  # also waits for the device
    times.append(time.perf_counter() - started)
    seconds, steps = statistics.median(times), generator.steps
    dtype = generator.record()["dtype"]
    return Row(name, steps, dtype, seconds, seconds / steps, error)


@dataclass(frozen=True)
class Overhead:
    """Median seconds of one network call and of everything else that a guided step does."""

    network: float
    guidance: float
    sampler: float

    @property
    def share(self) -> float:
        """Guidance over network time."""
        return self.guidance / self.network


def overhead(
    weights: Path, *, preset: Preset, device: str, repeats: int = 20, nfe: int = 20
) -> Overhead:
    """What guidance costs per step: correcting the low-pass image, and 1 / nfe of setting it up.

    Timed piece by piece: the difference of two whole runs would drown in the machine's noise.
    """
    denoiser = load_denoiser(weights, device=device)
    reference = phantom_slice(preset).to(device)
    sampler = samplers.build("dpmpp_2m")
    before, step = sampler.plan(denoiser.schedule, nfe)[nfe // 2 - 1 : nfe // 2 + 1]
    x = torch.randn_like(reference)
    guidance = _guidance(reference)
    prediction = denoiser.predict(x, step.t)
    with torch.inference_mode():
        setup = _median(lambda: _conditioned(denoiser, _guidance(reference), step), repeats)
        apply = _median(lambda: guidance.apply(x, step), repeats)
        network = _median(lambda: float(denoiser(x, step.t).sum()), repeats)
        move = _median(
            lambda: sampler.step(x, prediction, step, samplers.StepInputs([(before, x)])), repeats
        )
    return Overhead(network, apply + setup / nfe, move)


def _guidance(reference: Tensor) -> LowFrequencyGuidance:
    return LowFrequencyGuidance([LowFrequency("anatomy", reference, 8)])


def _conditioned(denoiser: Denoiser, guidance: LowFrequencyGuidance, step: Step) -> object:
    if not denoiser.reference_conditioned:
        return guidance
    conditioning = guidance.conditioning(step)
    return guidance if conditioning is None else denoiser.with_conditioning(*conditioning)


def _median(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def peak_memory_bytes() -> int:
    """The largest resident size of this process so far.

    From VmHWM where there is one: getrusage also counts what the parent held when it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(li for li in status.read_text().splitlines() if li.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
