"""Brain MRI, 256 x 256, axial, in gray values of the display (8 bits): MR has no absolute unit."""

from medsynth.domains.base import FewCalls, OrganFinder, Preset
from medsynth.domains.display_units import DISPLAY_UNITS

PRESET = Preset(
    name="brain_mri",
    title="Brain MRI",
    modality="MR",
    grid=(256, 256),
    weights="brain_mri_256.safetensors",
    experts=("brain_mri_fine_256", "brain_mri_four_256"),
    few_calls=FewCalls(4, "brain_mri_four_256"),
    anatomy_factor=8,
    lesion_kinds=("enhancing_mass", "ring_enhancing_mass"),
    organ=OrganFinder("skull", "medsynth.lesions.regions:inside_skull_mr"),
    places={"brain": OrganFinder("brain", "medsynth.lesions.places.head:brain_mr")},
    body_part="BRAIN",
    # Of 181 slices, as in mammography.py.
    typical={
        "aspect": (1.01, 1.46),
        "rim": (-0.35, 0.23),
        "mean": (0.14, 0.58),
        "mirror": (0.6, 0.98),
    },
    patch_pipeline=True,
    rank=4,
    **DISPLAY_UNITS,
)
