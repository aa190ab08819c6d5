"""Brain CT, 256 x 256, axial, in gray values of the brain window (8 bits).

The images that the network learned from hold no HU, only the window as it was shown; so the unit is
the gray value, and nothing here claims HU.
"""

from medsynth.domains.base import FewCalls, OrganFinder, Preset
from medsynth.domains.display_units import DISPLAY_UNITS

PRESET = Preset(
    name="brain_ct",
    title="Brain CT",
    modality="CT",
    grid=(256, 256),
    weights="brain_ct_256.safetensors",
    experts=("brain_ct_fine_256", "brain_ct_four_256"),
    few_calls=FewCalls(4, "brain_ct_four_256"),
    anatomy_factor=8,
    lesion_kinds=("hemorrhage",),
    # The window in which the training images were shown; a reference in HU is shown in it.
    shown_hu=(40.0, 80.0),
    organ=OrganFinder("skull", "medsynth.lesions.regions:inside_skull_ct"),
    places={"brain": OrganFinder("brain", "medsynth.lesions.places.head:brain_ct")},
    body_part="BRAIN",
    # Of 133 slices, as in mammography.py.
    typical={
        "dark": (0.09, 0.35),
        "aspect": (0.91, 1.54),
        "spread": (0.13, 0.38),
        "rim": (-0.12, 0.65),
        "mean": (0.29, 0.79),
        "bottom": (0.07, 0.79),
    },
    patch_pipeline=True,
    rank=5,
    **DISPLAY_UNITS,
)
