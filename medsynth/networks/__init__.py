"""Thin builders over monai.networks.nets, and the weights files."""

from medsynth.networks.checkpoint import load_network, read_metadata, save_weights
from medsynth.networks.experts import load_denoiser
from medsynth.networks.patch_unet import PatchUNet, PatchUNetConfig
from medsynth.storage.files import sha256

__all__ = [
    "PatchUNet",
    "PatchUNetConfig",
    "load_denoiser",
    "load_network",
    "read_metadata",
    "save_weights",
    "sha256",
]
