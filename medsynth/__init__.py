"""Guided synthesis of annotated, clearly marked synthetic medical images."""

__version__ = "0.1.0"
