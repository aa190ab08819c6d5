"""Mammography, one breast on up to 832 x 512 pixels of 0.25 mm, in gray values (8 bits)."""

from medsynth.domains.base import OrganFinder, Preset
from medsynth.domains.display_units import DISPLAY_UNITS

PRESET = Preset(
    name="mammography",
    title="Mammography",
    modality="MG",
    grid=(832, 512),
    pixel_mm=0.25,
    weights="mammography_832.safetensors",
    anatomy_factor=16,
    lesion_kinds=("round_mass", "spiculated_mass", "microcalcifications"),
    phantoms=("breast",),
    organ=OrganFinder("breast", "medsynth.lesions.mammogram:breast_array"),
    places={"breast": OrganFinder("breast", "medsynth.lesions.places.breast:breast")},
    body_part="BREAST",
    patch_pipeline=True,
    has_surroundings=True,
    surroundings="reference",
    rank=2,
    **DISPLAY_UNITS,
)
