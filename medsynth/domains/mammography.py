"""Mammography, one breast on up to 832 x 512 pixels of 0.25 mm, in gray values (8 bits)."""

from medsynth.domains.base import FewCalls, OrganFinder, Preset
from medsynth.domains.display_units import DISPLAY_UNITS

PRESET = Preset(
    name="mammography",
    title="Mammography",
    modality="MG",
    grid=(832, 512),
    pixel_mm=0.25,
    weights="mammography_832.safetensors",
    experts=("mammography_fine_832", "mammography_four_832"),
    few_calls=FewCalls(4, "mammography_four_832"),
    anatomy_factor=16,
    lesion_kinds=("round_mass", "spiculated_mass", "microcalcifications"),
    phantoms=("breast",),
    organ=OrganFinder("breast", "medsynth.lesions.mammogram:breast_array"),
    places={"breast": OrganFinder("breast", "medsynth.lesions.places.breast:breast")},
    body_part="BREAST",
    # Of 290 mammograms; and so below: lowest and highest, and 0.15 of the range of 98 % beyond them.
    typical={
        "side": (0.75, 1.03),
        "bottom": (-0.1, 0.98),
        "mirror": (-0.9, 0.72),
        "dark": (0.03, 0.42),
    },
    patch_pipeline=True,
    has_surroundings=True,
    surroundings="reference",
    rank=2,
    **DISPLAY_UNITS,
)
