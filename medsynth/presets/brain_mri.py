"""Brain MRI, 256 x 256, axial, in grey values of the display (8 bits): MR has no absolute unit."""

from medsynth.presets.base import IntensityMap, Preset, Window

PRESET = Preset(
    name="brain_mri",
    title="Brain MRI",
    modality="MR",
    units="grey value",
    windows=(Window("full", 127.5, 255),),
    intensity=IntensityMap(physical=(0, 255), unit=(-1.0, 1.0)),
    grid=(256, 256),
    weights="brain_mri_256.safetensors",
    anatomy_factor=8,
    anatomy_stop=0.0,
    pathology_factor=4,
    pathology_stop=0.0,
    sampler="dpmpp_2m_sde",
    air=0.0,
    body_threshold=10.0,
    lesion_kinds=("enhancing_mass", "ring_enhancing_mass"),
    extra={"body_part": "BRAIN", "film_patches": True},
)
