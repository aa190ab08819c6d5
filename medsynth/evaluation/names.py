"""Names of the metrics, for the command line; imports nothing heavy."""

from medsynth.registry import Registry

METRICS = Registry("medsynth.evaluation.metrics", "METRIC")
# Measured on samples of their own, against the training images.
AUDITS = ("memorization",)
