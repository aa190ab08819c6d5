"""Where this user's outbox lies."""

from __future__ import annotations

from pathlib import Path

from medsynth.storage.user_folders import data_folder


def outbox_folder() -> Path:
    """Holds the jobs; `MEDSYNTH_HOME` overrides the platform's place."""
    return data_folder() / "outbox"
