"""A helper process says what it does as the `medsynth` command does: events; the last of a failure, exit code 2."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator

from medsynth.events import Event


@contextlib.contextmanager
def complaining() -> Iterator[None]:
    """What a user can cure ends the process with its words."""
    try:
        yield
    except (ValueError, OSError, MemoryError) as error:
        words = str(error) or type(error).__name__
        print(json.dumps({"kind": "error", "message": words}), flush=True)
        sys.exit(2)


def say(event: Event) -> None:
    """What happened, as one line for the session."""
    print(event.to_json(), flush=True)
