"""Pages are filled once: what a part holds is never taken for a name of the template."""

import pytest

from medsynth.pages import filled


def test_each_name_is_filled_and_a_part_is_not_looked_into(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("{{head}}<style>{{base_css}}</style>{{a}}-{{b}}-{{a}}")
    page = filled(template, {"a": "{{b}}", "b": "x"})
    assert page.startswith("<!doctype html>")
    assert ".banner" in page
    assert page.endswith("</style>{{b}}-x-{{b}}")


def test_a_name_without_a_part_is_an_error(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("{{forgotten}}")
    with pytest.raises(KeyError, match="forgotten"):
        filled(template, {})
