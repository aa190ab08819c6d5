"""What this computer keeps for the module: Slicer's application settings, never a scene's.

A scene from somebody else must not be able to choose a program that runs here, or where images go. Panel and
settings page read and write the same place; who shows a setting follows its changes.
"""

from __future__ import annotations

from collections.abc import Callable

import qt

from medsynth.scene.vocabulary import QUALITIES

QUALITY_SETTING = "MedSynth/Quality"
_followers: list[Callable[[str], None]] = []


def read(key: str) -> str:
    """The setting; empty where nothing was set."""
    return str(qt.QSettings().value(key) or "").strip()


def write(key: str, value: str) -> None:
    """Keep it; whoever shows it is called."""
    if value != read(key):
        qt.QSettings().setValue(key, value)
        announce(key)


def follow(follower: Callable[[str], None]) -> None:
    """Call it with the key of whatever is changed from now on."""
    _followers.append(follower)


def unfollow(follower: Callable[[str], None]) -> None:
    """No more calls."""
    if follower in _followers:
        _followers.remove(follower)


def announce(key: str) -> None:
    """The setting was changed."""
    for follower in list(_followers):
        follower(key)


def steps(preset) -> int:
    """Network calls for each slice: of the quality that was set, else the preset's own."""
    return QUALITIES.get(read(QUALITY_SETTING), preset.steps)
