"""Where what belongs to this user lies, by the habits of each platform; `MEDSYNTH_HOME` overrides all of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

APPLICATION_SUPPORT = "Library/Application Support"


def _base(xdg: str, unix: str, mac: str, windows: str) -> Path:
    if home := os.environ.get("MEDSYNTH_HOME"):
        return Path(home)
    if sys.platform == "win32":
        return Path(os.environ.get(windows, Path.home())) / "medsynth"
    if sys.platform == "darwin":
        return Path.home() / mac / "medsynth"
    return Path(os.environ.get(xdg) or Path.home() / unix) / "medsynth"


def configuration_folder() -> Path:
    """Of settings, such as `destinations.json`."""
    return _base("XDG_CONFIG_HOME", ".config", APPLICATION_SUPPORT, "APPDATA")


def data_folder() -> Path:
    """Of what must not be lost: the outbox, saved lesions."""
    return _base("XDG_DATA_HOME", ".local/share", APPLICATION_SUPPORT, "LOCALAPPDATA")


def cache_folder() -> Path:
    """Of what can be made again."""
    return _base("XDG_CACHE_HOME", ".cache", "Library/Caches", "LOCALAPPDATA")
