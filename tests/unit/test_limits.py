"""One table of limits: a request of a few bytes cannot take all memory, all time or the stack."""

import json
import time

import pytest

from medsynth import limits
from medsynth.request import load_request, parse

REQUEST = {"preset": "lung_ct", "anatomy": {"phantom": {"kind": "thorax"}}}


@pytest.fixture(autouse=True)
def quick():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 5


def refused(tmp_path, text, words, name="a.yaml"):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        load_request(path)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


def aliases(levels, each=9):
    lines = [f"a0: &a0 [{', '.join('x' * 1 for _ in range(each))}]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join(f'*a{n - 1}' for _ in range(each))}]")
    return "\n".join(lines)


def test_aliases_that_stand_for_billions(tmp_path):
    refused(tmp_path, aliases(9) + "\npreset: *a8\n", "MEDSYNTH_MAX_REQUEST_ENTRIES")


@pytest.mark.slow
def test_what_is_shown_of_a_value_is_bounded(tmp_path):
    text = aliases(4) + "\npreset: *a3\n"
    refused(tmp_path, text, "unknown key|expected|preset")
    refused(tmp_path, f"steps: [{'&a ' + 'x' * 500_000}, *a, *a]\n{_rest()}", "steps: expected")


def _rest():
    return "preset: lung_ct\nanatomy: {phantom: {kind: thorax}}\n"


def test_merged_aliases_multiply_too(tmp_path):
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 9)]
    refused(tmp_path, "\n".join(lines), "MEDSYNTH_MAX_REQUEST_ENTRIES")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
@pytest.mark.parametrize("levels", [60, 100_000])
def test_deep_nesting(tmp_path, name, levels):
    refused(tmp_path, '{"a": ' + "[" * levels + "]" * levels + "}", "MEDSYNTH_MAX_DEPTH", name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: &a [*a]", "inside itself"),
        ("preset: !!int x", "not valid YAML"),
        ("preset: !!timestamp x", "not valid YAML"),
        ("preset: !!map x", "not valid YAML"),
        ("preset: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("steps: " + "1:" * 200_000 + "1", "int of 400001 characters"),
        ("steps: 0x" + "f" * 90 + "\n" + _rest(), "steps: .*more than 10,000"),
        ("? " + "x" * 500_000 + "\n: 1", "unknown key"),
        ("weights: " + "x" * 500_000 + "\n" + _rest(), "weights: expected a path"),
    ],
)
def test_odd_text(tmp_path, text, words):
    refused(tmp_path, text, words)


def test_many_keys_in_json_take_no_quadratic_time(tmp_path):
    refused(tmp_path, json.dumps({f"k{n}": n for n in range(60_000)}), "unknown key", "a.json")


def test_large_text(tmp_path):
    refused(tmp_path, "# " + "x" * limits.REQUEST_BYTES.default, "MEDSYNTH_MAX_REQUEST_BYTES")


def test_steps_are_limited_and_the_limit_can_be_raised(monkeypatch):
    with pytest.raises(ValueError, match="steps: 1000000000 steps, more than 10,000 steps"):
        parse(REQUEST | {"steps": 10**9})
    with pytest.raises(ValueError, match="more than 10,000 steps"):
        parse(REQUEST | {"steps": 10**5000})
    monkeypatch.setenv("MEDSYNTH_MAX_STEPS", "20000")
    assert parse(REQUEST | {"steps": 20_000}).steps == 20_000
    with pytest.raises(ValueError, match="MEDSYNTH_MAX_STEPS higher"):
        parse(REQUEST | {"steps": 20_001})


@pytest.mark.parametrize("words", ["many", "-1", "0", "1e9", "9" * 30])
def test_a_limit_that_is_no_number(monkeypatch, words):
    monkeypatch.setenv("MEDSYNTH_MAX_STEPS", words)
    with pytest.raises(ValueError, match="MEDSYNTH_MAX_STEPS must be a whole number"):
        parse(REQUEST)


def test_every_limit_is_documented(repo_root):
    text = (repo_root / "docs" / "limits.md").read_text()
    for limit in limits.ALL:
        assert f"`{limit.variable}` | {limit.default:,} {limit.unit} |" in text, limit.variable
