"""3 Run: how well, how many, and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import BUTTON, TYPED, Does
from medsynth.web.runs import MOST_VARIANTS

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write the section."""
    html.H2("3  Run")
    with html.Div(classes="row"):
        v3.VSelect(
            label="Quality",
            items=("qualities",),
            model_value=("quality",),
            update_modelValue=(does(desk.runs.choose_quality), TYPED),
            disabled=("!!busy",),
            classes="quality",
        )
        v3.VSelect(
            label="Images",
            items=("counts", [*range(1, MOST_VARIANTS + 1)]),
            v_model=("variants",),
            menu_icon="",
            disabled=("!!busy",),
            classes="variants",
        )
        v3.VTextField(
            label="Seed", type="number", v_model=("seed",), disabled=("!!busy",), classes="seed"
        )
    html.Div("{{ steps }} network calls for each slice.", classes="note")
    with html.Div(classes="row"):
        v3.VBtn(
            "Run",
            click=does(desk.runs.synthesize),
            disabled=("!!busy || !!why_not",),
            color="primary",
            size="small",
            classes="run",
        )
        v3.VBtn(
            "Cancel",
            click=does(desk.runs.cancel),
            disabled=("!busy",),
            classes="cancel",
            **BUTTON,
        )
    html.Div("{{ why_not }}", v_if=("why_not && reference && !busy",), classes="note why-not")
