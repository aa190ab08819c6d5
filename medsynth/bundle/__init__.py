"""What the configs of `monai_bundle/` point to, where the library has no object for it yet.

The `_target_`s of the configs are the library's objects; what is here reads a request or a recipe as
the options change it, loads a network, and says errors as the `medsynth` command does.
"""

from medsynth.bundle.commands import evaluate, refine
from medsynth.bundle.export import OnnxExport
from medsynth.bundle.inference import (
    BundleSynthesis,
    checkpoint,
    denoiser,
    network,
    request,
    weights,
)
from medsynth.bundle.options import check_options, check_processes, path, report_errors, require
from medsynth.bundle.training import Training, context, recipe, slices

__all__ = [
    "OnnxExport",
    "BundleSynthesis",
    "Training",
    "check_options",
    "check_processes",
    "checkpoint",
    "context",
    "denoiser",
    "evaluate",
    "network",
    "path",
    "recipe",
    "refine",
    "report_errors",
    "request",
    "require",
    "slices",
    "weights",
]
