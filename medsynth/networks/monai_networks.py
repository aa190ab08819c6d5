"""MONAI's networks that are used here.

`import monai` reads whatever optional package it finds. transformers alone takes a third of the time in which a
command starts, for one network (TransCheX) that none of ours needs: our commands leave it out.
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
