"""Chest X-ray, 256 x 256, frontal, in grey values of the display (8 bits, bone is bright)."""

from medsynth.presets.base import IntensityMap, Preset, Window

PRESET = Preset(
    name="chest_xray",
    title="Chest X-ray",
    modality="DX",
    units="grey value",
    windows=(Window("full", 127.5, 255),),
    intensity=IntensityMap(physical=(0, 255), unit=(-1.0, 1.0)),
    grid=(256, 256),
    weights="chest_xray_256.safetensors",
    anatomy_factor=8,
    anatomy_stop=0.0,
    pathology_factor=4,
    pathology_stop=0.0,
    sampler="dpmpp_2m_sde",
    air=0.0,
    body_threshold=10.0,
    lesion_kinds=("nodule", "opacity"),
    extra={"body_part": "CHEST", "film_patches": True},
)
