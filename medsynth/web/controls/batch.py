"""5 Data set: a queue of images with their lesions, and its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import BUTTON, Does, cross

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write the section."""
    part = desk.batch
    html.H2("5  Data set")
    html.Div(
        "Many images of this one: the kinds and sizes of its pathologies, at places that are drawn.",
        classes="note",
    )
    with html.Div(classes="row"):
        v3.VTextField(
            label="Images",
            type="number",
            v_model=("queue_images",),
            disabled=("!!busy",),
            classes="queue-images",
        )
        v3.VBtn(
            "Add to the queue",
            click=does(part.add),
            disabled=("!reference || !!busy",),
            classes="queue-add",
            **BUTTON,
        )
    with html.Div(v_for="entry in queue", key="entry.number", classes="row queued"):
        html.Div("{{ entry.name }}: {{ entry.what }}", classes="note grow")
        cross("Take it out of the queue", does(part.remove), "entry.number")
    html.A(
        "Download the plan",
        href="plan.zip",
        v_if=("queue.length",),
        classes="get-plan",
        download=True,
        __properties=["download"],
    )
