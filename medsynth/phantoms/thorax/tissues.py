"""The label map's names and the Hounsfield units of each tissue.

HU: Kalender, "Computed Tomography" (3rd ed. 2011), ch. 2; lung at full inspiration and its
front-to-back gradient: Verschakelen et al., Radiology 1993;188:473; Kemerink et al. 1998.
"""

from __future__ import annotations

LABELS: dict[str, int] = {
    "air": 0,
    "fat": 1,
    "muscle": 2,
    "lung_right": 3,
    "lung_left": 4,
    "heart": 5,
    "blood": 6,
    "bone": 7,
    "cartilage": 8,
    "airway": 9,
    "lung_vessel": 10,
    "oesophagus": 11,
    "spinal_canal": 12,
    "diaphragm": 13,
    "abdomen": 14,
    "liver": 15,
    "spleen": 16,
    "stomach": 17,
    "kidney": 18,
    "mediastinum": 19,
    "table": 20,
}
LUNGS = ("lung_right", "lung_left")

AIR = -1000.0
FAT = -103.0
MEDIASTINAL_FAT = -92.0
MUSCLE = 52.0
BLOOD = 42.0
MYOCARDIUM = 48.0
CORTICAL_BONE = 620.0
MARROW = 190.0
CARTILAGE = 95.0
DISC = 75.0
SPINAL_FLUID = 12.0
CORD = 38.0
LIVER = 58.0
SPLEEN = 48.0
KIDNEY = 32.0
STOMACH = 25.0
AIRWAY_WALL = 0.0
TABLE_SHELL = -180.0
TABLE_FOAM = -930.0

# Standard deviation of the mild texture, HU, and the dependent (back minus front) gradient.
TEXTURE_HU: dict[str, float] = {
    "fat": 7.0,
    "muscle": 10.0,
    "lung_right": 22.0,
    "lung_left": 22.0,
    "heart": 5.0,
    "blood": 4.0,
    "bone": 35.0,
    "mediastinum": 9.0,
    "abdomen": 14.0,
    "liver": 5.0,
    "spleen": 4.0,
    "stomach": 8.0,
    "kidney": 8.0,
}
LUNG_GRADIENT_HU_PER_MM = 0.35
