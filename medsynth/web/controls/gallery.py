"""Kinds of lesion and saved lesions as pictures, and the question under which name one is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import ICON, Does, answers, dialog, titled

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write both."""
    part = desk.gallery
    with dialog("gallery_for >= 0", does(part.close), width=900, classes="gallery"), v3.VCardText():
        html.H3("Kinds of this domain")
        with html.Div(classes="cards"):
            _kinds(desk, does)
        html.H3("My lesions")
        html.Div(
            "None yet. Paint a lesion or draw a box around it, then press Save as mine.",
            v_if=("!saved_cards.length",),
            classes="note",
        )
        with html.Div(classes="cards"):
            _saved(desk, does)
    _ask(desk, does)


def _each(what: str, key: str, choose: Any) -> html.Div:
    """Every card of `what`, which a click chooses."""
    return html.Div(
        v_for=f"card in {what}_cards",
        key=key,
        classes=f"card {what}-card",
        click=(choose, f"['{what}', {key}]"),
    )


def _kinds(desk: Desk, does: Does) -> None:
    with _each("kind", "card.kind", does(desk.gallery.choose)):
        html.Img(v_if=("card.picture",), src=("card.picture",), alt="", __properties=["alt"])
        html.Div("being drawn...", v_if=("!card.picture",), classes="note blank")
        with html.Div():
            html.Div("{{ card.title }}", classes="title")
            for key in ("size", "margin", "density"):
                html.Div(
                    f"{key.capitalize()}: {{{{ card.{key} }}}}",
                    v_if=(f"card.{key}",),
                    classes="note",
                )
            html.Div("{{ card.words }}", classes="reading")


def _saved(desk: Desk, does: Does) -> None:
    with _each("saved", "card.name", does(desk.gallery.choose)):
        html.Img(src=("card.picture",), alt="", __properties=["alt"])
        with html.Div(classes="grow"):
            html.Div("{{ card.name }}", classes="title")
            html.Div("{{ card.size }}", classes="note")
            html.Div("{{ card.note }}", classes="note")
        v3.VBtn(
            icon="mdi-delete-outline",
            title="Delete this lesion for good",
            # Not also chosen by the same click.
            raw_attrs=["@click.stop=\"trigger('forget_lesion', [card.name])\""],
            classes="forget",
            **ICON,
        )


def _ask(desk: Desk, does: Does) -> None:
    part = desk.gallery
    with dialog("save_for >= 0", does(part.cancel), width=460, classes="saving"):
        with titled("Save as one of my lesions"):
            v3.VTextField(label="Name, without a patient's", v_model=("save_name",), maxlength=48)
            html.Div(
                "{{ own_store ? 'It is kept on this computer, for the page, 3D Slicer and the command.' : "
                "'It is gone when this session ends.' }}",
                classes="note",
            )
        answers("Save", does(part.save), cancel=does(part.cancel), unless="!save_name.trim()")
