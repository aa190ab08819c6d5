"""A process that ends, with all it started, with the process that started it.

Its standard input is a pipe that only the parent holds. When the parent closes it, or dies in any way,
the operating system closes it, and this process ends at once.
"""

from __future__ import annotations

import contextlib
import os
import threading


def end_with_it(code: int) -> None:
    """From now on; `code` is what the process then ends with."""
    threading.Thread(target=_wait, args=(code,), daemon=True).start()


def _wait(code: int) -> None:
    import psutil

    with contextlib.suppress(OSError):
        # os.read, not sys.stdin: a thread inside a buffered reader stops the interpreter from ending.
        while os.read(0, 4096):
            pass
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    os._exit(code)
