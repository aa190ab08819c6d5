"""What a user meets: the commands, their words and their exit codes."""

import json
import subprocess
import sys

import pytest
from pacs_faults import storage_scp
from pacs_objects import SEG, files_of, make_out
from pacs_servers import command, environment, free_port, medsynth
from pydicom import dcmread

from medsynth.pacs.outbox import Outbox

pytestmark = pytest.mark.pacs


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def out(tmp_path):
    return make_out(tmp_path / "out", 3)


def add(home, port, *options):
    where = ["--host", "127.0.0.1", "--port", port, "--aet", "FAULTY", "--settle", 0]
    done = medsynth(home, "pacs", "add", "peer", *where, *options)
    assert done.returncode == 0, done.stderr


def started(home, arguments):
    """A process of its own, with nothing in its environment but `home`."""
    return subprocess.run(
        arguments, env=environment(home), capture_output=True, text=True, check=False
    )


def refused(done, words):
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_nothing_goes_to_a_destination_that_was_not_added(home, out):
    refused(medsynth(home, "send", out, "--to", "peer"), "no destination is called 'peer'")
    refused(medsynth(home, "fetch", "peer", "--patient", "1"), "medsynth pacs add peer")
    assert not (home / "outbox").exists()


def test_an_unmarked_object_stops_the_whole_send(home, out):
    path = files_of(out)[-1]
    dataset = dcmread(path)
    del dataset.SyntheticData
    dataset.save_as(path)
    with storage_scp() as (port, archive):
        add(home, port)
        refused(medsynth(home, "send", out, "--to", "peer"), "not marked as synthetic")
    assert archive.order == []


def test_other_refusals_are_one_line(home, out, tmp_path):
    add(home, free_port())
    refused(medsynth(home, "send", tmp_path / "absent", "--to", "peer"), "is not a folder")
    refused(medsynth(home, "send", out, "--to", "peer", "--attempts", 0), "at least 1")
    refused(medsynth(home, "outbox", "show"), "needs a JOB")
    refused(medsynth(home, "outbox", "show", "nothing"), "0 jobs are called")
    refused(medsynth(home, "outbox", "forget"), "either a job or --verified")
    refused(medsynth(home, "fetch", "peer"), "not listed as a whole")
    again = ["pacs", "add", "peer", "--host", "h", "--port", 1, "--aet", "A"]
    refused(medsynth(home, *again), "already a destination")
    refused(medsynth(home, "pacs", "test", "peer"), "Connection refused")


def test_the_first_send_to_an_address_says_where_it_goes(home, out, tmp_path):
    other = make_out(tmp_path / "other", 1, seg=False, seed=1)
    with storage_scp() as (port, _):
        add(home, port)
        first = medsynth(home, "send", out, "--to", "peer")
        second = medsynth(home, "send", other, "--to", "peer")
    assert "FIRST SEND TO THIS ADDRESS: 3 images and 1 SEG (job peer-" in first.stderr
    assert f"DICOM FAULTY at 127.0.0.1:{port} (NOT encrypted; we are MEDSYNTH)" in first.stderr
    assert "FIRST" not in second.stderr
    assert "1 images and 0 SEG" in second.stderr


def test_progress_for_programs_names_every_instance(home, out):
    with storage_scp() as (port, _):
        add(home, port)
        done = medsynth(home, "send", out, "--to", "peer", "--progress", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = {e["data"]["uid"] for e in events if e["kind"] == "progress" and "data" in e}
    assert told == {str(dcmread(path).SOPInstanceUID) for path in files_of(out)}
    assert events[-1]["data"]["counts"] == {"verified": 4}


def test_outbox_lists_shows_retries_and_forgets(home, out):
    refuse = {"on": True}

    def behave(event, number):
        wanted = event.request.AffectedSOPClassUID == SEG and refuse["on"]
        return 0xC123 if wanted else 0x0000

    with storage_scp(behave) as (port, archive):
        add(home, port)
        sent = medsynth(home, "send", out, "--to", "peer")
        assert sent.returncode == 3
        assert "1 failed: 0xC123 the server cannot understand the object" in sent.stderr
        assert "what failed is sent again by: medsynth outbox retry peer-" in sent.stdout
        again = medsynth(home, "send", out, "--to", "peer")
        assert "medsynth outbox retry peer-" in again.stdout
        listed = medsynth(home, "outbox")
        assert "3 verified, 1 failed; to peer" in listed.stdout
        assert "0xC123" in listed.stdout
        shown = medsynth(home, "outbox", "show", "peer")
        assert shown.stdout.count("verified  image") == 3
        assert shown.stdout.count("failed    SEG") == 1
        refuse["on"] = False
        retried = medsynth(home, "outbox", "retry", "peer")
        assert retried.returncode == 0, retried.stderr
        assert archive.received.most_common(1)[0][1] == 2  # the SEG; the images went once
        assert sum(archive.received.values()) == 5
    forgot = medsynth(home, "outbox", "forget", "--verified")
    assert "forgot peer-" in forgot.stdout
    assert medsynth(home, "outbox").stdout == "the outbox is empty\n"
    assert list((home / "outbox/jobs").iterdir()) == []


def test_retry_mends_a_damaged_copy_from_the_folder_it_came_from(home, out):
    refuse = {"on": True}
    with storage_scp(lambda event, number: 0xA700 if refuse["on"] else 0x0000) as (port, archive):
        add(home, port)
        assert medsynth(home, "send", out, "--to", "peer", "--attempts", 1).returncode == 3
        refuse["on"] = False
        next((home / "outbox/jobs").glob("*/files/000002.dcm")).write_bytes(b"damaged")
        retried = medsynth(home, "outbox", "retry", "peer")
    assert retried.returncode == 0, retried.stderr
    assert len(archive.kept) == 4


def test_a_damaged_journal_is_told_by_send_and_by_outbox(home, out):
    with storage_scp() as (port, _):
        add(home, port)
        assert medsynth(home, "send", out, "--to", "peer").returncode == 0

        def damage():
            (journal,) = (home / "outbox/jobs").glob("*/journal.jsonl")
            journal.write_bytes(journal.read_bytes().replace(b"stored", b"st0red", 1))

        damage()
        listed = medsynth(home, "outbox")
        assert listed.returncode == 3
        assert "was set aside" in listed.stderr
        assert medsynth(home, "send", out, "--to", "peer").returncode == 0
        damage()
        refused(medsynth(home, "send", out, "--to", "peer"), "was set aside")
    assert len(list((home / "outbox/set-aside").iterdir())) == 2


def test_a_full_disk_during_a_send_leaves_a_readable_journal(home, out):
    """The journal may grow by some 500 bytes, then its disk is full; later there is room again."""
    program = """
import resource, runpy, signal, sys
from pathlib import Path
from medsynth.pacs import outbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
class Tight(outbox.journal.Journal):
    def __init__(self, path, **state):
        super().__init__(path, **state)
        limit = path.stat().st_size + 500
        if state:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
outbox.journal.Journal = Tight
from medsynth.cli.app import main
sys.exit(main(sys.argv[1:]))
"""
    with storage_scp() as (port, archive):
        add(home, port)
        done = started(home, [sys.executable, "-c", program, "send", str(out), "--to", "peer"])
        assert done.returncode == 2, done.stderr
        assert "File too large" in done.stderr
        jobs, damaged = Outbox(home / "outbox").jobs()
        assert damaged == []
        claimed = {i.uid for i in jobs[0].in_state("stored", "verified")}
        assert claimed <= set(archive.kept)
        assert medsynth(home, "send", out, "--to", "peer").returncode == 0
    assert Outbox(home / "outbox").jobs()[0][0].counts() == {"verified": 4}


@pytest.mark.parametrize("missing", ["pynetdicom", "dicomweb_client"])
def test_a_missing_package_names_the_extra(home, out, missing):
    add(home, free_port())
    medsynth(home, "pacs", "add", "web", "--url", "http://127.0.0.1:9/dicom-web")
    name = "peer" if missing == "pynetdicom" else "web"
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from medsynth.cli.app import main\nsys.exit(main(sys.argv[1:]))"
    )
    done = started(home, [sys.executable, "-c", program, "pacs", "test", name])
    refused(done, 'pip install "medsynth-slicer[pacs]"')


def test_the_pacs_side_never_imports_torch(home):
    program = (
        "import sys, medsynth.pacs.delivery, medsynth.pacs.dimse, medsynth.pacs.dicomweb, "
        "medsynth.pacs.dimse_fetch, medsynth.pacs.dicomweb_fetch, medsynth.pacs.outbox\n"
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_command_is_a_program_of_its_own(home, out):
    with storage_scp() as (port, archive):
        add(home, port)
        done = started(home, command("send", out, "--to", "peer"))
    assert done.returncode == 0, done.stderr
    assert "4 of 4 objects are verified at peer" in done.stdout
    assert len(archive.kept) == 4
