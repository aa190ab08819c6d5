"""Results that go from the page to a real archive, and those that must not."""

import json
import os

import numpy as np
import pydicom
import pytest
from pacs_servers import DICOMWEB_PLUGIN, medsynth, orthanc
from served_page import Served
from web_visitor import Visitor

from medsynth.pacs.outbox import Outbox

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.pacs]


@pytest.fixture(scope="module")
def archive(tmp_path_factory, needs_tool):
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")
    with orthanc(tmp_path_factory.mktemp("orthanc") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory, archive):
    """The settings of who runs the server: one destination."""
    folder = tmp_path_factory.mktemp("home")
    where = ["--host", "127.0.0.1", "--port", archive.dicom_port, "--aet", "ORTHANC"]
    assert medsynth(folder, "pacs", "add", "Archive", *where, "--settle", 0.3).returncode == 0
    return folder


@pytest.fixture(scope="module")
def visitor(browser, home, chest, tmp_path_factory):
    """With one result."""
    environment = {**os.environ, "MEDSYNTH_HOME": str(home)}
    server = Served(tmp_path_factory.mktemp("web"), "--threads", 1, environment=environment)
    visitor = Visitor(browser, server)
    visitor.open(chest)
    visitor.lesion_at(0.27, 0.5)
    visitor.draft()
    visitor.page.click(".run")
    visitor.said("Done: 1 synthetic image")
    yield visitor
    server.stop()


def send(visitor):
    """Ask for it, agree, and do it."""
    visitor.page.click(".result .send")
    visitor.until("send_to", lambda name: name == "Archive")
    visitor.page.click(".agreed input")
    visitor.page.click(".do-send")


def test_the_first_send_and_an_unencrypted_one_are_agreed_to_and_all_of_it_is_verified(
    visitor, archive, home
):
    page = visitor.page
    page.click(".result .send")
    visitor.until("send_to", lambda name: name == "Archive")  # the only one
    first, unencrypted = visitor.state("send_hazards")
    assert "first time" in first
    assert "NOT encrypted" in unencrypted
    assert page.is_disabled(".do-send")
    visitor.picture("send")
    page.click(".agreed input")
    page.click(".do-send")
    (result,) = visitor.until("results", lambda found: "erified at" in found[0]["sent"])
    assert result["sent"] == "Verified at Archive.", visitor.state("status")
    with visitor.download("dicom") as packed:
        sent = [pydicom.dcmread(packed.open(name)) for name in packed.namelist()]
    assert archive.uids() == {each.SOPInstanceUID for each in sent}
    assert any(each.Modality == "SEG" for each in sent)
    assert Outbox(home / "outbox").jobs() == ([], [])  # no copy stays on the server
    assert Outbox(home / "outbox").has_sent_to(f"ORTHANC@127.0.0.1:{archive.dicom_port}")
    visitor.picture("sent")

    page.click(".result .send")
    visitor.until("send_to", lambda name: name == "Archive")
    assert visitor.state("send_hazards") == [unencrypted]
    page.click(".dont")
    visitor.until("send_number", lambda number: number == 0)


def test_pixels_that_are_not_the_runs_are_not_sent_whatever_the_header_says(visitor, archive):
    before = archive.uids()
    files = [f for f in visitor.server.files() if f.suffix == ".dcm" and "image" in f.parts]
    assert len(files) == 14
    (record,) = [f for f in visitor.server.files() if f.name == "result.json"]
    first, _ = json.loads(record.read_text())["slices"]
    assert first > 0  # so that the lowest slice was not synthesized: it has no mark
    lowest = min(files, key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2])
    kept, dataset = lowest.read_bytes(), pydicom.dcmread(lowest)
    dataset.PixelData = (dataset.pixel_array + 1).tobytes()
    dataset.save_as(lowest)
    send(visitor)
    visitor.said("were changed since the run wrote them")
    assert archive.uids() == before
    lowest.write_bytes(kept)
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.PixelData = np.flip(dataset.pixel_array).tobytes()
        dataset.save_as(file)
    send(visitor)
    visitor.said("Not sent: nothing shows that these pixels are synthetic")
    assert archive.uids() == before
    assert not visitor.errors


def test_destinations_are_not_offered_where_others_come(browser, home, serve):
    visitor = Visitor(browser, serve("--no-own"))
    assert visitor.state("can_send") is False
