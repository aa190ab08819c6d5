"""Pages as HTML: a template's {{names}} filled in once, under the head and the style that all share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
NAME = re.compile(r"\{\{(\w+)\}\}")


def filled(template: Path, parts: Mapping[str, str]) -> str:
    """The page of `template` with each {{name}} replaced by its part, which is not looked into.

    Raises:
        KeyError: the template has a name that `parts` has not.
    """
    shared = {
        "head": (HERE / "head.html").read_text(encoding="utf-8").rstrip("\n") + "\n",
        "base_css": (HERE / "base.css").read_text(encoding="utf-8").rstrip("\n"),
    }
    named = {**shared, **parts}
    return NAME.sub(lambda name: named[name[1]], template.read_text(encoding="utf-8"))
