"""Controls that no longer act on a running job are locked, so that nobody believes they do."""

from __future__ import annotations

# The preview, the views and the log are not among them: they act on what is seen, not on the job.
LOCKED = (
    *("presetComboBox", "referenceSelector", "phantomRow", "phantomButton", "viewRow"),
    *("findingsSelector", "noFindingsCheckBox"),
    *("pixelSizeSpinBox", "factorSlider", "stopSlider", "pathologyContainer"),
    *("addPathologyButton", "paintContainer"),
    *("variantsSpinBox", "seedSpinBox", "extentComboBox", "backgroundComboBox", "stepsSpinBox"),
    *("samplerComboBox", "compositionComboBox", "filterComboBox", "guidanceComboBox"),
    *("deviceComboBox", "pythonPathLineEdit", "computerContainer"),
    *("undoButton", "anatomyContainer"),
)


class Lock:
    """Locks the controls of a job, and gives each back the state it had."""

    def __init__(self, ui):
        self.widgets = [getattr(ui, name) for name in LOCKED]
        self.before: list[bool] | None = None

    def set(self, locked: bool) -> None:
        """Lock or unlock."""
        if locked and self.before is None:
            self.before = [widget.enabled for widget in self.widgets]
        if locked:
            for widget in self.widgets:
                widget.enabled = False
        elif self.before is not None:
            for widget, enabled in zip(self.widgets, self.before, strict=True):
                widget.enabled = enabled
            self.before = None
