"""What the page does in processes apart, and how many of them: needs no page."""

import asyncio
import json
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import SimpleITK as sitk
from images_made_up_dicom import save_series

from medsynth.errors import GeometryError
from medsynth.images import write_image
from medsynth.web import reading, suggesting
from medsynth.web.leaving import check_seal, seal_of
from medsynth.web.sessions import NoMoreSessions, Session, SessionLimits, Sessions


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_place_is_chosen_in_the_lung(chest, seed):
    center = suggesting.suggest(chest, "lung_ct", 14.0, seed)
    image = sitk.ReadImage(str(chest))
    index = image.TransformPhysicalPointToIndex(center)
    assert image[index] < -400 or image[index] > 0  # lung, or a vessel in it
    i, j, _ = index
    assert ((abs(i - 48) - 20) / 15) ** 2 + ((j - 48) / 24) ** 2 < 1


def test_no_place_is_said(chest):
    with pytest.raises(GeometryError, match="no place for a lesion of 200"):
        suggesting.suggest(chest, "lung_ct", 200.0, 1)


def test_whole_numbers_are_shown_in_half_the_memory(chest, tmp_path):
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "00001.nrrd").write_bytes(chest.read_bytes())
    reading.read(upload, tmp_path)
    shown, sent = (sitk.ReadImage(str(path)) for path in (tmp_path / reading.SHOWN, chest))
    assert shown.GetPixelID() == sitk.sitkInt16
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (shown, sent)))
    assert shown.GetOrigin() == sent.GetOrigin()
    about = json.loads((tmp_path / reading.ABOUT).read_text())
    assert (about["dicom"], about["synthetic"]) == (False, False)


def test_an_upload_is_read_without_torch_and_says_how_far_it_is(chest, tmp_path):
    """Loading torch would take three times as long as reading a series, while the visitor waits."""
    save_series(tmp_path / "upload")
    code = (
        "import sys; from medsynth.web import reading; reading.main(); "
        "print('loaded', *{'torch', 'monai'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "upload"), str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        *events, loaded = run.stdout.read().splitlines()
    assert loaded == "loaded"
    last = json.loads(events[-1])
    assert (last["kind"], last["stage"], last["done"] - last["total"]) == ("progress", "reading", 0)


def test_what_was_uploaded_is_not_marked_as_synthetic(chest, tmp_path):
    reading.read(chest.parent, tmp_path)
    assert b"SYNTHETIC" not in (tmp_path / reading.SHOWN).read_bytes()[:4096].upper()


def test_what_medsynth_made_is_known_by_its_header(chest, tmp_path):
    upload = tmp_path / "upload"
    upload.mkdir()
    write_image(sitk.ReadImage(str(chest)), upload / "00001.nrrd")
    reading.read(upload, tmp_path)
    assert json.loads((tmp_path / reading.ABOUT).read_text())["synthetic"] is True


def test_every_changed_missing_and_added_file_breaks_the_seal(tmp_path):
    files = tmp_path / "dicom" / "image"
    files.mkdir(parents=True)
    for name in ("1.dcm", "2.dcm", "3.dcm"):
        (files / name).write_text(name)
    seal = seal_of(tmp_path)
    check_seal(tmp_path, seal)
    (files / "1.dcm").write_text("another")
    (files / "2.dcm").unlink()
    (files / "4.dcm").write_text("more")
    with pytest.raises(ValueError, match="3 of 3 DICOM files were changed"):
        check_seal(tmp_path, seal)


@pytest.mark.slow
def test_what_cannot_be_read_is_one_event_and_2(tmp_path):
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "00001.nrrd").write_text("not an image")
    command = [sys.executable, "-m", "medsynth.web.reading", str(upload), str(tmp_path)]
    pipe = subprocess.PIPE
    # It ends when its input is closed, so that is kept open.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as running:
        event = json.loads(running.stdout.readline())
        assert running.wait(timeout=120) == 2
    assert event["kind"] == "error"
    assert "00001.nrrd" in event["message"]


def run(coroutine):
    """Its result. In a thread of its own: Playwright's loop runs in this one while a browser is open."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Starting(Sessions):
    """Sessions whose processes take a while to start, and are none."""

    start_s, begun = 0.05, 0

    async def _begin(self):
        self.begun += 1
        await asyncio.sleep(self.start_s)
        process = types.SimpleNamespace(returncode=None)
        return Session(f"session {id(process)}", "key", self.root, process)


def test_visitors_who_come_at_once_do_not_get_more_sessions_than_there_are(tmp_path):
    async def visit():
        sessions = Starting(tmp_path, SessionLimits(sessions=2))
        sessions.spare = asyncio.create_task(sessions._begin())
        found = await asyncio.gather(*(sessions.new() for _ in range(4)), return_exceptions=True)
        sessions.spare.cancel()
        return [type(each) for each in found], len(sessions.open)

    kinds, count = run(visit())
    assert (kinds.count(Session), kinds.count(NoMoreSessions), count) == (2, 2, 2)


def test_the_next_session_leaves_the_core_to_the_page_that_opens_unless_somebody_waits(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(f"{Sessions.__module__}.SPARE_AFTER_S", 600)

    async def visit():
        sessions = Starting(tmp_path, SessionLimits())
        sessions.start()
        await sessions.new()
        await asyncio.sleep(0.2)
        alone = sessions.begun
        await asyncio.wait_for(sessions.new(), 20)  # a TimeoutError otherwise
        sessions.watch.cancel()
        sessions.spare.cancel()
        return alone, sessions.begun

    assert run(visit()) == (1, 2)


def test_the_server_ends_at_once_while_a_session_still_starts(tmp_path):
    async def end():
        sessions = Starting(tmp_path, SessionLimits())
        sessions.start_s = 600
        sessions.start()
        await asyncio.sleep(0.05)
        await asyncio.wait_for(sessions.stop(), 20)  # a TimeoutError otherwise

    run(end())
