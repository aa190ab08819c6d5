"""The words of the field, in American spelling: what a reader meets has none of the words we gave up.

Read are the pages, the strings that the program says, and the names in its code.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "monai_bundle").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / "MedSynthSlicer").rglob("*.md"),
    ]
)
# A log of what was done when, in the words of that day.
LOGS = {"docs/experiments.md", "CHANGELOG.md"}
CODE = sorted((ROOT / "medsynth").rglob("*.py"))

BRITISH = (
    r"(neighbour|colour|grey|centre|centred|memoris|haemorrhag|oedema|learnt|millimetre|licence|"
    r"normalis|equalis|favour|behaviour)\w*"
)
# Word: what to write instead.
NOT_IN_PROSE = {
    BRITISH: "American spelling",
    r"low[- ]bands?": "low-pass image",
    r"told (the|a|how|nothing|everywhere|of the)\b": "conditioned on",
    r"ear for texture": "image noise level",
    r"nearness": "similarity",
    r"guided by nobody|by nobody": "unconditional",
    r"reference-aware": "reference-conditioned",
    r"refining loss|judging loss": "adversarial loss, discriminator loss",
    r"(a|the|one|each|wide|narrower) judge|judges": "discriminator",
    r"a pool of": "paired crops",
    r"films?": "radiograph, mammogram, projection image",
}
NOT_AS_NAME = {
    BRITISH: "American spelling",
    r"told_\w+|\w+_told|with_hint|is_grey|low_bands?(_\w+)?": "conditioning, low_pass_image",
    r"nearness|Gallery|gallery": "similarity, ReferenceIndex",
    r"judges|judge_pace": "discriminators, discriminator_lr_ratio",
    r"Slab|slabs?": "sub-volume",
    r"films?": "radiograph, mammogram",
}
# Where an old word is right: `file: pattern of the passage`, and why.
ALLOWED = {
    # Aliases are the table of old names, and its readers name one.
    "medsynth/storage/aliases.py": r".*",
    "medsynth/request/aliases.py": r".*",
    "medsynth/cli/evaluate.py": r"low-band",  # the option's old name still works
    # Keys of other people's formats: the decathlon's dataset.json, license columns of tables.
    "medsynth/factory/layouts/monai.py": r"licence",
    "medsynth/factory/references.py": r"licence",
    # A word that may stand in a report of a clinic that spells so.
    "medsynth/dicom/lesion_codes.py": r"haemorrhage",
    # A size in DICOM is that at the detector or at the film, in plates of old.
    "medsynth/images/dicom/series.py": r"film",
    # Slicer's module and the web page share these names with attributes of scenes that users have saved.
    **dict.fromkeys(
        ("medsynth/scene/film.py", "medsynth/scene/preview.py", "medsynth/scene/checks.py"),
        r"films?",
    ),
    # Messages of other programs, quoted.
    "docs/pacs.md": r"not recognised",
}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def offences(text, table, *, where, whole):
    """(line, word, cure) of what `table` gives up; `whole`: the whole text must be the word."""
    allowed = ALLOWED.get(where)
    for pattern, cure in table.items():
        for found in re.finditer(rf"(?<![\w`])(?:{pattern})(?!\w)", text, re.IGNORECASE):
            if whole and found.group() != text:
                continue
            if not allowed or not re.search(allowed, found.group()):
                yield text.count("\n", 0, found.start()) + 1, found.group(), cure


@pytest.mark.parametrize("page", [p for p in PAGES if relative(p) not in LOGS], ids=relative)
def test_pages_use_the_words_of_the_field(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not list(offences(text, NOT_IN_PROSE, where=relative(page), whole=False))


def said(path):
    """What strings, docstrings and comments of a file say that they should not: (line, word, cure)."""
    where, text = relative(path), path.read_text()
    if not any(offences(text, NOT_IN_PROSE, where=where, whole=False)):
        return  # to take a file apart takes a hundred times as long as to search it
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            for line, word, cure in offences(token.string, NOT_IN_PROSE, where=where, whole=False):
                yield token.start[0] + line - 1, word, cure


def test_what_the_program_says_uses_them():
    found = {relative(path): list(said(path)) for path in CODE}
    assert not {path: words for path, words in found.items() if words}


def names(path):
    """Every name that a file defines: classes, functions, arguments, variables, attributes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def test_names_in_the_code_use_them():
    found = [
        f"{relative(path)}:{line}: {word}: {cure}"
        for path in CODE
        # Where the text nowhere has the word no name is it; to take a file apart takes far longer.
        if any(offences(path.read_text(), NOT_AS_NAME, where=relative(path), whole=False))
        for name, line in {name: line for line, name in names(path)}.items()
        for _, word, cure in offences(name, NOT_AS_NAME, where=relative(path), whole=True)
    ]
    assert not found, "\n".join(found)


def test_the_scan_finds_a_planted_word():
    """Else the tests above could pass by reading nothing."""
    text = "the grey low band\nis told the reference"
    found = [word for _, word, _ in offences(text, NOT_IN_PROSE, where="x", whole=False)]
    assert sorted(found) == ["grey", "low band", "told the"]
    assert [w for _, w, _ in offences("judges", NOT_AS_NAME, where="x", whole=True)] == ["judges"]
    assert not list(offences("judgment", NOT_AS_NAME, where="x", whole=True))
    assert len(CODE) > 200


def test_a_planted_word_is_found_in_strings_and_comments_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "planted.py"
    file.write_text('grey = 1\nx = "a low band"\n# told the network\n')
    assert [(line, word) for line, word, _ in said(file)] == [(2, "low band"), (3, "told the")]


def test_the_pages_are_found():
    assert len(PAGES) > 20
