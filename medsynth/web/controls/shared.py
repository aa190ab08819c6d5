"""What the parts of the page share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

# Makes of a method of the desk what a control calls.
Does = Callable[[Callable[..., Any]], Callable[..., None]]
# Vue's own words for what is checked or typed.
TYPED = "[$event]"
BUTTON = {"size": "small", "variant": "tonal"}
SMALL = {"size": "x-small", "variant": "tonal"}
ICON = {"size": "x-small", "variant": "text"}


def slider(label: str, value: str, change: Any, arguments: str, **more: Any) -> None:
    """A slider of whole numbers between its label and its value."""
    low, high = more.pop("low", 1), more.pop("high", 64)
    unit = more.pop("unit", "")
    with html.Div(classes="slider"):
        html.Span(label)
        v3.VSlider(
            model_value=(value,),
            update_modelValue=(change, arguments),
            min=low,
            max=high,
            step=1,
            **{"disabled": ("!!busy",)} | more,
        )
        html.Span(f"{{{{ {value} }}}}{unit}", classes="number")


def name_field(
    value: str, title: str, change: Any, key: str, *, longest: int, classes: str
) -> None:
    """A name that is changed where it stands; `change` is called with `key` and what was typed."""
    html.Input(
        value=(value,),
        title=title,
        change=(change, f"[{key}, $event.target.value]"),
        keydown="$event.key === 'Enter' && $event.target.blur()",
        maxlength=longest,
        classes=classes,
        __properties=["maxlength"],
    )


def small_button(
    word: str, title: str, act: Any, *, classes: str, of: str = "", **more: Any
) -> None:
    """What can be done with what it stands beside, unless a run goes; `act` is called with `of`, if any."""
    v3.VBtn(
        word,
        title=title,
        click=(act, f"[{of}]") if of else act,
        disabled=("!!busy",),
        classes=classes,
        **SMALL,
        **more,
    )


def cross(title: str, remove: Any, key: str, **more: Any) -> None:
    """The small button that takes away what it stands beside; `remove` is called with `key`."""
    v3.VBtn(icon="mdi-close", title=title, click=(remove, f"[{key}]"), **ICON, **more)


@contextmanager
def dialog(shown: str, close: Any, *, width: int, classes: str) -> Iterator[None]:
    """What is written inside lies over the page while `shown` holds; `close` is called when it is left."""
    over = v3.VDialog(model_value=(shown,), update_modelValue=(close, "[]"), max_width=width)
    with over, v3.VCard(classes=classes):
        yield


@contextmanager
def titled(title: str) -> Iterator[None]:
    """A title in a dialog, and what is written inside below it."""
    v3.VCardTitle(title)
    with v3.VCardText():
        yield


def answers(word: str, act: Any, *, cancel: Any, unless: str) -> None:
    """The last row of a question: not to do it, or to do it, which cannot be while `unless` holds."""
    with v3.VCardActions():
        v3.VSpacer()
        v3.VBtn("Cancel", click=cancel, classes="dont", **BUTTON)
        v3.VBtn(
            word,
            click=act,
            disabled=(unless,),
            color="primary",
            classes=f"do-{word.lower()}",
            **BUTTON,
        )
