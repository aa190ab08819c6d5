"""Something that is done again and again between Slicer's own events."""

from __future__ import annotations

import qt


def everyMoment(action) -> qt.QTimer:
    """A timer that does it whenever Slicer has nothing else to do, from `start()` to `stop()`."""
    timer = qt.QTimer()
    timer.setInterval(0)
    timer.connect("timeout()", action)
    return timer
