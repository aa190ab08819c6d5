"""One Undo for what the panel did: places, runs, discarded results."""

from __future__ import annotations

from slicer.i18n import tr as _

from medsynth.scene.history import UndoSteps

MOST = 50


class Undo:
    """The button that takes back the last of the steps."""

    def __init__(self, button, *, onFailed):
        self.button, self.onFailed = button, onFailed
        self.steps = UndoSteps(_takeBack, most=MOST)
        button.connect("clicked(bool)", self.undo)
        self._show()

    def add(self, title: str, back) -> None:
        """Something was done; `back()` takes it back."""
        self.steps.add(title, back)
        self._show()

    def undo(self) -> None:
        """Take the last step back."""
        title = self.steps.undoes
        try:
            self.steps.undo()
        except (ValueError, RuntimeError, OSError) as error:
            self.onFailed(
                _("This could not be taken back ({title}): ").format(title=title) + str(error)
            )
        finally:
            self._show()

    def clear(self) -> None:
        """Forget all steps, as when the scene closes."""
        self.steps.clear()
        self._show()

    def _show(self) -> None:
        title = self.steps.undoes
        self.button.enabled = bool(title)
        self.button.text = _("Undo: {title}").format(title=title) if title else _("Undo")


def _takeBack(back) -> None:
    """Only that: what the panel does is not made again."""
    back()
