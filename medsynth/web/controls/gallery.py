"""Kinds of lesion and saved lesions as pictures, and the question under which name one is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import BUTTON, ICON, Does

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write both."""
    part = desk.gallery
    with (
        v3.VDialog(
            model_value=("gallery_for >= 0",),
            update_modelValue=(does(part.close), "[]"),
            max_width=900,
        ),
        v3.VCard(classes="gallery"),
        v3.VCardText(),
    ):
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


def _kinds(desk: Desk, does: Does) -> None:
    with html.Div(
        v_for="card in kind_cards",
        key="card.kind",
        classes="card kind-card",
        click=(does(desk.gallery.choose), "['kind', card.kind]"),
    ):
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
    with html.Div(
        v_for="card in saved_cards",
        key="card.name",
        classes="card saved-card",
        click=(does(desk.gallery.choose), "['saved', card.name]"),
    ):
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
    with (
        v3.VDialog(
            model_value=("save_for >= 0",),
            update_modelValue=(does(part.cancel), "[]"),
            max_width=460,
        ),
        v3.VCard(classes="saving"),
    ):
        v3.VCardTitle("Save as one of my lesions")
        with v3.VCardText():
            v3.VTextField(label="Name, without a patient's", v_model=("save_name",), maxlength=48)
            html.Div(
                "{{ own_store ? 'It is kept on this computer, for the page, 3D Slicer and the command.' : "
                "'It is gone when this session ends.' }}",
                classes="note",
            )
        with v3.VCardActions():
            v3.VSpacer()
            v3.VBtn("Cancel", click=does(part.cancel), **BUTTON)
            v3.VBtn(
                "Save",
                click=does(part.save),
                disabled=("!save_name.trim()",),
                color="primary",
                classes="do-save",
                **BUTTON,
            )
