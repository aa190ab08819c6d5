"""From a request to the OUT folder: what the command, the bundle and the Slicer module all run."""

from medsynth.pipeline.estimate import Estimate
from medsynth.pipeline.synthesize import run

__all__ = ["Estimate", "run"]
