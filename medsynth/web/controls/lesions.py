"""2 Pathologies: what each is, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import BUTTON, ICON, Does, cross, slider, small_button

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write the section."""
    with html.H2("2  Pathologies"):
        v3.VBtn(
            "Add",
            click=does(desk.add_lesion),
            disabled=("!!busy",),
            classes="add",
            **BUTTON,
        )
    change = does(desk.set_lesion)
    with html.Div(v_for="(lesion, i) in lesions", key="i", classes="lesion"):
        with html.Div(classes="row"):
            html.Img(
                src=("lesion.picture",),
                title="Choose from pictures",
                click=(does(desk.gallery.open), "[i]"),
                classes="gallery-button",
                v_if=("lesion.picture",),
            )
            v3.VBtn(
                icon="mdi-view-grid-outline",
                title="Choose from pictures",
                click=(does(desk.gallery.open), "[i]"),
                disabled=("!!busy",),
                classes="gallery-button",
                v_if=("!lesion.picture",),
                **ICON,
            )
            v3.VSelect(
                label=("`Pathology ${i + 1}`",),
                items=("lesion.saved ? [...kinds, {title: lesion.saved, value: ''}] : kinds",),
                model_value=("lesion.saved ? '' : lesion.kind",),
                update_modelValue=(change, "[i, 'kind', $event]"),
                disabled=("!!busy",),
                classes="kind",
            )
            cross("Remove this pathology", does(desk.remove_lesion), "i", disabled=("!!busy",))
        with html.Div(classes="row places"):
            for how in ("click", "box", "curve", "brush"):
                v3.VBtn(
                    how.capitalize(),
                    click=(does(desk.place_lesion), f"[i, '{how}']"),
                    disabled=("!reference || !!busy",),
                    color=(f"lesion.how === '{how}' ? 'amber' : undefined",),
                    classes=how,
                    **BUTTON,
                )
            v3.VBtn(
                "Somewhere",
                title="Where such a lesion makes sense",
                click=(does(desk.suggest_place), "[i]"),
                disabled=("!reference || !!busy || !has_places",),
                classes="somewhere",
                **BUTTON,
            )
            v3.VBtn(
                "Done",
                v_if=("lesion.busy",),
                click=does(desk.lesions.done),
                classes="done",
                **BUTTON,
            )
        with html.Div(classes="row"):
            html.Div("{{ lesion.place }}", classes=("lesion.wrong ? 'note wrong' : 'note'",))
            small_button(
                "Save as mine",
                "Cut what is marked out of the image, to put it into others",
                does(desk.gallery.ask),
                of="i",
                classes="save",
                v_if=("lesion.marks_voxels && !lesion.busy",),
            )
        slider(
            *("Size", "lesion.diameter", change, "[i, 'diameter', $event]"),
            low=3,
            high=60,
            unit=" mm",
            classes="diameter",
            disabled=("!!busy || !lesion.sized",),
        )
        slider(
            *("Factor", "lesion.factor", change, "[i, 'factor', $event]"),
            high=32,
            classes="lesion-factor",
        )
