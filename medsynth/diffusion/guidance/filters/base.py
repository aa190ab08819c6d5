"""What a low-pass filter declares."""

from __future__ import annotations

from dataclasses import dataclass

from medsynth.registry import Method


@dataclass(frozen=True)
class FilterMethod(Method):
    """`make(length, factor)` gives one axis' matrices (down, up), float64.

    `down` is (ceil(length / factor), length) and `up` its counterpart. `projector`: up @ down is an
    orthogonal projector, and the rows of `down` are orthogonal.
    """

    projector: bool = False
