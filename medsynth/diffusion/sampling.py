"""The sampling loop, written once.

Denoiser, sampler and conditions are put into it; it lives in the network's world, tensors
(B, 1, H, W) in [-1, 1]. `steps` is the NFE, the network calls that a sampler shares among its moves. A denoiser's refiner, a
hundredth of the network, looks over the result once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser, Prediction, SampleRefiner
from medsynth.diffusion.guidance.base import Condition
from medsynth.diffusion.guidance.low_pass import low_pass
from medsynth.diffusion.noise import (
    CorrelatedNoise,
    Draw,
    PerSampleNoise,
    generators,
    no_noise,
    slice_noise,
)
from medsynth.diffusion.samplers import Sampler, StepInputs
from medsynth.diffusion.step import Step

__all__ = ["CorrelatedNoise", "generators", "guidance_errors", "sample", "slice_noise"]

OnStep = Callable[[int, int], None]
# The last touch of a finished sample (B, 1, H, W).
Finish = Callable[[Tensor], Tensor]


def silent(done: int, steps: int) -> None:
    """The callback of those who do not want to hear."""


@torch.inference_mode()
def sample(
    denoiser: Denoiser,
    sampler: Sampler,
    *,
    steps: int,
    noise: Tensor,
    known: Tensor | None = None,
    conditions: Sequence[Condition] = (),
    generators: Sequence[torch.Generator] | None = None,
    draw: Draw | None = None,
    on_step: OnStep = silent,
    finish: Finish | None = None,
) -> Tensor:
    """x0 for a batch of noise.

    Args:
        denoiser: the network's estimate of x0.
        sampler: how to get from level to level.
        steps: network calls per sample.
        noise: x_T ~ N(0, I), (B, 1, H, W); its dtype and device are the loop's.
        known: x0 that is noised to the first level of the denoiser's schedule instead of nothing (SDEdit, Meng et
            al. 2022); like `noise`.
        conditions: corrected in this order.
        generators: one per sample, for the noise drawn on the way; needed by a stochastic sampler
            or condition only.
        draw: instead of generators: gives that noise, (B, *shape), such as `CorrelatedNoise`.
        on_step: called with (done, steps) for every network call; what it raises ends the loop.
        finish: changes the finished sample, such as `NoiseLikeReference`, before the conditions have
            the last word.

    Returns:
        (B, 1, H, W), not clamped: clamping would undo the exactness of the guidance.

    Raises:
        ValueError: noise is needed on the way and no generators were given; steps out of range.
    """
    conditioned = _Conditioned(denoiser, conditions)
    planned = conditioned.plan(sampler, steps)
    draw = draw or _noise_source(sampler, conditions, generators, noise)
    x, done = start(noise, planned[0], conditions=conditions, known=known), 0

    def called(step: Step) -> None:
        nonlocal done
        for _ in range(step.calls):
            done += 1
            on_step(done, steps)

    x = follow(
        x,
        planned,
        sampler,
        lambda step: conditioned.at(step).predict,
        conditions=conditions,
        draw=draw,
        after=called,
    )
    return refined(x, denoiser, conditions, planned[-1], finish=finish)


def start(
    noise: Tensor, step: Step, *, conditions: Sequence[Condition], known: Tensor | None = None
) -> Tensor:
    """x at the first level: sqrt(abar) times what is known of x0, and noise.

    At 512 x 512 the lowest modes of an image are so strong that a plain N(0, I) is off by several
    standard deviations even at log-SNR -10, which a deterministic sampler carries to the end.
    """
    nothing = torch.zeros_like(noise)
    known = nothing if known is None else known
    for condition in conditions:
        known = condition.apply(known, step)
    if known is nothing:
        return noise
    return step.abar**0.5 * known + (1 - step.abar) ** 0.5 * noise


def follow(
    x: Tensor,
    planned: Sequence[Step],
    sampler: Sampler,
    predict_at: Callable[[Step], Callable[[Tensor, float], Prediction]],
    *,
    conditions: Sequence[Condition] = (),
    draw: Draw = no_noise,
    after: Callable[[Step], None] = lambda step: None,
) -> Tensor:
    """Where all of `planned` lead from x (B, 1, H, W); `after` is called with each move that is done."""
    earlier: deque[tuple[Step, Tensor]] = deque(maxlen=sampler.history)
    for step in planned:
        predict = predict_at(step)
        x, x0 = advance(x, predict, step, sampler, conditions, earlier=tuple(earlier), draw=draw)
        earlier.append((step, x0))
        after(step)
    return x


def advance(
    x: Tensor,
    predict: Callable[[Tensor, float], Prediction],
    step: Step,
    sampler: Sampler,
    conditions: Sequence[Condition],
    *,
    earlier: Sequence[tuple[Step, Tensor]] = (),
    draw: Draw,
) -> tuple[Tensor, Tensor]:
    """One move: x at `step.t_next`, and the guided x0 that led there."""

    def guided(x: Tensor, t: float) -> Prediction:
        prediction = predict(x, t)
        x0 = prediction.x0
        for condition in conditions:
            x0 = condition.apply(x0, step) if condition.space == "x0" else x0
        return Prediction(x0, prediction.variance_weight)

    prediction = guided(x, step.t)
    fresh = draw(tuple(x.shape[1:])) if sampler.stochastic and not step.last else None
    inputs = StepInputs(earlier, fresh, lambda x: guided(x, step.t_next).x0)
    x = sampler.step(x, prediction, step, inputs)
    for condition in conditions:
        x = condition.apply_noised(x, step, draw=draw) if condition.space == "x_t" else x
    return x, prediction.x0


def correction(refiner: SampleRefiner, x0: Tensor) -> Tensor:
    """What the refiner changes in x0 (B, 1, H, W): its output without the low-pass image."""
    change = refiner(x0.float()).to(x0.dtype)
    factor = min(refiner.factor, *change.shape[-2:])
    return change - low_pass(change, factor=factor)


def refined(
    x0: Tensor,
    denoiser: Denoiser,
    conditions: Sequence[Condition],
    last: Step,
    *,
    finish: Finish | None = None,
) -> Tensor:
    """x0 as refiner and `finish` leave it, and as the conditions that act to the end want it."""
    if denoiser.refiner is None and finish is None:
        return x0
    if denoiser.refiner is not None:
        x0 = x0 + correction(denoiser.refiner, x0)
    if finish is not None:
        x0 = finish(x0)
    for condition in conditions:
        x0 = condition.apply(x0, last)
    return x0


@torch.inference_mode()
def guidance_errors(conditions: Sequence[Condition], x0: Tensor) -> list[dict[str, float | None]]:
    """How far each slice is off what each condition asked, over the slice's standard deviation.

    Returns:
        One mapping per slice: the name of each reference to its error, None where it has no part.
    """
    figures: dict[str, list[float | None]] = {}
    for condition in conditions:
        figures.update(condition.errors(x0))
    return [{name: values[b] for name, values in figures.items()} for b in range(len(x0))]


class _Conditioned:
    """The denoiser at a step: conditioned on the references if its network can be."""

    def __init__(self, denoiser: Denoiser, conditions: Sequence[Condition]):
        self.plain, self.conditions = denoiser, conditions
        self.conditioning: tuple[Tensor, Tensor, Tensor | None] | None = None
        self.conditioned = denoiser

    def plan(self, sampler: Sampler, steps: int) -> tuple[Step, ...]:
        """The moves, from where the network was trained to begin."""
        schedule, lowest = self.plain.schedule, self.plain.conditioned_log_snr_min
        planned = sampler.plan(schedule, steps)
        if lowest is None:
            return planned
        conditioning = self.at(planned[0]).conditioning
        if conditioning is None or not bool((conditioning.factor_map > 0).all()):
            return planned
        return sampler.plan(schedule.truncated(lowest), steps)

    def at(self, step: Step) -> Denoiser:
        if not self.plain.reference_conditioned:
            return self.plain
        conditionings = [
            conditioning
            for c in self.conditions
            if (conditioning := c.conditioning(step)) is not None
        ]
        if len(conditionings) > 1:
            raise ValueError(
                f"only one condition can condition the network on references, got {len(conditionings)}; put "
                f"all references into one LowFrequencyGuidance"
            )
        conditioning = conditionings[0] if conditionings else None
        if conditioning is not self.conditioning:
            self.conditioning = conditioning
            self.conditioned = (
                self.plain if conditioning is None else self.plain.with_conditioning(*conditioning)
            )
        return self.conditioned


def _noise_source(
    sampler: Sampler,
    conditions: Sequence[Condition],
    generators: Sequence[torch.Generator] | None,
    noise: Tensor,
) -> Draw:
    needed = [condition.name for condition in conditions if condition.space == "x_t"]
    needed += [type(sampler).__name__] if sampler.stochastic else []
    if not needed:
        return no_noise
    if generators is None:
        raise ValueError(
            f"{', '.join(needed)} draw noise in every step: pass generators, one per sample"
        )
    return PerSampleNoise(generators, like=noise)
