"""SIGKILL of the sender at 20 random moments and of the server at 10, in a job of 200 objects."""

import math
import random
import signal
import subprocess
import time

import pytest
from pacs_faults import line, storage_scp, wait_until
from pacs_objects import files_of, make_out, pixels_of
from pacs_servers import DICOMWEB_PLUGIN, Sender, command, environment, medsynth, orthanc

from medsynth.pacs.outbox import Outbox
from medsynth.storage.journal import read

pytestmark = pytest.mark.pacs

OBJECTS = 200


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_out(tmp_path_factory.mktemp("objects") / "out", OBJECTS - 1, size=64)


def add(home, way, port):
    if way == "dimse":
        where = ["--host", "127.0.0.1", "--port", port, "--aet", "ORTHANC"]
    else:
        where = ["--url", f"http://127.0.0.1:{port}/dicom-web"]
    options = ["--associations", 2 if way == "dimse" else 1, "--settle", 1, "--timeout", 20]
    assert medsynth(home, "pacs", "add", "peer", *where, *options).returncode == 0


def start_sender(home, out):
    return Sender(home, "send", out, "--to", "peer", "--attempts", 6)


def journal(home):
    """The one job as its journal has it; None before it is queued. It must never be damaged."""
    jobs, damaged = Outbox(home / "outbox").jobs()
    assert damaged == []
    return jobs[0] if jobs else None


def uids_in(job, *states):
    return {instance.uid for instance in job.in_state(*states)} if job else set()


def records(home):
    """How much is in the journal; a sender that is still copying has none."""
    paths = list((home / "outbox/jobs").glob("*/journal.jsonl"))
    return len(read(paths[0]).records) if paths else 0


def wait_for_records(home, sender, wanted):
    wait_until(lambda: records(home) >= wanted or sender.poll() is not None)


# Journal records between two kills, at most; a web sender writes them 16 at a time, so that fewer
# kills fit into 200 objects.
BETWEEN_KILLS = {"dimse": 10, "web": 24}
KILLS = {"dimse": (20, 10), "web": (10, 5)}


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_nothing_is_lost_or_doubled_when_sender_and_server_are_killed(
    way, out, tmp_path, needs_tool
):
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")
    rng = random.Random(20260101)
    home, killed_at = tmp_path / "home", []
    of_sender, of_server = KILLS[way]
    kills = ["sender"] * of_sender + ["server"] * of_server
    rng.shuffle(kills)
    with orthanc(tmp_path / "orthanc") as server:
        port = server.dicom_port if way == "dimse" else server.http_port
        with line(port, bytes_per_s=200_000) as slow:
            add(home, way, slow.port)
            sender = start_sender(home, out)
            for victim in kills:
                wait_for_records(home, sender, records(home) + rng.randint(0, BETWEEN_KILLS[way]))
                time.sleep(rng.uniform(0, 0.05))
                before = uids_in(journal(home), "stored", "verified")
                killed_at.append(len(before))
                if victim == "server":
                    server.kill()
                    server.start()
                    continue
                sender.kill()
                claimed = uids_in(journal(home), "stored", "verified")
                # The truth: what the journal claims to be there is there, also after a kill.
                assert before <= claimed <= server.uids()
                sender = start_sender(home, out)
            sender.kill()
            slow.bytes_per_s = math.inf
            last = medsynth(home, "send", out, "--to", "peer")
        assert last.returncode == 0, last.stderr
        assert server.pixels() == pixels_of(files_of(out))
        assert server.arrivals() == OBJECTS
    assert journal(home).counts() == {"verified": OBJECTS}
    # The kills fell into the job: at different moments of it, and before its end.
    assert len(set(killed_at)) >= 4
    assert max(killed_at) < OBJECTS


def test_what_the_journal_calls_stored_is_never_sent_twice(out, tmp_path):
    """A counting server: an object arrives again only if its answer was lost with the sender."""
    rng, home = random.Random(7), tmp_path / "home"
    with storage_scp() as (port, archive), line(port, bytes_per_s=150_000) as slow:
        where = ["--host", "127.0.0.1", "--port", slow.port, "--aet", "FAULTY", "--associations", 2]
        assert medsynth(home, "pacs", "add", "peer", *where, "--settle", 0).returncode == 0
        kills = 0
        while kills < 6:
            sender = start_sender(home, out)
            wait_for_records(home, sender, records(home) + rng.randint(10, 40))
            stored = uids_in(journal(home), "stored", "verified")
            seen = {uid: archive.received[uid] for uid in stored}
            sender.kill()
            kills += 1
        slow.bytes_per_s = math.inf
        last = medsynth(home, "send", out, "--to", "peer")
        assert last.returncode == 0, last.stderr
    assert {uid: archive.received[uid] for uid in seen} == seen
    doubled = sum(count - 1 for count in archive.received.values())
    assert doubled <= kills * 2  # at most what was on the wire on 2 associations
    assert len(archive.received) == OBJECTS


def test_two_senders_at_once_send_once(tmp_path):
    out, home = make_out(tmp_path / "out", 30, size=64), tmp_path / "home"
    with storage_scp() as (port, archive), line(port, bytes_per_s=100_000) as slow:
        where = ["--host", "127.0.0.1", "--port", slow.port, "--aet", "FAULTY"]
        assert medsynth(home, "pacs", "add", "peer", *where, "--settle", 0).returncode == 0
        senders = [
            subprocess.Popen(
                command("send", out, "--to", "peer"),
                env=environment(home),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [(*sender.communicate(timeout=120), sender.returncode) for sender in senders]
    codes = sorted(code for _, _, code in said)
    assert codes[0] == 0
    assert set(codes) <= {0, 2}
    for _, error, code in said:
        assert (code == 2) == ("in use by another process" in error)
    assert set(archive.received.values()) == {1}
    assert len(archive.received) == 31


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_stops_soon_and_the_job_waits(tmp_path, signal_name):
    out, home = make_out(tmp_path / "out", 30, size=64), tmp_path / "home"
    with storage_scp() as (port, archive), line(port, bytes_per_s=30_000) as slow:
        where = ["--host", "127.0.0.1", "--port", slow.port, "--aet", "FAULTY"]
        assert medsynth(home, "pacs", "add", "peer", *where, "--settle", 0).returncode == 0
        sender = subprocess.Popen(
            command("send", out, "--to", "peer"),
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: journal(home) and uids_in(journal(home), "stored"))
        sender.send_signal(getattr(signal, signal_name))
        _, error = sender.communicate(timeout=120)
        assert sender.returncode == 130
        assert "goes on" in error
        assert "Traceback" not in error
        assert len(archive.received) < 31
    job = journal(home)
    assert uids_in(job, "stored") <= set(archive.kept)
