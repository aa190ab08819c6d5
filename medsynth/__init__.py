"""Guided synthesis of annotated, clearly marked synthetic medical images."""

__version__ = "0.2.0"
