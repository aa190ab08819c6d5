"""A torchvision that was built for CUDA, beside a CPU build of PyTorch.

pip gives no other one for a CPU build of PyTorch. Its compiled library cannot be loaded then, and it
cannot be imported without the names of two operators that it describes; timm and transformers import it.
"""

from __future__ import annotations

import torch

DESCRIBED = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# What a library defines goes when the library does.
_kept: list[torch.library.Library] = []


def make_importable() -> None:
    """Import torchvision, with the names of its operators where they are missing; nothing without it.

    The operators themselves stay missing: classifiers and diffusion pipelines use none of them.
    """
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in DESCRIBED:
            library.define(name + SCHEMA)
        _kept.append(library)
        import torchvision  # noqa: F401
