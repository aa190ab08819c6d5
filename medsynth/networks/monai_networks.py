"""MONAI's networks that are used here.

`import monai` reads whatever optional package it finds. transformers, pandas, matplotlib and others take half of the time in
which a command starts, for parts of MONAI (TransCheX, profiling, notebooks) that none of ours needs: our commands leave
them out.
"""

from __future__ import annotations

from medsynth import lazy

with lazy.without_what_is_left_out():
    from monai.networks.nets import VQVAE, AutoencoderKL, DiffusionModelUNet, PatchDiscriminator
    from monai.networks.nets.diffusion_model_unet import get_timestep_embedding

__all__ = [
    "VQVAE",
    "AutoencoderKL",
    "DiffusionModelUNet",
    "PatchDiscriminator",
    "get_timestep_embedding",
]
