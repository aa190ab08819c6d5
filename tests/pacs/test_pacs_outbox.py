"""The outbox: what may enter, who may send, what happens to damage."""

import os
import shutil
import subprocess
import sys

import pytest
from pacs_objects import files_of, make_out
from pydicom import dcmread

from medsynth.pacs.collect import collect
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse_status import Answer
from medsynth.pacs.outbox import Outbox

PACS = Destination("archive", host="pacs.example", port=104, called_aet="ARCHIVE")


@pytest.fixture
def out(tmp_path):
    return make_out(tmp_path / "out", 3)


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path / "outbox")


def enqueue(outbox, out, destination=PACS):
    return outbox.enqueue(collect(out), destination, source=out)


def test_images_come_before_the_segmentation_and_copies_are_equal(outbox, out):
    job = enqueue(outbox, out)
    instances = list(job.instances.values())
    assert [i.is_segmentation for i in instances] == [False, False, False, True]
    copies = [job.path_of(instance).read_bytes() for instance in instances]
    assert copies == [path.read_bytes() for path in files_of(out)]


@pytest.mark.slow
def test_the_same_objects_to_the_same_address_are_one_job(outbox, out, tmp_path):
    shutil.copytree(out, tmp_path / "copy")
    assert enqueue(outbox, out).id == enqueue(outbox, tmp_path / "copy").id
    other = Destination("archive", host="other.example", port=104, called_aet="ARCHIVE")
    assert enqueue(outbox, out, other).id != enqueue(outbox, out).id


@pytest.mark.parametrize("mark", [None, "NO"])
def test_an_object_without_the_synthetic_mark_is_refused(out, mark):
    path = files_of(out)[1]
    dataset = dcmread(path)
    del dataset.SyntheticData
    if mark:
        dataset.SyntheticData = mark
    dataset.save_as(path)
    with pytest.raises(ValueError, match="not marked as synthetic"):
        collect(out)


def test_folders_that_hold_nothing_to_send_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.dcm file"):
        collect(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        collect(tmp_path / "absent")
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ValueError, match="not a DICOM file"):
        collect(tmp_path)


def test_one_uid_in_two_files_is_refused(out):
    shutil.copy(files_of(out)[0], files_of(out)[0].with_name("again.dcm"))
    with pytest.raises(ValueError, match="same SOP Instance UID"):
        collect(out)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_uid_never_gets_another_content_also_after_forget(outbox, out, forgotten):
    job = enqueue(outbox, out)
    if forgotten:
        outbox.forget(job.id)
        assert outbox.jobs() == ([], [])
    path = files_of(out)[0]
    dataset = dcmread(path)
    dataset.ImageComments = "changed"
    dataset.save_as(path)
    with pytest.raises(ValueError, match="differs from what was queued"):
        enqueue(outbox, out)


def test_a_forgotten_job_can_be_queued_again_unchanged(outbox, out):
    job = enqueue(outbox, out)
    outbox.forget(job.id)
    assert enqueue(outbox, out).counts() == {"queued": 4}


@pytest.mark.slow
def test_only_one_process_opens_a_job(outbox, out, tmp_path):
    job = enqueue(outbox, out)
    program = f"""
from pathlib import Path
from medsynth.pacs.outbox import Outbox
outbox = Outbox(Path({str(outbox.folder)!r}))
try:
    with outbox.open({job.id!r}):
        print("opened")
except BlockingIOError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    with outbox.open(job.id):
        second = subprocess.run(command, capture_output=True, text=True, check=True)
        with pytest.raises(BlockingIOError):
            outbox.forget(job.id)
    assert "nothing is sent twice" in second.stdout
    third = subprocess.run(command, capture_output=True, text=True, check=True)
    assert third.stdout == "opened\n"


def test_the_journal_remembers_every_state(outbox, out):
    job = enqueue(outbox, out)
    first, second, third, seg = job.instances.values()
    with outbox.open(job.id) as opened:
        opened.mark_sent([first, second])
        opened.mark("stored", [Answer(first.uid, "stored", "0xB000", "coercion")])
        opened.mark("failed", [Answer(third.uid, "failed", "0xA900", "mismatch")])
        opened.note("why it waits")
    again = outbox.find(job.id)
    assert again.counts() == {"queued": 1, "sent": 1, "stored": 1, "failed": 1}
    assert again.progress[first.uid].status == "0xB000"
    assert again.progress[first.uid].attempts == 1
    # Unknown means not stored.
    assert again.pending(segmentations=False) == [second]
    assert again.pending(segmentations=True) == [seg]
    assert again.notes[-1][1] == "why it waits"


def test_a_damaged_journal_is_reported_and_set_aside_never_rebuilt(outbox, out):
    job, other = enqueue(outbox, out), enqueue(outbox, make_out(out.parent / "other", 2, seed=1))
    path = job.folder / "journal.jsonl"
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    jobs, (damaged,) = outbox.jobs()
    assert [j.id for j in jobs] == [other.id]
    assert damaged.id == job.id
    assert "damaged at line" in damaged.reason
    assert (damaged.moved_to / "journal.jsonl").read_bytes() == content
    assert not job.folder.exists()


@pytest.mark.parametrize("door", ["open", "enqueue", "find"])
def test_each_door_to_a_damaged_job_says_so(outbox, out, door):
    job = enqueue(outbox, out)
    path = job.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[50:])
    doors = {
        "open": lambda: outbox.open(job.id).__enter__(),
        "enqueue": lambda: enqueue(outbox, out),
        "find": lambda: outbox.find(job.id),
    }
    with pytest.raises(ValueError, match="cannot be trusted and was set aside"):
        doors[door]()
    assert not job.folder.exists()
    assert enqueue(outbox, out).counts() == {"queued": 4}


def test_a_torn_last_line_is_noted_and_the_job_goes_on(outbox, out):
    job = enqueue(outbox, out)
    with outbox.open(job.id) as opened:
        opened.mark_sent(opened.instances.values())
    path = job.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with outbox.open(job.id) as opened:
        assert opened.counts() == {"queued": 1, "sent": 3}
        assert "an interruption left" in opened.notes[-1][1]


def test_a_copy_that_was_killed_midway_is_cleared_away(outbox, out):
    left = outbox.folder / "jobs" / ".new-dead"
    (left / "files").mkdir(parents=True)
    (left / "files" / "000001.dcm").write_bytes(b"half")
    enqueue(outbox, out)
    assert not left.exists()
    assert [p.name for p in (outbox.folder / "locks").iterdir()] == []


@pytest.mark.slow
def test_a_full_disk_while_queueing_leaves_nothing(outbox, out):
    program = f"""
import resource, signal
from pathlib import Path
from medsynth.pacs.collect import collect
from medsynth.pacs.destination import Destination
from medsynth.pacs.outbox import Outbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
out = Path({str(out)!r})
pacs = Destination("archive", host="pacs.example", port=104, called_aet="ARCHIVE")
try:
    Outbox(Path({str(outbox.folder)!r})).enqueue(collect(out), pacs, source=out)
except OSError as error:
    print("refused", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "refused" in done.stdout, done.stderr
    assert os.listdir(outbox.folder / "jobs") == []
    assert enqueue(outbox, out).counts() == {"queued": 4}


def test_too_little_room_is_refused_before_copying(outbox, out, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
    with pytest.raises(OSError, match="forget verified jobs"):
        enqueue(outbox, out)
    assert os.listdir(outbox.folder / "jobs") == []


@pytest.mark.parametrize("damage", ["changed", "gone", "folder gone"])
@pytest.mark.parametrize("failed", [False, True])
def test_a_damaged_copy_is_mended_from_the_same_objects(outbox, out, damage, failed):
    job = enqueue(outbox, out)
    victim = next(iter(job.instances.values()))
    copy = job.path_of(victim)
    if failed:
        with outbox.open(job.id) as opened:
            note = f"the copy {copy} is not what was queued and was not sent"
            opened.mark("failed", [Answer(victim.uid, "failed", "", note)])
    if damage == "changed":
        copy.write_bytes(b"x" + copy.read_bytes()[1:])
    elif damage == "gone":
        copy.unlink()
    else:
        shutil.rmtree(copy.parent)
    again = enqueue(outbox, out)
    assert again.counts() == {"queued": 4}
    copies = [again.path_of(instance).read_bytes() for instance in again.instances.values()]
    assert copies == [path.read_bytes() for path in files_of(out)]


def test_mending_leaves_alone_what_a_server_refused_and_what_is_being_sent(outbox, out):
    job = enqueue(outbox, out)
    victim = next(iter(job.instances.values()))
    with outbox.open(job.id) as opened:
        opened.mark("failed", [Answer(victim.uid, "failed", "0xA900", "it does not like it")])
        job.path_of(victim).unlink()
        assert enqueue(outbox, out).counts() == {"queued": 3, "failed": 1}
        assert not job.path_of(victim).exists()
    assert enqueue(outbox, out).counts() == {"queued": 3, "failed": 1}
    assert job.path_of(victim).exists()
