"""Names of the figures, for the command line; imports nothing heavy."""

FIGURES = ("two_sample", "spectrum", "noise", "histograms", "tissues", "features", "diversity")
# Measured on samples of their own, against the training images.
AUDITS = ("memorization",)
