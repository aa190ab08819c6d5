"""The page itself: its controls beside the views, in the order of the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.actions import Actions
from medsynth.web.controls import anatomy, batch, gallery, lesions, results, run, toolbar
from medsynth.web.desk import Desk

HERE = Path(__file__).parent
ASSETS = "medsynth_page"


def write_page(server: Any, desk: Desk) -> None:
    """Write the page of a session; every control calls one method of the desk or of a part of it."""
    does = Actions(desk).of
    server.enable_module(
        {
            "serve": {ASSETS: str(HERE / "assets")},
            "scripts": [f"{ASSETS}/page.js"],
            "styles": [f"{ASSETS}/page.css"],
        }
    )
    server.state.upload_says = ""
    server.state.trame__title = "MedSynth"
    server.state.trame__favicon = None
    server.trigger("key")(does(desk.key))
    server.trigger("forget_lesion")(does(desk.gallery.forget))
    with VAppLayout(server) as layout:
        layout.root.theme = "dark"
        with v3.VNavigationDrawer(permanent=True, width=380, classes="panel"):
            with html.Div(classes="sections"):
                for part in (anatomy, lesions, run, results, batch):
                    part.write(desk, does)
            _status()
        with v3.VMain(classes="main"), html.Div(classes="stage"):
            toolbar.write(desk, does)
            with html.Div(classes="views"):
                desk.viewer.fill(layout)
            _over_the_views()
        results.ask(desk, does)
        gallery.write(desk, does)


def _over_the_views() -> None:
    with html.Div(v_if=("shown > 0 && beside",), classes="sides"):
        html.Div("{{ reference_is }}")
        html.Div(
            "{{ {real: reference_is, fade: `${reference_is} and synthetic`}[compare] || compare }}"
        )
    html.Div(
        "{{ shown > 0 && (beside || compare !== 'real') ? 'SYNTHETIC images' : reference_is }}. "
        "Not for diagnosis.",
        v_show=(
            "reference && reference_is !== 'Real' || shown > 0 && (beside || compare !== 'real')",
        ),
        classes="banner",
    )
    html.Div(
        "{{ shown > 0 ? `B: ${reference_is.toLowerCase()} or synthetic. ` + 'S: side by side. M: outlines. N, P: next, previous. "
        "K: keep. X: discard.' : 'Wheel: slices. Right button: zoom. Middle button: move.' }}",
        v_if=("reference",),
        classes="keys",
    )


def _status() -> None:
    with html.Div(classes="status"):
        v3.VProgressLinear(
            v_if=("busy",),
            indeterminate=("percent < 0",),
            model_value=("percent",),
            color="primary",
        )
        html.Div(
            "{{ upload_says || busy || status }}",
            classes=("failed && !busy && !upload_says ? 'said wrong' : 'said'",),
        )
        with html.Details(v_if=("warnings.length && !busy",), classes="notes"):
            html.Summary("Notes: {{ warnings.length }}")
            html.Div("{{ note }}", v_for="note in warnings", key="note", classes="note")
