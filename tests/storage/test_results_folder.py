"""OUT appears complete or not at all; nothing else is ever touched."""

import errno
import os
import shutil
import stat
from collections import namedtuple

import pytest

from medsynth.storage import folders as results
from medsynth.storage.files import new_file
from medsynth.storage.folders import OutputFolder, check_output


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write_result(folder, text="new"):
    (folder / "image.nrrd").write_text(text)
    (folder / "dicom" / "image").mkdir(parents=True)


def test_out_is_not_there_before_it_is_complete(tmp_path):
    out = tmp_path / "deep" / "out"
    with OutputFolder(out) as folder:
        write_result(folder)
        assert not out.exists()
        assert folder.parent == out.parent
    assert everything(out) == ["dicom", "dicom/image", "image.nrrd"]
    assert everything(out.parent) == ["out", *(f"out/{name}" for name in everything(out))]


def test_others_may_read_out_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        with OutputFolder(tmp_path / "out"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


@pytest.mark.parametrize("stopper", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_stops_the_run_nothing_is_left(tmp_path, stopper):
    def run():
        with OutputFolder(tmp_path / "made" / "too" / "out") as folder:
            write_result(folder)
            raise stopper("stop")

    with pytest.raises(stopper, match="stop"):
        run()
    assert everything(tmp_path) == []


def test_an_existing_parent_stays_when_the_run_fails(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="stop"), OutputFolder(tmp_path / "mine" / "out"):
        raise ValueError("stop")
    assert everything(tmp_path) == ["mine"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with OutputFolder(tmp_path / "out") as folder:
        write_result(folder)
    assert (tmp_path / "out" / "image.nrrd").read_text() == "new"


def test_a_result_that_is_there_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_result(out, "old")
    with pytest.raises(FileExistsError, match="not empty; choose another folder.*--overwrite"):
        OutputFolder(out).__enter__()
    assert (out / "image.nrrd").read_text() == "old"


def test_overwrite_replaces_the_earlier_result_at_the_end_only(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_result(out, "old")
    (out / "pathology_01.nrrd").touch()
    with pytest.raises(ValueError, match="stop"), OutputFolder(out, overwrite=True):
        raise ValueError("stop")
    assert (out / "image.nrrd").read_text() == "old"
    with OutputFolder(out, overwrite=True) as folder:
        write_result(folder)
        assert (out / "image.nrrd").read_text() == "old"
    assert everything(out) == ["dicom", "dicom/image", "image.nrrd"]
    assert (out / "image.nrrd").read_text() == "new"
    assert everything(tmp_path) == ["out", *(f"out/{name}" for name in everything(out))]


def test_overwrite_never_deletes_what_is_no_result(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_result(out)
    (out / "thesis.docx").touch()
    with pytest.raises(FileExistsError, match=r"not replaced: it holds thesis\.docx"):
        OutputFolder(out, overwrite=True).__enter__()
    assert (out / "thesis.docx").exists()


def test_the_earlier_result_comes_back_when_the_last_rename_fails(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    write_result(out, "old")
    rename = type(out).rename

    def fail_for_the_new_one(self, target):
        if ".partial-" in self.name:
            raise OSError(errno.EIO, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(type(out), "rename", fail_for_the_new_one)
    with pytest.raises(OSError, match="input/output"), OutputFolder(out, overwrite=True) as folder:
        write_result(folder)
    assert (out / "image.nrrd").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_result_that_came_there_meanwhile_is_not_replaced(tmp_path):
    out = tmp_path / "out"

    def run(overwrite):
        with OutputFolder(out, overwrite=overwrite) as folder:
            write_result(folder, "ours")
            out.mkdir()
            (out / "mine.txt").write_text("theirs")

    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="out (exists and is not empty|is not replaced)"):
            run(overwrite)
        assert everything(tmp_path) == ["out", "out/mine.txt"]
        shutil.rmtree(out)


def test_out_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file, expected a folder"):
        check_output(tmp_path / "file")
    with pytest.raises(FileExistsError, match="file is a file; choose another folder"):
        check_output(tmp_path / "file" / "out")
    with pytest.raises(FileExistsError, match=r"mount point; choose a folder in it.*/run1"):
        check_output("/proc")
    with pytest.raises(OSError, match="cannot make /proc/out: .*choose another"):
        OutputFolder("/proc/out").__enter__()


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="no permission to write in"):
        check_output(tmp_path / "out")


def test_too_little_room_is_said_beforehand_with_both_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**8, 10**8))
    with pytest.raises(OSError, match="needs 500 MB, 100 MB free; make room") as raised:
        OutputFolder(tmp_path / "made" / "out", needed_bytes=5 * 10**8).__enter__()
    assert raised.value.errno == errno.ENOSPC
    assert everything(tmp_path) == []
    check_output(tmp_path / "out", needed_bytes=10**8)


def test_a_disk_that_fills_up_while_writing(tmp_path):
    def run():
        with OutputFolder(tmp_path / "out") as folder:
            (folder / "image.nrrd").symlink_to("/dev/full")
            (folder / "image.nrrd").write_bytes(b"0" * 100_000)

    with pytest.raises(OSError, match=r"the disk is full for .*/out: .*make room") as raised:
        run()
    assert raised.value.errno == errno.ENOSPC
    assert everything(tmp_path) == []


def test_a_full_disk_behind_another_librarys_error(tmp_path, monkeypatch):
    def run():
        with OutputFolder(tmp_path / "out"):
            usage = namedtuple("usage", "total used free")
            monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
            raise RuntimeError("itk::ERROR: could not write")

    with pytest.raises(OSError, match="the disk is full"):
        run()


def test_another_librarys_error_stays_itself_when_there_is_room(tmp_path):
    with pytest.raises(RuntimeError, match="itk"), OutputFolder(tmp_path / "out"):
        raise RuntimeError("itk::ERROR: could not write")


def test_a_single_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "picture.png"

    def run():
        with new_file(path) as partial:
            partial.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        run()
    assert everything(tmp_path) == []
    with new_file(path) as partial:
        partial.write_text("whole")
        assert partial.suffix == ".png"
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(FileExistsError, match=r"picture\.png exists; .*--overwrite"):
        new_file(path).__enter__()
    with new_file(path, overwrite=True) as partial:
        partial.write_text("newer")
    assert path.read_text() == "newer"


def test_a_single_file_that_cannot_be_made(tmp_path):
    with pytest.raises(FileExistsError, match="is a folder, expected a file"):
        new_file(tmp_path, overwrite=True).__enter__()
    with pytest.raises(FileNotFoundError, match="the folder .*nowhere is not there"):
        new_file(tmp_path / "nowhere" / "a.png").__enter__()


def test_a_disk_that_fills_up_under_a_single_file(tmp_path):
    def run():
        with new_file(tmp_path / "a.png") as partial:
            partial.symlink_to("/dev/full")
            partial.write_bytes(b"0" * 100_000)

    with pytest.raises(OSError, match=r"cannot write .*a\.png: No space left"):
        run()
    assert everything(tmp_path) == []


def test_the_contents_named_are_those_of_the_contract():
    contract = ("image.nrrd", "pathology_01.nrrd", "dicom", "request.yaml", "result.json")
    for name in (*contract, "preview.png", "report.html"):
        assert any(results.fnmatch(name, known) for known in results.CONTENTS)
