"""From a request to the OUT folder: what the command, the bundle and the Slicer module all run."""

from medsynth.pipeline.cost import Estimate
from medsynth.pipeline.job import run

__all__ = ["Estimate", "run"]
