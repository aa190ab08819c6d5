"""The journal knows whether it is whole: torn is no damage, everything else is."""

import subprocess
import sys

import pytest

from medsynth.storage.journal import Journal, read

RECORDS = [{"type": "note", "text": f"record {number}"} for number in range(5)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.jsonl"
    writer = Journal(path)
    for record in RECORDS:
        writer.append(record)
    writer.close()
    return path


def test_what_is_appended_is_read_back(path):
    contents = read(path)
    assert list(contents.records) == RECORDS
    assert contents.end == path.stat().st_size
    assert contents.torn_bytes == 0


def test_every_cut_of_the_last_line_is_torn_and_not_damaged(path):
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        contents = read(path)
        assert list(contents.records) == RECORDS[:4]
        assert contents.torn_bytes == end - start


def test_appending_after_a_torn_line_drops_it(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    contents = read(path)
    writer = Journal(path, end=contents.end, checksum=contents.checksum)
    writer.append(RECORDS[4])
    writer.close()
    assert path.read_bytes() == whole


@pytest.mark.slow
def test_every_flipped_byte_is_damage_or_makes_the_last_line_torn(path):
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x04
        path.write_bytes(changed)
        if position == len(whole) - 1:  # the last line break: then the last line is incomplete
            assert read(path).torn_bytes > 0
        else:
            with pytest.raises(ValueError, match="damaged at line"):
                read(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:3], lines[2], *lines[3:]],
        lambda lines: [*lines, b"\n"],
    ],
    ids=["one lost", "first lost", "swapped", "doubled", "empty line"],
)
def test_lost_swapped_and_doubled_lines_are_damage(path, edit):
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(ValueError, match="damaged at line"):
        read(path)


def test_a_full_disk_leaves_the_journal_readable_and_usable(tmp_path):
    """RLIMIT_FSIZE makes the kernel write a part of a line and then refuse, as a full disk does."""
    path = tmp_path / "journal.jsonl"
    program = f"""
import resource, signal
from pathlib import Path
from medsynth.storage.journal import Journal, read
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
writer = Journal(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 2000))
written = 0
try:
    while True:
        writer.append({{"n": written, "text": "x" * 70}})
        written += 1
except OSError as error:
    print(error.errno)
assert len(read(path).records) == written and read(path).torn_bytes == 0
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
writer.append({{"n": written, "text": "room again"}})
assert len(read(path).records) == written + 1
print("readable", written)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "readable 10" in done.stdout  # 99 bytes a line: the eleventh was cut after 10
