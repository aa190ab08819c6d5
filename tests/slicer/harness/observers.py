"""What the widgets of a panel observe of the scene and the application, which both outlive the panel.

PySide6 keeps a widget whose method observes something. Every later test would then update the widgets of
all earlier panels too.
"""

from __future__ import annotations

_made = []


def observe(subject, event, callback) -> int:
    """Like `subject.AddObserver`, until the panel is closed."""
    tag = subject.AddObserver(event, callback)
    _made.append((subject, tag))
    return tag


def removeAll() -> None:
    """The panel is closed."""
    for subject, tag in _made:
        subject.RemoveObserver(tag)
    _made.clear()
