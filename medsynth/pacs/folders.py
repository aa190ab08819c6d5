"""Where this user's destinations and outbox live, by the habits of each platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _base(*, xdg: str, unix: str, mac: str, windows: str) -> Path:
    if home := os.environ.get("MEDSYNTH_HOME"):
        return Path(home)
    if sys.platform == "win32":
        return Path(os.environ.get(windows, Path.home())) / "medsynth"
    if sys.platform == "darwin":
        return Path.home() / mac / "medsynth"
    return Path(os.environ.get(xdg) or Path.home() / unix) / "medsynth"


def configuration_folder() -> Path:
    """Holds `destinations.json`; `MEDSYNTH_HOME` overrides the platform's place."""
    return _base(
        xdg="XDG_CONFIG_HOME",
        unix=".config",
        mac="Library/Application Support",
        windows="APPDATA",
    )


def outbox_folder() -> Path:
    """Holds the jobs; `MEDSYNTH_HOME` overrides the platform's place."""
    data = _base(
        xdg="XDG_DATA_HOME",
        unix=".local/share",
        mac="Library/Application Support",
        windows="LOCALAPPDATA",
    )
    return data / "outbox"
