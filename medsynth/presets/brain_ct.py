"""Brain CT, 256 x 256, axial, in grey values of the brain window (8 bits).

The images that the network learned from hold no HU, only the window as it was shown; so the unit is
the grey value, and nothing here claims HU.
"""

from medsynth.presets.base import IntensityMap, Preset, Window

PRESET = Preset(
    name="brain_ct",
    title="Brain CT",
    modality="CT",
    units="grey value",
    windows=(Window("full", 127.5, 255),),
    intensity=IntensityMap(physical=(0, 255), unit=(-1.0, 1.0)),
    grid=(256, 256),
    weights="brain_ct_256.safetensors",
    anatomy_factor=8,
    anatomy_stop=0.0,
    pathology_factor=4,
    pathology_stop=0.0,
    sampler="dpmpp_2m_sde",
    air=0.0,
    body_threshold=10.0,
    lesion_kinds=("haemorrhage",),
    # The window in which the training images were shown; a reference in HU is shown in it.
    extra={"body_part": "BRAIN", "hu_window": (40.0, 80.0), "film_patches": True},
)
