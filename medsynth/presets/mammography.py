"""Mammography, one breast on up to 832 x 512 pixels of 0.25 mm, in grey values (8 bits)."""

from medsynth.presets.base import IntensityMap, Preset, Window

PRESET = Preset(
    name="mammography",
    title="Mammography",
    modality="MG",
    units="grey value",
    windows=(Window("full", 127.5, 255),),
    intensity=IntensityMap(physical=(0, 255), unit=(-1.0, 1.0)),
    grid=(832, 512),
    pixel_mm=0.25,
    weights="mammography_832.safetensors",
    anatomy_factor=16,
    anatomy_stop=0.0,
    pathology_factor=4,
    pathology_stop=0.0,
    sampler="dpmpp_2m_sde",
    air=0.0,
    body_threshold=10.0,
    lesion_kinds=("round_mass", "spiculated_mass", "microcalcifications"),
    phantoms=("breast",),
    # Lesions taken from a film go through the patch pipeline, medsynth.pathology.patch.
    extra={"body_part": "BREAST", "film_patches": True},
)
