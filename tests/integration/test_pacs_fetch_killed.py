"""SIGKILL of `fetch` at random moments, from a real Orthanc: nothing of a patient stays behind."""

import math
import os
import random
import stat
import time

import pytest
from pacs_faults import line, wait_until
from pacs_objects import make_out, pixels_of
from pacs_servers import DICOMWEB_PLUGIN, Sender, medsynth, orthanc

from medsynth.storage.partial import LOCK

pytestmark = pytest.mark.pacs

# 5 MB: a DICOMweb answer is read by the megabyte, so smaller ones arrive whole and leave no time for a
# kill.
OBJECTS = 40
KILLS = int(os.environ.get("MEDSYNTH_KILLS", "3"))


def arrived(folder):
    """Objects of the patient in folders that are not complete."""
    return set(folder.glob(".*.partial-*/*.dcm"))


def kill_fetches(home, folder, *, rng, kills):
    """Kill that many runs, while objects come or at any moment; how much each left behind."""
    left_by = []
    for number in range(kills):
        before = arrived(folder)
        target = folder / f"target{number % 3}"  # the same one again, or another beside it
        asked = ["fetch", "peer", "--patient", "SYN", "--modality", "CT", "-o", target]
        run = Sender(home, *asked)
        if number % 4:
            wait_until(lambda: arrived(folder) - before or run.poll() is not None)  # noqa: B023
        time.sleep(rng.uniform(0, 0.3))
        assert run.poll() is None, "it must be killed before it has ended"
        run.kill()
        for partial in folder.glob(".*.partial-*"):
            assert stat.S_IMODE(partial.stat().st_mode) == 0o700
        left_by.append(len(arrived(folder) - before))
    return left_by


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_killed_fetch_leaves_nothing_after_the_next(way, tmp_path, needs_tool):
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")
    out, home, folder = (
        make_out(tmp_path / "out", OBJECTS, size=256, seg=False),
        tmp_path / "home",
        tmp_path / "f",
    )
    folder.mkdir()
    with orthanc(tmp_path / "orthanc") as server:
        port = server.dicom_port if way == "dimse" else server.http_port
        with line(port, bytes_back_per_s=600_000) as slow:
            where = ["--host", "127.0.0.1", "--port", slow.port, "--aet", "ORTHANC"]
            if way == "web":
                where = ["--url", f"http://127.0.0.1:{slow.port}/dicom-web"]
            assert medsynth(home, "pacs", "add", "peer", *where).returncode == 0
            assert medsynth(home, "send", out, "--to", "peer").returncode == 0
            rng = random.Random(20260102)
            left_by = kill_fetches(home, folder, rng=rng, kills=KILLS)
            assert sum(map(bool, left_by)) >= KILLS // 2  # the kills fell into the work
            assert any(path.name.endswith(LOCK) for path in folder.iterdir())
            slow.bytes_back_per_s = math.inf
            asked = ["fetch", "peer", "--patient", "SYN", "--modality", "CT"]
            last = medsynth(home, *asked, "-o", folder / "last")
    assert last.returncode == 0, last.stderr
    assert [path.name for path in folder.iterdir()] == ["last"]
    assert stat.S_IMODE((folder / "last").stat().st_mode) == 0o700
    assert pixels_of(sorted((folder / "last").iterdir())) == pixels_of(
        sorted((out / "dicom/image").glob("*.dcm"))
    )
