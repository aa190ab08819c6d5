"""A NumPy view of a SimpleITK image does not keep the image: what is read after it is another's memory.

`sitk.GetArrayViewFromImage(make_image()) > 0` ended `medsynth synthesize` of a whole volume with a segmentation fault.
"""

import ast

import pytest

VIEW = "GetArrayViewFromImage"


def is_view(node):
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == VIEW
    )


def root(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def dangling(text):
    """Lines with a view of an image that no name holds, or that a function returns of its own."""
    tree = ast.parse(text)
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if is_view(node) and node.args and not isinstance(root(node.args[0]), ast.Name)
    ]
    return lines + [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Return)
        and node.value is not None
        and is_view(node.value)
        and isinstance(node.value.args[0], ast.Name)
    ]


@pytest.mark.slow
def test_every_view_has_its_image(repo_root):
    found = []
    for folder in ("medsynth", "MedSynthSlicer", "benchmarks", "tests"):
        for file in sorted((repo_root / folder).rglob("*.py")):
            found += [f"{file}:{line}" for line in dangling(file.read_text(encoding="utf-8"))]
    assert not found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("body = sitk.GetArrayViewFromImage(mask(image)) > 0", [1]),
        ("body = sitk.GetArrayViewFromImage(read(path).image)", [1]),
        ("def f(path):\n    image = read(path)\n    return sitk.GetArrayViewFromImage(image)", [3]),
        ("image = read(path)\nbody = sitk.GetArrayViewFromImage(image)", []),
        ("def f(lesion):\n    return sitk.GetArrayViewFromImage(lesion.mask).any()", []),
    ],
)
def test_what_dangles_is_found(text, lines):
    assert dangling(text) == lines
