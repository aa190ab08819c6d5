"""What the configs of `monai_bundle/` point to, where the library has no object of its own.

The `_target_`s of the configs are the library's objects; what is here reads a request or a recipe as
the options change it, loads a network, and says errors as the `medsynth` command does.
"""

from medsynth.bundle.export import OnnxExport
from medsynth.bundle.inference import (
    BundleSynthesis,
    checkpoint,
    denoiser,
    network,
    request,
    weights,
)
from medsynth.bundle.options import (
    check_flags,
    check_options,
    check_processes,
    names,
    path,
    report_errors,
    require,
)
from medsynth.bundle.tensorrt import TensorRTNetwork
from medsynth.bundle.training import Training, context, limits, recipe, slices

__all__ = [
    "OnnxExport",
    "BundleSynthesis",
    "TensorRTNetwork",
    "Training",
    "check_flags",
    "check_options",
    "check_processes",
    "checkpoint",
    "context",
    "denoiser",
    "limits",
    "names",
    "network",
    "path",
    "recipe",
    "report_errors",
    "request",
    "require",
    "slices",
    "weights",
]
