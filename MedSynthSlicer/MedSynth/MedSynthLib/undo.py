"""One Undo for what the panel did: places, runs, discarded results."""

from __future__ import annotations

from slicer.i18n import tr as _

MOST = 50


class Undo:
    """The steps that can be taken back, the last one first, and the button that does it."""

    def __init__(self, button, *, onFailed):
        self.button, self.onFailed = button, onFailed
        self.steps: list[tuple] = []
        button.connect("clicked(bool)", self.undo)
        self._show()

    def add(self, title: str, back) -> None:
        """Something was done; `back()` takes it back."""
        self.steps = [*self.steps, (title, back)][-MOST:]
        self._show()

    def undo(self) -> None:
        """Take the last step back."""
        if not self.steps:
            return
        title, back = self.steps.pop()
        self._show()
        try:
            back()
        except (ValueError, RuntimeError, OSError) as error:
            self.onFailed(
                _("This could not be taken back ({title}): ").format(title=title) + str(error)
            )

    def clear(self) -> None:
        """Forget all steps, as when the scene closes."""
        self.steps = []
        self._show()

    def _show(self) -> None:
        self.button.enabled = bool(self.steps)
        title = self.steps[-1][0] if self.steps else ""
        self.button.text = _("Undo: {title}").format(title=title) if title else _("Undo")
