"""Where networks compute."""

from __future__ import annotations

import torch


def choose_device(name: str) -> str:
    """cpu or cuda; `auto` takes CUDA where there is one.

    Raises:
        ValueError: cuda was asked for and is not there.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device: cuda was asked for, but PyTorch finds no CUDA device; use auto")
    return "cuda" if available and name != "cpu" else "cpu"
