"""The network as an ONNX graph of two inputs, x_t and timesteps, held against the network itself.

MONAI's own `onnx_export` traces with an image alone, which would bake t = 0 into the file.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medsynth.bundle.options import check_flag, check_path
from medsynth.errors import MissingExtra
from medsynth.events import Event, Listener, ignore
from medsynth.networks.base import DiffusionNetwork
from medsynth.storage.files import new_file

INPUTS, OUTPUT = ("x_t", "timesteps"), "prediction"
TIMESTEPS = (0.0, 10.5, 250.0, 500.0, 999.0)
TOLERANCE = 1e-3  # of the largest value; float32 differs by about 1e-6
MODULES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, eq=False)
class OnnxExport:
    """A network, float32 on the CPU, and the file that its graph is written to.

    The graph is unconditional and for one size: `size` (H, W), None for that of the full image.

    Raises:
        ValueError: an option was read as something else, or a size that the network cannot take.
        MissingExtra: the packages for it are not installed.
    """

    network: DiffusionNetwork
    out: str | Path | None
    size: Sequence[int] | None = None
    overwrite: bool = False
    listener: Listener = ignore

    def __post_init__(self) -> None:
        check_path("out", self.out)
        check_flag("overwrite", self.overwrite)
        multiple = self.network.config.multiple
        sides = self.size
        if sides is not None and not (
            isinstance(sides, (list, tuple))
            and len(sides) == 2
            and all(type(side) is int and side > 0 and side % multiple == 0 for side in sides)
        ):
            raise ValueError(f"size: expected [H, W], multiples of {multiple}, got {sides!r}")
        if missing := [name for name in MODULES if importlib.util.find_spec(name) is None]:
            raise MissingExtra(
                f"{', '.join(missing)} not installed: pip install 'medsynth-slicer[onnx]'"
            )

    def run(self) -> Path:
        """Write the graph, once it agrees with the network at every one of `TIMESTEPS`.

        Raises:
            OSError: `out` is there already, or cannot be written.
            ValueError: the graph does not compute what the network does.
        """
        out = check_path("out", self.out)
        height, width = self.size or self.network.config.image_size
        x = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(0))
        with new_file(out, overwrite=self.overwrite) as file:
            self._write(x, file)
            error = largest_error(file, self.network, x)
            if not error < TOLERANCE:
                raise ValueError(
                    f"the ONNX graph is off the network by {error:.2g} of its largest value, "
                    f"expected less than {TOLERANCE:g}; report this with the version of PyTorch"
                )
        words = f"wrote {out}: {width} x {height}, off the network by {error:.1g} at most"
        self.listener(Event("result", message=words, data={"out": str(out), "error": error}))
        return out

    def _write(self, x: torch.Tensor, file: Path) -> None:
        inputs = (x, torch.tensor([500.0]))
        torch.onnx.export(
            self.network.eval(),
            inputs,
            file,
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def largest_error(file: Path, network: DiffusionNetwork, x: torch.Tensor) -> float:
    """How far the graph is off the network over all `TIMESTEPS`, as a share of the largest value."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    errors = []
    for t in TIMESTEPS:
        with torch.inference_mode():
            wanted = network(x, torch.tensor([t])).numpy()
        (got,) = session.run([OUTPUT], dict(zip(INPUTS, (x.numpy(), _one(t)), strict=True)))
        errors.append(float(np.abs(got - wanted).max() / np.abs(wanted).max()))
    return max(errors)


def _one(t: float) -> np.ndarray:
    return np.array([t], dtype=np.float32)
