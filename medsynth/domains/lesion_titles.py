"""What each kind of lesion is called, in a radiologist's words and in mid-sentence.

Standard library only: the panel in Slicer and `medsynth info` read it without loading the drawers,
whose registry (`medsynth.lesions.registry`) takes its titles from here.
"""

from __future__ import annotations

LESION_TITLES: dict[str, str] = {
    "solid": "solid nodule",
    "part_solid": "part-solid nodule",
    "ground_glass": "ground-glass nodule",
    "spiculated": "spiculated nodule",
    "calcified": "calcified nodule",
    "round_mass": "circumscribed round mass",
    "spiculated_mass": "spiculated mass",
    "microcalcifications": "cluster of microcalcifications",
    "nodule": "nodule",
    "opacity": "opacity",
    "enhancing_mass": "enhancing mass",
    "ring_enhancing_mass": "ring-enhancing mass",
    "hemorrhage": "hemorrhage",
}


def titled(kind: str) -> str:
    """As a list or a heading shows the kind: `Part-solid nodule`."""
    title = LESION_TITLES[kind]
    return title[0].upper() + title[1:]
