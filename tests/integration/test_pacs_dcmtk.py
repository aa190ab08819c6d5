"""Against DCMTK's servers: an archive that answers C-FIND, and a receiver that answers nothing."""

import pytest
from pacs_objects import files_of, make_out, pixels_of
from pacs_servers import dcmqrscp, free_port, medsynth, storescp
from pydicom import dcmread

from medsynth.pacs.outbox import Outbox

pytestmark = pytest.mark.pacs
# dcmqrscp 3.6.7 gives one file name to objects that arrive together, and then refuses one of them with
# 0xC000 or loses one.
ONE_BY_ONE = ("--associations", 1)


@pytest.fixture(scope="module", autouse=True)
def _tools(needs_tool):
    for program in ("storescp", "dcmqrscp"):
        needs_tool(program, "dcmtk")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def add(home, port, aet, *options):
    where = ["--host", "127.0.0.1", "--port", port, "--aet", aet, "--settle", 0]
    assert medsynth(home, "pacs", "add", "peer", *where, *options).returncode == 0


def test_dcmqrscp_gets_everything_and_gives_it_back(home, tmp_path):
    out, port = make_out(tmp_path / "out", 20), free_port()
    with dcmqrscp(tmp_path / "archive", move_port=port) as archive:
        add(home, archive, "ARCHIVE", "--listen-port", port, *ONE_BY_ONE)
        sent = medsynth(home, "send", out, "--to", "peer")
        assert sent.returncode == 0, sent.stderr
        asked = ["fetch", "peer", "--patient", "SYN", "--modality", "CT"]
        for method in ("get", "move"):
            got = medsynth(home, *asked, "--method", method, "-o", tmp_path / method)
            assert got.returncode == 0, got.stderr
    # It listens for commitment reports, the archive has no such service: C-FIND is the proof.
    job = Outbox(home / "outbox").jobs()[0][0]
    assert {p.note for p in job.progress.values()} == {"verified by C-FIND"}
    images = pixels_of(sorted((out / "dicom/image").glob("*.dcm")))
    for method in ("get", "move"):
        assert pixels_of(sorted((tmp_path / method).iterdir())) == images


def test_a_series_that_does_not_come_completely_is_not_kept(home, tmp_path):
    out = make_out(tmp_path / "out", 5, seg=False)
    with dcmqrscp(tmp_path / "archive") as archive:
        add(home, archive, "ARCHIVE", *ONE_BY_ONE)
        assert medsynth(home, "send", out, "--to", "peer").returncode == 0
        next(path for path in (tmp_path / "archive/db").iterdir() if "CT" in path.name).unlink()
        got = medsynth(home, "fetch", "peer", "--patient", "SYN", "-o", tmp_path / "got")
    assert got.returncode == 2
    assert [path.name for path in tmp_path.iterdir() if "got" in path.name] == []


def test_an_archive_that_mixes_its_files_up_is_found_out(home, tmp_path):
    out = make_out(tmp_path / "out", 3, seg=False)
    with dcmqrscp(tmp_path / "archive") as archive:
        add(home, archive, "ARCHIVE", *ONE_BY_ONE)
        assert medsynth(home, "send", out, "--to", "peer").returncode == 0
        first, second, *_ = (p for p in (tmp_path / "archive/db").iterdir() if "CT" in p.name)
        first.write_bytes(second.read_bytes())
        got = medsynth(home, "fetch", "peer", "--patient", "SYN", "-o", tmp_path / "got")
    assert got.returncode == 2
    assert "archive is damaged" in got.stderr
    assert not (tmp_path / "got").exists()


def test_storescp_receives_and_proves_nothing(home, tmp_path):
    out = make_out(tmp_path / "out", 8)
    with storescp(tmp_path / "received") as port:
        add(home, port, "ANY")
        sent = medsynth(home, "send", out, "--to", "peer")
    assert sent.returncode == 3
    assert "neither storage commitment nor C-FIND" in sent.stderr
    received = [p for p in (tmp_path / "received").iterdir() if p.name != "log"]
    assert pixels_of(received) == pixels_of(files_of(out))
    assert Outbox(home / "outbox").jobs()[0][0].counts() == {"stored": 9}


def test_a_server_of_implicit_vr_only_gets_what_it_can_read(home, tmp_path):
    out = make_out(tmp_path / "out", 3)
    with storescp(tmp_path / "received", "+xi") as port:
        add(home, port, "ANY")
        medsynth(home, "send", out, "--to", "peer")
    received = [p for p in (tmp_path / "received").iterdir() if p.name != "log"]
    assert {dcmread(p).file_meta.TransferSyntaxUID for p in received} == {"1.2.840.10008.1.2"}
    assert pixels_of(received) == pixels_of(files_of(out))


def test_a_receiver_that_dies_in_mid_send_leaves_the_truth(home, tmp_path):
    out = make_out(tmp_path / "out", 4)
    with storescp(tmp_path / "received", "--abort-after") as port:
        add(home, port, "ANY", "--associations", 1)
        sent = medsynth(home, "send", out, "--to", "peer", "--attempts", 2)
    assert sent.returncode == 3
    assert "whether it stored the object is unknown" in sent.stderr
    states = Outbox(home / "outbox").jobs()[0][0].counts()
    assert "stored" not in states
    assert "verified" not in states
