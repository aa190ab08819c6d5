"""A folder in the making belongs to one run; what a killed run left goes, what a living one has stays."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from medsynth.storage import lock, partial
from medsynth.storage.files import new_file
from medsynth.storage.folders import OutputFolder

MAKER = """
import sys, time
from pathlib import Path
from medsynth.storage.folders import OutputFolder
with OutputFolder(sys.argv[1], overwrite=True) as folder:
    (folder / "image.nrrd").write_text("half of a patient")
    print("writing", flush=True)
    time.sleep(60)
"""

WRITER = """
import sys, time
from medsynth.storage.files import new_file
with new_file(sys.argv[1], overwrite=True) as file:
    file.write_text("half of a file")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def maker():
    """Starts runs in processes of their own; returns once each of them is writing."""
    started = []

    def start(out, program=MAKER):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_folder_in_the_making_is_for_its_user_alone(tmp_path):
    with OutputFolder(tmp_path / "out") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("next_run", ["out", "another"])
def test_what_a_killed_run_left_is_gone_after_the_next(tmp_path, maker, next_run):
    kill(maker(tmp_path / "out"))
    assert len(names(tmp_path)) == 2  # its folder and its lock: so the test can fail
    with OutputFolder(tmp_path / next_run):
        pass
    assert names(tmp_path) == [next_run]


@pytest.mark.slow
def test_what_a_living_run_has_is_never_touched(tmp_path, maker):
    maker(tmp_path / "out")
    maker(tmp_path / "a")
    kill(maker(tmp_path / "dead"))
    before = [name for name in names(tmp_path) if not name.startswith(".dead")]
    assert len(before) == 4
    with OutputFolder(tmp_path / "another"):
        pass
    assert names(tmp_path) == sorted([*before, "another"])


@pytest.mark.parametrize("next_file", ["a.png", "b.png"])
def test_what_a_killed_writer_left_is_gone_after_the_next_file(tmp_path, maker, next_file):
    (tmp_path / "a.png").write_text("whole")
    kill(maker(tmp_path / "a.png", WRITER))
    assert len(names(tmp_path)) == 3  # half a file and its lock: so the test can fail
    assert (tmp_path / "a.png").read_text() == "whole"
    with new_file(tmp_path / next_file, overwrite=True) as file:
        file.write_text("newer")
    assert names(tmp_path) == sorted({"a.png", next_file})
    assert (tmp_path / next_file).read_text() == "newer"


def test_what_a_killed_writer_left_is_gone_after_the_next_folder(tmp_path, maker):
    kill(maker(tmp_path / "a.png", WRITER))
    with OutputFolder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]


def test_a_file_that_another_process_is_writing_stays(tmp_path, maker):
    """Of two writers of one file the last wins; neither is refused."""
    maker(tmp_path / "a.png", WRITER)
    before = names(tmp_path)
    assert len(before) == 2
    with new_file(tmp_path / "a.png") as file:
        file.write_text("mine")
    assert names(tmp_path) == sorted([*before, "a.png"])


def test_a_name_as_long_as_a_file_system_takes_can_be_written(tmp_path):
    path = tmp_path / f"{'n' * 251}.png"
    with new_file(path) as file:
        file.write_text("whole")
    assert names(tmp_path) == [path.name]


def test_a_second_run_to_the_same_folder_is_refused_at_its_start(tmp_path, maker):
    first = maker(tmp_path / "out")
    with pytest.raises(BlockingIOError, match="another run is writing .*out now; wait"):
        OutputFolder(tmp_path / "out").claimed().__enter__()
    kill(first)
    with OutputFolder(tmp_path / "out").claimed():
        pass
    assert names(tmp_path) == []


def test_two_runs_of_one_process_do_not_share_a_folder_either(tmp_path):
    first = OutputFolder(tmp_path / "out")
    with first.claimed():
        with pytest.raises(BlockingIOError, match="another run is writing"):
            OutputFolder(tmp_path / "out").__enter__()
        with first as folder:
            (folder / "image.nrrd").touch()
    assert names(tmp_path) == ["out"]


def test_files_of_others_with_a_name_like_ours_stay(tmp_path):
    mine = [".out.partial-notes.txt", ".out.partial-1234567", ".other.partial-12345678"]
    for name in mine:
        (tmp_path / name).mkdir()
    (tmp_path / ".out.partial-abcdefgh").touch()  # a file, not a folder of ours
    with OutputFolder(tmp_path / "out"):
        pass
    assert names(tmp_path) == sorted([*mine, ".out.partial-abcdefgh", "out"])


def test_an_earlier_result_comes_back_from_a_run_killed_between_the_renames(tmp_path):
    out = tmp_path / "out"
    (tmp_path / ".out.earlier-abcdefgh").mkdir()
    (tmp_path / ".out.earlier-abcdefgh" / "image.nrrd").write_text("old")
    (tmp_path / ".out.partial-abcdefgh").mkdir()
    with pytest.raises(FileExistsError, match="not empty"), OutputFolder(out).claimed():
        pass
    assert names(tmp_path) == ["out"]
    assert (out / "image.nrrd").read_text() == "old"


def test_a_file_system_without_locks_still_takes_results(tmp_path, monkeypatch):
    def no_locks(descriptor, path):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", no_locks)
    with OutputFolder(tmp_path / "out"):
        pass
    with new_file(tmp_path / "a.png") as file:
        file.touch()
    assert {"out", "a.png"} <= set(names(tmp_path))


def test_a_lock_that_was_removed_while_one_waited_is_not_taken(tmp_path):
    """Its holder removes the file; a new one at the same place is another lock."""
    path, taken = tmp_path / "lock", []
    real = lock._lock

    def remove_meanwhile(descriptor, where):
        if not taken:
            path.unlink()
        taken.append(descriptor)
        real(descriptor, where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "_lock", remove_meanwhile)
        with lock.held(path, remove=True):
            assert len(taken) == 2
            with pytest.raises(BlockingIOError), lock.held(path):
                pass
    assert names(tmp_path) == []


def test_a_lock_that_is_not_ours_to_open_is_left_alone(tmp_path):
    """A link is not followed, and the run goes on."""
    theirs = tmp_path / ".theirs.medsynth-lock"
    theirs.symlink_to(tmp_path / "elsewhere")
    with partial.claimed(tmp_path / "out"):
        pass
    assert os.path.lexists(theirs)
    assert not (tmp_path / "elsewhere").exists()
