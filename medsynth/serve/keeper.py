"""`python -m medsynth.serve.keeper FOLDER`: removes a server's folder when that server ends, however it ends.

What was uploaded may be a patient's. A server that is killed cannot clean up, so this small process, in a
session of its own, waits for the end of the pipe that only the server holds.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

TRIES, PAUSE_S = 50, 0.2  # a job that is ending may still write


def main() -> None:
    """Wait, then remove."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the server; its end is what counts
    folder = Path(sys.argv[1])
    while os.read(0, 4096):
        pass
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
