"""A local worker: rows come as JSON lines on standard input, outcomes go back on standard output.

It ends when its input ends, so that no worker outlives the run that began it by more than an image.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from medsynth import lazy, threads

READY = {"state": "ready"}


def main(folder: Path) -> int:
    """Make what is asked for until the input ends."""
    threads.wait_passively()
    lazy.leave_out()
    signal.signal(signal.SIGTERM, _stop)
    # What a library prints must not get among the outcomes.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _serve(folder, answers)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


def _serve(folder: Path, answers: TextIO) -> None:
    from medsynth.factory.folder import PLAN
    from medsynth.factory.item import Maker
    from medsynth.factory.outcomes import attempt
    from medsynth.factory.parse import load_plan
    from medsynth.factory.rows import PlanRow

    plan = load_plan(folder / PLAN)
    with threads.using(plan.threads):
        maker = Maker(plan, folder)
        _say(answers, READY)
        for line in sys.stdin:
            _say(answers, attempt(maker, PlanRow.from_json(line)).to_dict())


def _say(answers: TextIO, record: dict[str, Any]) -> None:
    answers.write(json.dumps(record) + "\n")
    answers.flush()


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM as Ctrl-C, once: what is half written is removed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
