"""A layout that is killed, that meets a full disk, or that two runs want at once."""

import errno
import json
import multiprocessing
import time

import pytest
import SimpleITK as sitk
from made_sets import make_set

from medsynth.factory import layouts
from medsynth.factory.converting import convert
from medsynth.factory.finish import context_for
from medsynth.factory.layouts.writing import write_layout
from medsynth.factory.store import open_set
from medsynth.storage import growing
from medsynth.storage.growing import growing_folder


@pytest.fixture
def dataset(tmp_path):
    return open_set(make_set(tmp_path / "set", 6))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write(dataset, name, target):
    return write_layout(dataset, layouts.get(name), target, context=context_for(dataset))


class _Stopping:
    """A layout that ends with an error when it comes to one image."""

    def __init__(self, layout, at, error):
        self.layout, self.at, self.error = layout, at, error
        self.name, self.title, self.close = layout.name, layout.title, layout.close
        self.added = []

    def add(self, item, folder, context):
        if item.id == self.at:
            raise self.error
        self.added.append(item.id)
        return self.layout.add(item, folder, context)


def test_an_image_that_is_not_that_of_its_record_is_not_exported(dataset, tmp_path):
    path = dataset.folder / "items" / "000003" / "image.nrrd"
    image = sitk.ReadImage(str(path))
    image[0, 0, 0] += 1
    sitk.WriteImage(image, str(path))
    with pytest.raises(ValueError, match="image 000003: 1 of 1 synthesized slices are not those"):
        write(dataset, "png8", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(layouts.LAYOUTS) - {"dicom"}))
def test_a_layout_that_was_stopped_goes_on_and_has_the_same_bytes(dataset, tmp_path, name):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert write(dataset, name, whole)
    context = context_for(dataset)
    first = _Stopping(layouts.get(name), "000003", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_layout(dataset, first, stopped, context=context)
    assert not stopped.exists()
    journal = tmp_path / ".stopped.unfinished" / "records.jsonl"
    with open(journal, "a") as file:
        file.write('{"id": "000003", "cut o')  # what a kill may leave
    (journal.parent / ".partial-1-left.png").write_text("half")
    second = _Stopping(layouts.get(name), "", None)
    write_layout(dataset, second, stopped, context=context)
    assert second.added == ["000003", "000004", "000005"]
    assert contents(stopped) == contents(whole)
    assert not list(tmp_path.glob(".stopped*"))


@pytest.mark.slow
def test_a_layout_of_another_state_of_the_set_is_written_anew(dataset, tmp_path):
    target = tmp_path / "out"
    assert write(dataset, "monai", target)
    assert not write(dataset, "monai", target)
    (dataset.folder / "items" / "000004" / "result.json").unlink()
    assert write(dataset, "monai", target)
    assert not (target / "images" / "000004.nii.gz").exists()
    assert json.loads((target / "layout.json").read_text())["images"] == 5


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_nothing_half_written(dataset, tmp_path):
    full = _Stopping(layouts.get("nifti"), "000002", OSError(errno.ENOSPC, "No space left"))
    target = tmp_path / "out"
    with pytest.raises(
        OSError, match="the disk is full: .*out is not finished; make room"
    ) as error:
        write_layout(dataset, full, target, context=context_for(dataset))
    assert error.value.errno == errno.ENOSPC
    assert not target.exists()
    assert write(dataset, "nifti", target)


def test_an_image_that_a_layout_cannot_hold_is_named(dataset, tmp_path):
    odd = _Stopping(layouts.get("nifti"), "000001", ValueError("too odd"))
    with pytest.raises(ValueError, match="layout nifti, image 000001: too odd"):
        write_layout(dataset, odd, tmp_path / "out", context=context_for(dataset))


def test_a_folder_of_something_else_is_not_replaced(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(FileExistsError, match="is no layout of a data set"):
        write(dataset, "nifti", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years"}


def test_a_set_without_an_image_is_refused(dataset, tmp_path):
    for item in list(dataset.items()):
        (item.folder / "result.json").unlink()
    with pytest.raises(ValueError, match="has no finished image to lay out"):
        write(dataset, "nifti", tmp_path / "out")


def test_only_one_run_fills_a_folder(tmp_path):
    with (
        growing_folder(tmp_path / "out"),
        pytest.raises(BlockingIOError, match="another run is writing"),
        growing_folder(tmp_path / "out"),
    ):
        pass


def test_an_earlier_folder_comes_back_after_a_kill_between_the_renames(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")

    def killed(folder, place):
        place.rename(place.with_name(f".{place.name}.earlier-12345678"))
        raise KeyboardInterrupt

    monkeypatch.setattr(growing, "_put_in_place", killed)
    with pytest.raises(KeyboardInterrupt), growing_folder(target) as folder:
        (folder / "new").write_text("new")
    assert not target.exists()
    monkeypatch.undo()
    with growing_folder(target) as folder:
        assert (target / "old").read_text() == "old"
        assert (folder / "new").read_text() == "new"
    assert contents(target) == {"new": b"new"}
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.slow
def test_twenty_kills_lose_nothing(tmp_path):
    """SIGKILL at any moment; the same command in the end gives what it would have given."""
    dataset = open_set(make_set(tmp_path / "set", 60))
    assert write(dataset, "coco", tmp_path / "whole")
    fork = multiprocessing.get_context("fork")
    journal = tmp_path / ".out.unfinished" / "records.jsonl"

    def written():
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    kills, seen = 0, set()
    while not (tmp_path / "out").exists():
        before = written()
        run = fork.Process(target=convert, args=(dataset.folder, "coco", tmp_path / "out"))
        run.start()
        if kills < 20:
            while run.is_alive() and written() < before + 1 + kills % 3:
                time.sleep(0.001)
            run.kill()
            kills += 1
            seen.add(written())
        run.join(120)
    assert kills == len(seen) == 20
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
