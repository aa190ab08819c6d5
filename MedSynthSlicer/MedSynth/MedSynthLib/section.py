"""A collapsible section of the panel whose controls are a .ui file of their own."""

from __future__ import annotations

import qt
import slicer


def fill(container, uiFile):
    """Load the controls into `container`, an empty widget; gives the widget and its children by name."""
    widget = slicer.util.loadUI(uiFile)
    layout = qt.QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(widget)
    container.setLayout(layout)
    return widget, slicer.util.childWidgetVariables(widget)
