"""1 Anatomy: the domain, an image or a phantom, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import (
    BUTTON,
    SMALL,
    TYPED,
    Does,
    cross,
    name_field,
    slider,
    small_button,
)

if TYPE_CHECKING:
    from medsynth.web.desk import Desk


def write(desk: Desk, does: Does) -> None:
    """Write the section."""
    part = desk.anatomy
    html.H2("1  Anatomy")
    v3.VSelect(
        label="Domain",
        items=("domains",),
        model_value=("preset",),
        update_modelValue=(does(part.choose_domain), TYPED),
        disabled=("!!busy",),
        classes="domain",
    )
    with html.Div(classes="row"):
        for word, extra in (("files", {}), ("folder", {"webkitdirectory": True})):
            html.Input(
                type="file",
                multiple=True,
                id=f"pick-{word}",
                data_upload=word,
                classes="hidden",
                disabled=("!!busy",),
                __properties=["multiple", "webkitdirectory", ("data_upload", "data-upload")],
                **extra,
            )
            html.Label(
                f"Open {word}",
                for_=f"pick-{word}",
                classes="pick",
                __properties=[("for_", "for")],
            )
        v3.VBtn(
            "Phantom",
            click=does(part.draw_phantom),
            disabled=("!!busy || !has_phantom",),
            classes="phantom",
            **BUTTON,
        )
    html.Div(
        "{{ reference || 'DICOM, NIfTI, NRRD, PNG, JPEG or a zip file. Or drop it here.' }}",
        classes="note",
    )
    with html.Div(v_if=("is_projection",), classes="row"):
        for key, label, items in (("view", "View", "views"), ("laterality", "Side", "sides")):
            name = "side" if key == "laterality" else key
            v3.VSelect(
                label=label,
                items=(items,),
                model_value=(name,),
                update_modelValue=(
                    does(lambda value, k=key: part.say_projection(k, value)),
                    TYPED,
                ),
                v_if=(f"{items}.length",),
                disabled=("own_view",),
                classes=key,
            )
        v3.VTextField(
            label="Pixel, mm",
            type="number",
            step="0.01",
            model_value=("pixel_mm",),
            change=(
                does(lambda value: part.say_projection("pixel_mm", value)),
                "[$event.target.value]",
            ),
            classes="pixel",
        )
    v3.VCheckbox(
        label="It shows no findings of its own",
        model_value=("no_findings",),
        update_modelValue=(does(part.say_none), TYPED),
        v_if=("reference && !findings.length",),
        disabled=("!!busy",),
        classes="no-findings",
    )
    _findings(desk, does)
    slider("Factor", "factor", does(part.choose_factor), TYPED, classes="factor")
    html.Div("{{ factor_says }}", classes="note")
    v3.VSwitch(
        label="Show what the factor keeps",
        color="primary",
        model_value=("preview",),
        update_modelValue=(does(part.show_preview), TYPED),
        disabled=("!reference || !!busy",),
        classes="preview",
    )


def _findings(desk: Desk, does: Does) -> None:
    part = desk.existing
    with html.Div(v_for="finding in findings", key="finding.id", classes="row finding"):
        name_field(
            "finding.name",
            "What the image already shows here: click to change it",
            does(part.set_name),
            "finding.id",
            longest=64,
            classes="grow name",
        )
        cross("Take this finding away", does(part.remove), "finding.id", disabled=("!!busy",))
    with html.Div(v_if=("reference",), classes="row"):
        small_button(
            "Paint an existing finding",
            "What the image already shows goes into the masks of every result",
            does(part.paint),
            classes="paint-finding",
            color=("finding_busy ? 'amber' : undefined",),
        )
        v3.VBtn(
            "Done",
            v_if=("finding_busy",),
            click=does(desk.done),
            classes="finding-done",
            **SMALL,
        )
