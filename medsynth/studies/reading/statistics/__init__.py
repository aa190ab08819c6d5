"""Figures of a reading study, each from plain arrays; libraries where they exist."""
