"""Chest X-ray, 256 x 256, frontal, in gray values of the display (8 bits, bone is bright)."""

from medsynth.domains.base import FewCalls, OrganFinder, Preset
from medsynth.domains.display_units import DISPLAY_UNITS

PRESET = Preset(
    name="chest_xray",
    title="Chest X-ray",
    modality="DX",
    grid=(256, 256),
    weights="chest_xray_256.safetensors",
    experts=("chest_xray_fine_256", "chest_xray_four_256"),
    few_calls=FewCalls(4, "chest_xray_four_256"),
    anatomy_factor=8,
    lesion_kinds=("nodule", "opacity"),
    organ=OrganFinder("body", "medsynth.lesions.regions:exposed_body"),
    places={
        name: OrganFinder(name.replace("_", " "), f"medsynth.lesions.places.radiograph:{name}")
        for name in ("lung_fields", "left_lung_field", "right_lung_field")
    },
    body_part="CHEST",
    # Of 950 radiographs, as in mammography.py.
    typical={
        "aspect": (0.76, 1.23),
        "bottom": (0.22, 1.05),
        "rim": (-0.37, 0.35),
        "mean": (0.29, 0.85),
    },
    patch_pipeline=True,
    rank=3,
    **DISPLAY_UNITS,
)
