"""Objects damaged anywhere in the header: `send` takes them or says what is wrong, in one line."""

import os
import random
import re

import pytest
from pacs_objects import files_of, make_out
from pydicom.uid import UID

from medsynth.cli.app import is_for_the_user, one_line
from medsynth.pacs.collect import read_instance

FLIPS = int(os.environ.get("MEDSYNTH_FLIPS", "120"))


@pytest.fixture(scope="module")
def slice_path(tmp_path_factory):
    out = make_out(tmp_path_factory.mktemp("objects") / "out", 1, size=8, seg=False)
    return files_of(out)[0]


def refusal(path, content):
    """What `send` says to a file of that content; empty when it takes it."""
    path.write_bytes(content)
    instance, error = None, None
    try:
        instance = read_instance(path)
    except Exception as raised:  # noqa: BLE001 - which types come is what is tested
        error = raised
    if error is not None:
        assert is_for_the_user(error), repr(error)
        line = one_line(error)
        assert str(path) in line, line
        assert "Traceback" not in line
        return line
    uids = (instance.uid, instance.sop_class, instance.study, instance.series)
    assert all(UID(uid).is_valid for uid in uids)
    assert UID(instance.transfer_syntax).is_transfer_syntax
    return ""


@pytest.mark.slow
def test_a_flipped_byte_anywhere_in_the_header_is_one_clear_error_or_none(slice_path, tmp_path):
    content = slice_path.read_bytes()
    rng, said = random.Random(9), []
    for _ in range(FLIPS):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 1, 1, 3))):
            damaged[rng.randrange(128, len(content) - 128)] = rng.randrange(256)
        said.append(refusal(tmp_path / "damaged.dcm", bytes(damaged)))
    assert sum(map(bool, said)) > FLIPS // 10  # the flips do reach what matters


def test_an_object_without_a_transfer_syntax_is_refused_by_name(slice_path, tmp_path):
    content = slice_path.read_bytes()
    at = content.index(b"\x02\x00\x10\x00UI")
    length = 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    line = refusal(tmp_path / "a.dcm", content[:at] + content[at + length :])
    assert "a.dcm" in line
    assert "TransferSyntaxUID" in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"\x20\x00\x37\x00DS", b"\x21\x00\x37\x00\x00S", "damaged"),
        (b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00QQ", "damaged"),
        (b"\x08\x00\x1c\x00CS", b"\x08\x00\x1c\x00QQ", "damaged|SyntheticData"),
        (b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.8\x00", "no transfer syntax"),
        (b"1.2.840.10008.1.2.1\x00", b"1.2.840.10\x1b[31m.2.1\x00", r"no transfer syntax|damaged"),
    ],
)
def test_what_is_wrong_is_named(slice_path, tmp_path, old, new, said):
    content = slice_path.read_bytes()
    assert old in content
    line = refusal(tmp_path / "a.dcm", content.replace(old, new, 1))
    assert re.search(said, line), line
    assert "\x1b" not in line


def test_a_study_uid_whose_length_is_lost_is_named(slice_path, tmp_path):
    content = slice_path.read_bytes()
    length = content.index(b"\x20\x00\x0d\x00UI") + 6  # UIDs are 62 to 64 characters long
    line = refusal(tmp_path / "a.dcm", content[:length] + b"\x00\x00" + content[length + 2 :])
    assert re.search("lacks|damaged|must be", line), line
