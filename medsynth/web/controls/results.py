"""4 Results: the list, and what can be done with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from medsynth.web.controls.shared import (
    BUTTON,
    ICON,
    TYPED,
    Does,
    answers,
    cross,
    dialog,
    name_field,
    small_button,
    titled,
)

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

PARTS = (
    ("DICOM", "dicom.zip"),
    ("NIfTI", "nifti.zip"),
    ("Report", "report.html"),
    ("All", "all.zip"),
)


def write(desk: Desk, does: Does) -> None:
    """Write the section."""
    html.H2("4  Results")
    html.Div("None yet.", v_if=("!results.length",), classes="note")
    with html.Div(
        v_for="result in results",
        key="result.number",
        classes=("result.number === shown ? 'result chosen' : 'result'",),
        click=(does(desk.shelf.show), "[result.number]"),
    ):
        with html.Div(classes="side"):
            html.Img(src=("result.picture",), alt="", __properties=["alt"])
            v3.VBtn(
                icon=("result.kept ? 'mdi-star' : 'mdi-star-outline'",),
                title=("result.kept ? 'Keep no more' : 'Keep'",),
                click=(does(desk.keep_result), "[result.number, !result.kept]"),
                color=("result.kept ? 'amber' : undefined",),
                classes="keep",
                **ICON,
            )
        with html.Div(classes="about"):
            _about(desk, does)
        cross("Discard this result", does(desk.discard_result), "result.number", classes="discard")
    with html.Div(v_if=("results.some((r) => r.kept)",), classes="row kept"):
        html.A(
            "Download {{ results.filter((r) => r.kept).length }} kept",
            href="results/kept.zip",
            classes="get-kept",
            download=True,
            __properties=["download"],
        )
        v3.VBtn(
            "Discard the others",
            v_if=("results.some((r) => !r.kept)",),
            click=does(desk.discard_others),
            disabled=("!!busy",),
            classes="discard-others",
            **BUTTON,
        )


def _about(desk: Desk, does: Does) -> None:
    name_field(
        "result.name",
        "Its name: click to change it",
        does(desk.rename_result),
        "result.number",
        longest=60,
        classes="title",
    )
    html.Div("{{ result.what }}", classes="note")
    html.Div("{{ result.sent }}", v_if=("result.sent",), classes="note sent")
    with html.Div(classes="downloads"):
        for word, what in PARTS:
            html.A(
                word,
                href=(f"`results/${{result.number}}/{what}`",),
                click="$event.stopPropagation()",
                classes=f"get-{word.lower()}",
                download=True,
                __properties=["download"],
            )
    with html.Div(classes="row"):
        small_button(
            "4 more like this",
            "The same request with other seeds",
            does(desk.runs.more_like),
            of="result.number",
            classes="more",
        )
        small_button(
            "Send...",
            "To one of the known destinations",
            does(desk.sending.ask),
            of="result.number",
            classes="send",
            v_if=("can_send",),
        )


def ask(desk: Desk, does: Does) -> None:
    """Write the question where a result is to go."""
    part = desk.sending
    with dialog("send_number > 0", does(part.close), width=520, classes="sending"):
        with titled("Send to a destination"):
            v3.VSelect(
                label="Destination",
                items=("destinations",),
                model_value=("send_to",),
                update_modelValue=(does(part.choose), TYPED),
                classes="destination",
            )
            html.Div("{{ send_says }}", classes="note")
            html.Div("{{ hazard }}", v_for="hazard in send_hazards", key="hazard", classes="hazard")
            v3.VCheckbox(
                label="I know, and want to send it there",
                v_model=("send_agreed",),
                v_if=("send_hazards.length",),
                classes="agreed",
            )
            html.Div(
                "Its marks are verified before it goes, and the destination is asked whether it has everything.",
                classes="note",
            )
        answers(
            "Send",
            does(part.send),
            cancel=does(part.close),
            unless="!send_to || (send_hazards.length > 0 && !send_agreed)",
        )
