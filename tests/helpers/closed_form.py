"""Gaussian data, for which everything is known in closed form.

For x0 ~ N(m, C) the optimal denoiser is affine in x_t, so every sampler with every linear condition
is an affine map of its noise: mean and covariance of what comes out follow exactly from one run of
the product's own step on a basis. No Monte Carlo, no trained network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from medsynth.diffusion import sampling as synthesis
from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.schedule import Schedule

DOUBLE = torch.float64


@dataclass(frozen=True)
class GaussianData:
    """N(mean, covariance) over images of `size`, flattened to N = H W numbers (float64)."""

    mean: Tensor
    covariance: Tensor
    size: tuple[int, int]

    @property
    def std(self) -> float:
        return float(self.covariance.diagonal().mean().sqrt())


class GaussianDenoiser:
    """The optimal denoiser of Gaussian data: E[x0 | x_t]."""

    reference_conditioned = False
    conditioned_log_snr_min = None
    refiner = None

    def __init__(self, data: GaussianData, schedule: Schedule):
        self.data, self.schedule = data, schedule
        self.values, self.vectors = torch.linalg.eigh(data.covariance)

    def __call__(self, x_t: Tensor, t: float) -> Tensor:
        return self.predict(x_t, t).x0

    def predict(self, x_t: Tensor, t: float) -> Prediction:
        abar = float(self.schedule.abar(t))
        gain = abar**0.5 * self.values / (abar * self.values + 1 - abar)
        centerd = x_t.flatten(1).to(DOUBLE) - abar**0.5 * self.data.mean
        x0 = self.data.mean + centerd @ (self.vectors * gain) @ self.vectors.T
        return Prediction(x0.to(x_t.dtype).reshape(x_t.shape))


class _Script:
    """Hands out prepared noise in the order of the calls; zeros while it is only listening."""

    def __init__(self, batch: int):
        self.batch, self.shapes, self.prepared = batch, [], None

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        self.shapes.append(tuple(shape))
        if self.prepared is None:
            return torch.zeros(self.batch, *shape, dtype=DOUBLE)
        return self.prepared[len(self.shapes) - 1]


def outcome(denoiser, sampler, *, steps, conditions=()) -> tuple[Tensor, Tensor]:
    """Exact mean (N,) and covariance (N, N) of what the sampler gives with these conditions.

    The state is (x, the x0 of the steps before, the newest first); each step is linearised by running
    `synthesis.advance` on a basis of the state and of every noise it draws.
    """
    size, n = denoiser.data.size, denoiser.data.mean.numel()
    planned = sampler.plan(denoiser.schedule, steps)
    basis = torch.cat([torch.zeros(1, n, dtype=DOUBLE), torch.eye(n, dtype=DOUBLE)])
    x = synthesis.start(basis.reshape(-1, 1, *size), planned[0], conditions=conditions).flatten(1)
    whole = (1 + sampler.history) * n
    mean = torch.cat([x[0], torch.zeros(whole - n, dtype=DOUBLE)])
    covariance = torch.zeros(whole, whole, dtype=DOUBLE)
    covariance[:n, :n] = (x[1:] - x[0]).T @ (x[1:] - x[0])
    for step in planned:
        # at the first steps there are fewer x0 to remember
        before = planned[max(0, step.index - sampler.history) : step.index]
        keep = (1 + len(before)) * n
        offset, state, noise = _linearised(
            denoiser, sampler, conditions, step, before=before, keep=keep
        )
        mean = offset + state.T @ mean[:keep]
        covariance = state.T @ covariance[:keep, :keep] @ state + noise.T @ noise
    return mean[:n], covariance[:n, :n]


def _linearised(denoiser, sampler, conditions, step, *, before, keep):
    """Offset, state rows (keep, ...) and noise rows (any, ...) of one step."""
    size, n = denoiser.data.size, denoiser.data.mean.numel()
    columns = (1 + sampler.history) * n

    def run(state, draw):
        x, *x0s = (part.reshape(-1, 1, *size) for part in state.split(n, dim=1))
        earlier = list(zip(before, reversed(x0s[: len(before)]), strict=True))
        new, x0 = synthesis.advance(
            x, denoiser.predict, step, sampler, conditions, earlier=earlier, draw=draw
        )
        return torch.cat([v.flatten(1) for v in (new, x0, *x0s)], dim=1)[:, :columns]

    listening = _Script(1)
    run(torch.zeros(1, columns, dtype=DOUBLE), listening)
    lengths = [torch.Size(shape).numel() for shape in listening.shapes]
    total = 1 + keep + sum(lengths)
    state = torch.zeros(total, columns, dtype=DOUBLE)
    state[1 : 1 + keep, :keep] = torch.eye(keep, dtype=DOUBLE)
    speaking, row = _Script(total), 1 + keep
    speaking.prepared = []
    for shape, length in zip(listening.shapes, lengths, strict=True):
        fresh = torch.zeros(total, length, dtype=DOUBLE)
        fresh[row : row + length] = torch.eye(length, dtype=DOUBLE)
        speaking.prepared.append(fresh.reshape(total, *shape))
        row += length
    result = run(state, speaking)
    rows = result[1:] - result[0]
    return result[0], rows[:keep], rows[keep:]


def posterior(data: GaussianData, projector: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Exact mean and covariance of x0 given P x0 = P reference, for an orthogonal projector P."""
    values, vectors = torch.linalg.eigh(projector)
    seen = vectors[:, values > 0.5].T  # orthonormal rows that span P
    inner = seen @ data.covariance @ seen.T
    gain = torch.linalg.solve(inner, seen @ data.covariance).T
    mean = data.mean + gain @ (seen @ (reference - data.mean))
    return mean, data.covariance - gain @ seen @ data.covariance


def distance(ours: tuple[Tensor, Tensor], exact: tuple[Tensor, Tensor], *, band: Tensor) -> float:
    """Wasserstein-2 distance of two Gaussians within `band` (a projector), RMS per pixel."""
    (mean_a, cov_a), (mean_b, cov_b) = ours, exact
    cov_a, cov_b = band @ cov_a @ band, band @ cov_b @ band
    root = _root(cov_b)
    bures = cov_a.trace() + cov_b.trace() - 2 * _root(root @ cov_a @ root).trace()
    square = (band @ (mean_a - mean_b)).square().sum() + bures.clamp(min=0)
    return float((square / len(mean_a)).sqrt())


def _root(symmetric: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((symmetric + symmetric.T) / 2)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def matrix(phi, size: tuple[int, int]) -> Tensor:
    """A linear map of images as an (N, N) matrix."""
    n = size[0] * size[1]
    return phi(torch.eye(n, dtype=DOUBLE).reshape(n, 1, *size)).reshape(n, n).T


def grid_distance(size: tuple[int, int]) -> Tensor:
    """Distances between all pixels, (N, N)."""
    rows, columns = torch.meshgrid(
        torch.arange(size[0], dtype=DOUBLE), torch.arange(size[1], dtype=DOUBLE), indexing="ij"
    )
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return torch.cdist(places, places)


def smooth_data(size=(12, 12), *, std=0.3, length=3.0, mean=0.2) -> GaussianData:
    """Exponential covariance std^2 exp(-d / length): the DCT's bands are weakly correlated."""
    n = size[0] * size[1]
    covariance = std**2 * torch.exp(-grid_distance(size) / length)
    return GaussianData(torch.full((n,), mean, dtype=DOUBLE), covariance, size)


def patchy_data(size=(12, 12), *, std=0.3, length=3.0, mean=0.2) -> GaussianData:
    """The same, loud in stripes and quiet between: bands of the DCT are strongly correlated."""
    smooth = smooth_data(size, std=std, length=length, mean=mean)
    column = torch.arange(size[1]) // 3 % 2
    loudness = torch.where(column == 0, 1.4, 0.2).to(DOUBLE).repeat(size[0])
    return GaussianData(smooth.mean, smooth.covariance * torch.outer(loudness, loudness), size)


def drawn(data: GaussianData, *, seed: int) -> Tensor:
    """One image of the data, (N,)."""
    fresh = torch.randn(len(data.mean), dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    return data.mean + _root(data.covariance) @ fresh
