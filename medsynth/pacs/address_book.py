"""The destinations this user has added, in `destinations.json` of the configuration folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from medsynth.pacs.destination import Destination
from medsynth.storage.files import new_file
from medsynth.storage.user_folders import configuration_folder


def _path() -> Path:
    return configuration_folder() / "destinations.json"


def load() -> dict[str, Destination]:
    """Every destination by name. Raises ValueError when the file is damaged."""
    path = _path()
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {entry["name"]: Destination(**entry) for entry in entries}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as a list of destinations: {error}") from error


def find(name: str) -> Destination:
    """The destination of that name; nothing is ever sent to one that was not added."""
    known = load()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"no destination is called {name!r} (known: {', '.join(sorted(known)) or 'none'})"
            f"{hint} Add it with: medsynth pacs add {name} --host HOST --port PORT --aet AET"
        )
    return known[name]


def add(destination: Destination, *, replace: bool = False) -> None:
    """Remember a destination. Raises ValueError when the name is taken and not `replace`."""
    known = load()
    # Environment variables carry the upper-case name, so names may not differ by case alone.
    taken = [name for name in known if name.upper() == destination.name.upper()]
    if taken and not (replace and taken == [destination.name]):
        raise ValueError(f"{taken[0]} is already a destination; add --replace to change it")
    _write({**known, destination.name: destination})


def remove(name: str) -> None:
    """Forget a destination; its jobs stay in the outbox."""
    find(name)
    _write({k: v for k, v in load().items() if k != name})


def _write(destinations: dict[str, Destination]) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(destinations[name]) for name in sorted(destinations)], indent=2)
    with new_file(path, overwrite=True) as partial:
        partial.touch(mode=0o600)
        partial.write_text(text + "\n", encoding="utf-8")
