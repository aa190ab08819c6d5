"""A helper process says why it cannot go on as the `medsynth` command does: one event, exit code 2."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def complaining() -> Iterator[None]:
    """What a user can cure ends the process with its words."""
    try:
        yield
    except (ValueError, OSError, MemoryError) as error:
        words = str(error) or type(error).__name__
        print(json.dumps({"kind": "error", "message": words}), flush=True)
        sys.exit(2)
