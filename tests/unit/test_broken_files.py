"""Damaged files of every format: read, or refused in one line; benchmarks/broken_files.py does 10,000."""

import time

import pytest
from broken_files import broken_files, flips, read

pytestmark = pytest.mark.slow


def refusal(path):
    """What is said of the file; empty where it is read. Any other error goes through."""
    try:
        read(path)
    except (ValueError, OSError, ImportError) as error:
        return str(error).strip()
    return ""


@pytest.mark.parametrize(("make", "count"), [(flips, 48), (broken_files, 66)])
@pytest.mark.filterwarnings("ignore")
def test_damage_is_refused_in_one_line(tmp_path, make, count):
    refused = 0
    for path, kind in make(tmp_path, count, 7):
        start = time.monotonic()
        words = refusal(path)
        refused += bool(words)
        assert "\n" not in words, kind
        assert len(words) < 3000, kind
        assert time.monotonic() - start < 5, kind
    assert count / 10 < refused < count  # some damage does no harm
