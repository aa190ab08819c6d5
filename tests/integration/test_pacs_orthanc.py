"""Against a real Orthanc with its DICOMweb plug-in: what is sent arrives, equal and verified."""

import subprocess

import pytest
from pacs_objects import files_of, make_out, pixels_of
from pacs_servers import DICOMWEB_PLUGIN, free_port, medsynth, orthanc
from pydicom import dcmread

from medsynth.pacs.outbox import Outbox

pytestmark = pytest.mark.pacs

MANY = 1000


@pytest.fixture(scope="module", autouse=True)
def _tools(needs_tool):
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return make_out(tmp_path_factory.mktemp("many") / "out", MANY, size=64)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def add(home, server, way, *options):
    if way == "dimse":
        where = ["--host", "127.0.0.1", "--port", server.dicom_port, "--aet", "ORTHANC"]
    else:
        where = ["--url", server.url]
    assert medsynth(home, "pacs", "add", "orth", *where, "--settle", 0.3, *options).returncode == 0


def states(home):
    (job,) = Outbox(home / "outbox").jobs()[0]
    return job.counts()


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_thousand_arrive_pixel_equal_and_verified(way, many, home, tmp_path):
    with orthanc(tmp_path / "orthanc") as server:
        add(home, server, way)
        sent = medsynth(home, "send", many, "--to", "orth")
        assert sent.returncode == 0, sent.stderr
        assert f"{MANY + 1} of {MANY + 1} objects are verified" in sent.stdout
        assert "FIRST SEND" in sent.stderr
        assert server.pixels() == pixels_of(files_of(many))
        assert server.arrivals() == MANY + 1
        assert states(home) == {"verified": MANY + 1}


def test_sending_again_sends_nothing_and_asks_the_server(home, tmp_path):
    out = make_out(tmp_path / "out", 6)
    with orthanc(tmp_path / "orthanc") as server:
        add(home, server, "dimse")
        for _ in range(2):
            assert medsynth(home, "send", out, "--to", "orth").returncode == 0
        job = Outbox(home / "outbox").jobs()[0][0]
        assert {p.attempts for p in job.progress.values()} == {1}
        # The archive loses everything: a third send notices and brings it back.
        for patient in server.rest("/patients"):
            delete = ["curl", "-s", "-X", "DELETE"]
            subprocess.run(
                [*delete, f"http://127.0.0.1:{server.http_port}/patients/{patient}"],
                check=True,
                capture_output=True,
            )
        assert server.uids() == set()
        again = medsynth(home, "send", out, "--to", "orth")
        assert again.returncode == 0, again.stderr
        assert server.pixels() == pixels_of(files_of(out))
    assert "are not there; 7 are sent again" in again.stderr


def test_storage_commitment_is_the_proof_where_we_listen(home, tmp_path):
    out, port = make_out(tmp_path / "out", 5), free_port()
    modalities = {"us": ["MEDSYNTH", "127.0.0.1", port]}
    with orthanc(tmp_path / "orthanc", DicomModalities=modalities) as server:
        where = ["--host", "127.0.0.1", "--port", server.dicom_port, "--aet", "ORTHANC"]
        options = ["--listen-port", port, "--verify", "commitment"]
        assert medsynth(home, "pacs", "add", "orth", *where, *options).returncode == 0
        sent = medsynth(home, "send", out, "--to", "orth")
        assert sent.returncode == 0, sent.stderr
    job = Outbox(home / "outbox").jobs()[0][0]
    notes = {progress.note for progress in job.progress.values()}
    assert notes == {"verified by storage commitment"}


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_retrieval_is_the_strongest_proof(way, home, tmp_path):
    out = make_out(tmp_path / "out", 5)
    with orthanc(tmp_path / "orthanc", MaximumStorageCacheSize=0) as server:
        add(home, server, way, "--verify", "retrieve")
        sent = medsynth(home, "send", out, "--to", "orth")
        assert sent.returncode == 0, sent.stderr
        job = Outbox(home / "outbox").jobs()[0][0]
        assert {p.note for p in job.progress.values()} == {"verified by retrieval"}
        # Another object under one of our UIDs: a query would not notice.
        victim = files_of(out)[2]
        uid = str(dcmread(victim).SOPInstanceUID)
        (path,) = (
            path
            for path in (server.folder / "db").glob("*/*/*")
            if (content := path.read_bytes())[128:132] == b"DICM" and uid.encode() in content[:600]
        )
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
        again = medsynth(home, "send", out, "--to", "orth")
    assert again.returncode == 3
    job = Outbox(home / "outbox").jobs()[0][0]
    assert job.counts() == {"verified": 5, "failed": 1}
    assert [instance.uid for instance in job.in_state("failed")] == [uid]


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_server_that_recycles_storage_is_caught(way, home, tmp_path):
    """It answers 0x0000 for all 60 and keeps one patient of three."""
    out = tmp_path / "out"
    for number in range(3):
        make_out(out / "dicom" / str(number), 20, seg=False, patient=f"P{number}")
    with orthanc(tmp_path / "orthanc", MaximumPatientCount=1) as server:
        add(home, server, way)
        sent = medsynth(home, "send", out, "--to", "orth")
        kept = server.uids()
    assert len(kept) <= 20
    assert sent.returncode == 3
    job = Outbox(home / "outbox").jobs()[0][0]
    verified = {uid for uid, progress in job.progress.items() if progress.state == "verified"}
    assert verified == kept
    assert job.counts()["failed"] == 60 - len(kept)
    assert "does not find it" in sent.stderr


def test_a_full_disk_behind_stow_is_not_taken_for_success(home, tmp_path):
    """Orthanc answers HTTP 200 although it could not write the files."""
    out = make_out(tmp_path / "out", 4, size=512, seg=False)
    with orthanc(tmp_path / "orthanc", largest_file=400_000) as server:
        add(home, server, "web")
        sent = medsynth(home, "send", out, "--to", "orth", "--attempts", 2)
        assert server.uids() == set()
    assert sent.returncode == 3, sent.stderr
    job = Outbox(home / "outbox").jobs()[0][0]
    assert set(job.counts()) <= {"queued", "failed"}
    assert "0 of 4 objects are verified" in sent.stdout


def test_wrong_called_aet_is_not_retried_and_named(home, tmp_path):
    out = make_out(tmp_path / "out", 2)
    with orthanc(tmp_path / "orthanc", DicomCheckCalledAet=True) as server:
        where = ["--host", "127.0.0.1", "--port", server.dicom_port, "--aet", "WRONG"]
        assert medsynth(home, "pacs", "add", "orth", *where).returncode == 0
        test = medsynth(home, "pacs", "test", "orth")
        sent = medsynth(home, "send", out, "--to", "orth")
    assert test.returncode == 2
    for said in (test.stderr, sent.stderr):
        assert "Called AE title not recognised" in said
    assert sent.returncode == 3
    assert "trying again" not in sent.stderr


def test_wrong_calling_aet_is_named(home, tmp_path):
    with orthanc(
        tmp_path / "orthanc", DicomAlwaysAllowEcho=False, DicomAlwaysAllowStore=False
    ) as s:
        where = ["--host", "127.0.0.1", "--port", s.dicom_port, "--aet", "ORTHANC"]
        calling = ["--calling-aet", "STRANGER"]
        assert medsynth(home, "pacs", "add", "orth", *where, *calling).returncode == 0
        sent = medsynth(home, "send", make_out(tmp_path / "o", 1), "--to", "orth")
    assert sent.returncode == 3
    assert "trying again" not in sent.stderr
    assert "Calling AE title not recognised" in sent.stderr or "does not take" in sent.stderr


@pytest.mark.parametrize("way", ["dimse", "move", "web"])
def test_fetch_brings_a_series_back_pixel_equal(way, home, tmp_path):
    out, port = make_out(tmp_path / "out", 12), free_port()
    modalities = {"us": ["MEDSYNTH", "127.0.0.1", port]}
    with orthanc(tmp_path / "orthanc", DicomModalities=modalities) as server:
        add(home, server, "web" if way == "web" else "dimse")
        assert medsynth(home, "send", out, "--to", "orth").returncode == 0
        method = []
        if way == "move":
            where = ["--host", "127.0.0.1", "--port", server.dicom_port, "--aet", "ORTHANC"]
            options = ["--listen-port", port, "--replace"]
            assert medsynth(home, "pacs", "add", "orth", *where, *options).returncode == 0
            method = ["--method", "move"]
        listed = medsynth(home, "fetch", "orth", "--patient", "SYN")
        asked = ["fetch", "orth", "--patient", "SYN"]
        many = medsynth(home, *asked, "-o", tmp_path / "none")
        got = medsynth(home, *asked, "--modality", "CT", "-o", tmp_path / "got", *method)
    assert listed.stdout.count("\n") == 2
    assert many.returncode == 2
    assert "choose with --series" in many.stderr
    assert not (tmp_path / "none").exists()
    assert got.returncode == 0, got.stderr
    images = sorted((out / "dicom/image").glob("*.dcm"))
    assert pixels_of(sorted((tmp_path / "got").iterdir())) == pixels_of(images)
    assert medsynth(home, *asked, "-o", tmp_path / "got").returncode == 2
