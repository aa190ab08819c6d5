"""What the domains share whose images have no unit of their own: 8-bit gray values of a display."""

from typing import Any

from medsynth.domains.base import IntensityMap, Window

DISPLAY_UNITS: dict[str, Any] = {
    "units": "gray value",
    "windows": (Window("full", 127.5, 255),),
    "intensity": IntensityMap(physical=(0, 255), unit=(-1.0, 1.0)),
    "anatomy_stop": 0.0,
    "pathology_factor": 4,
    "pathology_stop": 0.0,
    # Behind the experts it leaves 0.9 to 1.0 of the real power, dpmpp_2m_sde 0.8 to 0.9 (docs/experiments.md).
    "sampler": "dpmpp_3m_sde",
    "air": 0.0,
    "body_threshold": 10.0,
}
