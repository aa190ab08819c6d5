"""Above the views: windows, ways to compare, steps back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import BUTTON, ICON, Does

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


MODES = ("synthetic", "real", "fade", "difference")


def write(desk: Desk, does: Does) -> None:
    """Write the bar."""
    with html.Div(classes="toolbar"):
        with html.Div(classes="group", v_if=("reference",)):
            _steps(desk, does)
            v3.VBtn(
                "{{ name }}",
                v_for="name in windows",
                key="name",
                click=(does(desk.anatomy.window), "[name]"),
                classes="window",
                **BUTTON,
            )
        with html.Div(classes="group", v_if=("shown > 0",)):
            _compare(desk, does)


def _steps(desk: Desk, does: Does) -> None:
    for word, keys in (("undo", "Ctrl+Z"), ("redo", "Ctrl+Shift+Z")):
        v3.VBtn(
            icon=f"mdi-{word}",
            title=(f"{word}es ? `{word.capitalize()}: ${{{word}es}} ({keys})` : ''",),
            click=does(getattr(desk, word)),
            disabled=(f"!!busy || !{word}es",),
            classes=word,
            **ICON,
        )


def _compare(desk: Desk, does: Does) -> None:
    change = does(desk.shelf.compare)
    for mode in MODES:
        v3.VBtn(
            "{{ reference_is }}" if mode == "real" else mode.capitalize(),
            click=(change, f"['{mode}']"),
            color=(f"compare === '{mode}' ? 'amber' : undefined",),
            disabled=("!differs",) if mode == "difference" else False,
            classes=mode,
            **BUTTON,
        )
    v3.VSlider(
        v_if=("compare === 'fade'",),
        model_value=("fade",),
        update_modelValue=(change, "['fade', $event]"),
        **{"min": 0, "max": 1, "step": 0.05, "classes": "fading"},
    )
    for word, name, title, act in (
        (
            "Side by side",
            "beside",
            "The reference at the left, at the same place and zoom",
            desk.shelf.set_beside,
        ),
        ("Outline", "outlines", "The lesions' outlines", desk.shelf.outline),
    ):
        v3.VBtn(
            word,
            title=title,
            click=(does(act), f"[!{name}]"),
            color=(f"{name} ? 'amber' : undefined",),
            classes=name,
            **BUTTON,
        )
    v3.VBtn(
        "Back",
        title="To the reference and its marks",
        click=does(desk.shelf.back),
        classes="back",
        **BUTTON,
    )
