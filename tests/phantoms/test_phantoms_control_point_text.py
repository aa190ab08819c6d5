"""Control point files are held against the limits before they are built."""

import json

import pytest

from medsynth.phantoms import load_control_points, save_control_points
from medsynth.phantoms.breast.shape import load_breast
from medsynth.phantoms.thorax.shape import ThoraxShape

HEAD = "format: medsynth-control-points\nversion: 1\n"


@pytest.mark.parametrize("load", [load_control_points, load_breast])
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_too_many_bytes(tmp_path, monkeypatch, load, suffix):
    monkeypatch.setenv("MEDSYNTH_MAX_CONTROL_POINT_BYTES", "100")
    path = tmp_path / f"a{suffix}"
    path.write_text(json.dumps({"format": "x" * 200}))
    with pytest.raises(
        ValueError, match="bytes of text, more than 100 bytes; if that is meant, set"
    ):
        load(path)


def test_aliases_count_as_what_they_stand_for(tmp_path):
    """Nine levels of nine: 387 million entries in 300 bytes."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for n in range(1, 9):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + "\n".join(lines))
    with pytest.raises(ValueError, match="too much, more than 1,000,000 entries"):
        load_control_points(path)


@pytest.mark.parametrize("depth", [60, 100_000])
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_nesting(tmp_path, suffix, depth):
    path = tmp_path / f"a{suffix}"
    path.write_text("[" * depth + "]" * depth)
    with pytest.raises(
        ValueError, match="is not a control point file: .*(too deep|recursion|nesting)"
    ):
        load_control_points(path)


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_many_entries(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("MEDSYNTH_MAX_CONTROL_POINT_ENTRIES", "50")
    path = tmp_path / f"a{suffix}"
    path.write_text(json.dumps({"format": list(range(60))}))
    with pytest.raises(ValueError, match="too much, more than 50 entries"):
        load_control_points(path)


def test_an_alias_that_a_person_wrote_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        HEAD + "shared: &label []\n"
        "organs: {heart: {label: heart, layers: [], pieces: *label, over: *label}}\n"
    )
    assert load_control_points(path).organs["heart"].over == ()


def test_a_folder_and_another_format(tmp_path):
    with pytest.raises(ValueError, match="is no file"):
        load_control_points(tmp_path)
    save_control_points(ThoraxShape({}, {}, 1), tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="is not a control point file of a breast"):
        load_breast(tmp_path / "a.yaml")
