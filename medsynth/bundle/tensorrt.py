"""The network as TensorRT engines (`inference_trt.json`): one for each size, built at its first call.

MONAI's `trt_compile` exports a module through ONNX, whose inputs are tensors: so the conditioning, an
object elsewhere, is spread into three tensors here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from monai.networks import trt_compile
from torch import Tensor, nn

from medsynth.bundle.options import check_path
from medsynth.diffusion.conditioning import Conditioning
from medsynth.errors import MissingExtra
from medsynth.networks import model_store, sha256
from medsynth.networks.base import DiffusionNetwork
from medsynth.networks.patch_unet import NOISE_LEVEL_CHANNELS

PACKAGES = ("tensorrt", "polygraphy")
PRECISIONS = ("fp32", "tf32", "fp16", "bf16")


class TensorInputs(nn.Module):
    """A network whose inputs are tensors, all of which are needed."""

    def __init__(self, network: DiffusionNetwork):
        super().__init__()
        self.network = network

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        low_pass_image: Tensor,
        factor_map: Tensor,
        noise_level: Tensor,
    ) -> Tensor:
        """As `DiffusionNetwork`; without a reference `factor_map` is 0, without a noise level that is."""
        conditioning = Conditioning(low_pass_image, factor_map, noise_level)
        return self.network(x, timesteps, conditioning=conditioning)


class TensorRTNetwork(nn.Module):
    """`network` on TensorRT, called as the network itself.

    Args:
        network: what is compiled.
        weights: its file; an engine belongs to one.
        engines: the folder where engines are kept from one run to the next; None: the cache.
        precision: of the engine: fp32, tf32, fp16 or bf16.

    Raises:
        ValueError: no such precision, or no CUDA device.
        MissingExtra: TensorRT is not installed.
    """

    def __init__(
        self,
        network: DiffusionNetwork,
        weights: str | Path,
        *,
        engines: str | Path | None = None,
        precision: str = "fp16",
    ):
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"trt_precision: expected {', '.join(PRECISIONS)}, got {precision!r}")
        check_tensorrt()
        self.network, self.config, self.precision = network, network.config, precision
        self.folder = (
            model_store.cache_folder().with_name("engines")
            if engines is None
            else check_path("engines", engines)
        )
        self.digest = sha256(Path(weights))[:16]
        self._compiled: dict[tuple[int, ...], nn.Module] = {}

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor | None = None,
        *,
        conditioning: Conditioning | None = None,
    ) -> Tensor:
        """As `DiffusionNetwork` does for whole images."""
        if timesteps is None:
            timesteps = torch.zeros(len(x), device=x.device)
        nothing = torch.zeros_like(x)
        given = conditioning or Conditioning(nothing, nothing)
        level = given.noise_level
        if level is None:
            level = x.new_zeros(len(x), NOISE_LEVEL_CHANNELS)
        inputs = (given.low_pass_image, given.factor_map, level)
        return self._engine(x)(x, timesteps, *(value.to(x) for value in inputs))

    def _engine(self, x: Tensor) -> nn.Module:
        shape = tuple(x.shape)
        if shape not in self._compiled:
            self.folder.mkdir(parents=True, exist_ok=True)
            size = "x".join(map(str, shape))
            self._compiled[shape] = trt_compile(
                TensorInputs(self.network),
                str(self.folder / f"{self.digest}-{self.precision}-{size}"),
                args={"precision": self.precision},
            )
        return self._compiled[shape]


def check_tensorrt() -> None:
    """Refuse where MONAI would go on without TensorRT.

    Raises:
        ValueError: there is no CUDA device.
        MissingExtra: a package is missing.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise MissingExtra(
            f"{', '.join(missing)} not installed: pip install {' '.join(PACKAGES)}, or leave out "
            "inference_trt.json"
        )
    if not torch.cuda.is_available():
        raise ValueError("inference_trt.json needs a CUDA device, PyTorch finds none; leave it out")
