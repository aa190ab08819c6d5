"""`medsynth synthesize --server`: the same bits from elsewhere, and words when elsewhere fails."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pydicom
import pytest
import SimpleITK as sitk
from job_server import REQUEST, WAIT_S, JobServer, film

from medsynth.request import load_request
from medsynth.serve import elsewhere
from medsynth.serve.client import Server

pytestmark = pytest.mark.slow
TOKEN = "a token of sixteen"
NOBODY = "http://127.0.0.1:9"


def command(*words, server=None, token=None, **options):
    environment = {**os.environ, "MEDSYNTH_SERVER_TOKEN": token or TOKEN}
    where = ["--server", server] if server else []
    return subprocess.Popen(
        [sys.executable, "-m", "medsynth", *map(str, words), *where, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def finished(process):
    """Exit code, events, and what it said last."""
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.strip()


def write(folder, **changes):
    film(folder / "film.png")
    request = folder / "request.json"
    request.write_text(json.dumps({**REQUEST, **changes}))
    return request


def test_the_result_of_a_server_is_that_of_the_command_bit_by_bit(tmp_path):
    request = write(tmp_path)
    with JobServer(tmp_path, "--threads", "1") as server:
        words = ("synthesize", request, "-o", tmp_path / "there")
        code, events, err = finished(command(*words, server=server.address, token=server.token))
        assert code == 0, err
        assert server.call("GET", "/v1/jobs").json() == []  # nothing is left there
    words = ("synthesize", request, "-o", tmp_path / "here", "--threads", "1")
    assert finished(command(*words))[0] == 0
    there, here = (sitk.ReadImage(str(tmp_path / w / "image.nrrd")) for w in ("there", "here"))
    assert sitk.GetArrayFromImage(there).tobytes() == sitk.GetArrayFromImage(here).tobytes()
    assert there.GetOrigin() == here.GetOrigin()
    names = [
        sorted(p.relative_to(tmp_path / w).as_posix() for p in (tmp_path / w).rglob("*"))
        for w in ("there", "here")
    ]
    assert names[0] == names[1]
    pixels = [
        pydicom.dcmread(tmp_path / w / "dicom/image/0001.dcm").PixelData for w in ("there", "here")
    ]
    assert pixels[0] == pixels[1]
    stages = [event["stage"] for event in events if event["kind"] == "progress"]
    assert stages[0] == "sending MB"
    assert stages[-1] == "fetching MB"
    assert str(tmp_path) not in (tmp_path / "there" / "request.yaml").read_text()


def test_a_server_that_is_gone_in_the_middle_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(elsewhere, "SILENT_S", 1.0)
    (tmp_path / "served").mkdir()
    request = load_request(write(tmp_path, steps=1000))
    with JobServer(tmp_path / "served") as job_server:
        server = Server(job_server.address, job_server.token)

        def gone(event):
            if event.kind == "progress" and not event.stage.endswith("MB"):
                job_server.process.kill()

        with pytest.raises(OSError, match=r"gone in the middle of the run.*Run again"):
            elsewhere.synthesize(request, tmp_path / "out", server, overwrite=False, listener=gone)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_command_that_is_stopped_cancels_its_run_there(tmp_path):
    request = write(tmp_path, steps=1000)
    with JobServer(tmp_path) as server:
        words = ("synthesize", request, "-o", tmp_path / "out")
        process = command(*words, server=server.address, token=server.token)
        for line in process.stdout:
            event = json.loads(line)
            if event["kind"] == "progress" and not event["stage"].endswith("MB"):
                break
        (job,) = server.call("GET", "/v1/jobs").json()
        assert job["state"] == "running"
        process.send_signal(signal.SIGTERM)
        assert finished(process)[0] == 130
        assert server.call("GET", "/v1/jobs").json() == []
    assert not (tmp_path / "out").exists()


def test_a_command_that_is_stopped_while_it_sends_leaves_nothing_there(tmp_path):
    """The server has all of it and has not answered yet: the moment that is easily forgotten."""
    request = load_request(write(tmp_path, steps=1000))
    (tmp_path / "served").mkdir()
    with JobServer(tmp_path / "served") as job_server:
        server = Server(job_server.address, job_server.token)

        def stop(event):
            if event.stage == "sending MB" and event.done == event.total - 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            elsewhere.synthesize(request, tmp_path / "out", server, overwrite=False, listener=stop)
        assert job_server.call("GET", "/v1/jobs").json() == []
        end = time.monotonic() + 30
        while list((tmp_path / "served").glob(".medsynth-serve-*.partial-*/*")):
            assert time.monotonic() < end, "files stayed there"
            time.sleep(0.1)
        with pytest.raises(ValueError, match="Job-Id"):
            server.submit(tmp_path / "film.png", "short", progress=lambda done, total: None)


def test_what_the_server_refuses_is_said_as_it_says_it(tmp_path):
    request = write(tmp_path)
    film_text = tmp_path / "film.png"
    film_text.write_bytes(b"no picture")
    with JobServer(tmp_path) as server:
        words = ("synthesize", request, "-o", tmp_path / "out")
        code, _, err = finished(command(*words, server=server.address, token=server.token))
        assert code == 2
        assert server.address in err
        assert "film" in err or "01.png" in err
        code, _, err = finished(command(*words, server=server.address, token="wrong" * 4))
        assert code == 2
        assert "token" in err
        code, events, _ = finished(command("info", server=server.address, token=server.token))
        assert code == 0
        assert "lung_ct" in events[-1]["data"]["presets"]
    code, _, err = finished(command(*words, server=NOBODY))
    assert code == 2
    assert "does not answer" in err


@pytest.mark.parametrize(
    "address", ["ftp://host", "host:8100", "http://user:password@host", "http://host:port"]
)
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match="a server's address is like"):
        Server(address, TOKEN)


def test_options_that_cannot_act_are_refused(tmp_path):
    words = ("synthesize", write(tmp_path), "-o", tmp_path / "out")
    for option in (("--dry-run",), ("--threads", "1")):
        code, _, err = finished(command(*words, *option, server=NOBODY))
        assert code == 2
        assert "--server does not go with" in err


class _Stranger(BaseHTTPRequestHandler):
    """Some other web server."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *args):
        pass


def test_another_web_server_is_not_taken_for_one():
    stranger = HTTPServer(("127.0.0.1", 0), _Stranger)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{stranger.server_port}"
        with pytest.raises(ValueError, match="no medsynth serve"):
            Server(address, TOKEN).about()
        # An image is not sent to whoever answers there.
        with pytest.raises(OSError, match="TLS"):
            Server(address.replace("http", "https"), TOKEN).about()
    finally:
        stranger.shutdown()
        stranger.server_close()


def test_a_certificate_of_its_own_must_be_given(tmp_path, needs_tool):
    openssl = needs_tool("openssl", "openssl")
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with JobServer(tmp_path, "--certificate", str(certificate), "--key", str(key)) as server:
        assert server.address.startswith("https://")
        with pytest.raises(ValueError, match="cannot prove that it is who it says"):
            Server(server.address, server.token).about()
        trusting = Server(server.address, server.token, certificate=certificate)
        assert "medsynth" in trusting.about()
        with pytest.raises(OSError, match="does not answer"):
            Server(server.address.replace("https", "http"), server.token).about()
    with pytest.raises(ValueError, match="no certificate"):
        Server("https://host", TOKEN, certificate=key)


def test_every_file_that_a_request_names_is_sent_under_another_name(tmp_path):
    """A series in a folder, regions and a lesion of another study; names and folders stay here."""
    import zipfile

    series = tmp_path / "Mustermann_Erika"
    series.mkdir()
    for name in ("a.dcm", "b.dcm"):
        (series / name).write_bytes(name.encode())
    for name in ("roi.nrrd", "other.nii.gz", "other_mask.nii.gz"):
        (tmp_path / name).write_bytes(name.encode())
    source = {"image": "other.nii.gz", "mask": "other_mask.nii.gz"}
    raw = {
        "preset": "lung_ct",
        "anatomy": {"image": series.name},
        "pathologies": [{"roi": "roi.nrrd", "source": source}],
    }
    (tmp_path / "request.json").write_text(json.dumps(raw))
    elsewhere.pack(load_request(tmp_path / "request.json"), tmp_path / "job.zip")
    archive = zipfile.ZipFile(tmp_path / "job.zip")
    content = archive.read("request.json").decode()
    assert str(tmp_path) not in content
    assert not [n for n in [*archive.namelist(), content] if "Erika" in n]
    sent = json.loads(content)
    (lesion,) = sent["pathologies"]
    assert archive.read(lesion["roi"]) == b"roi.nrrd"
    assert archive.read(lesion["source"]["mask"]) == b"other_mask.nii.gz"
    inside = [n for n in archive.namelist() if n.startswith(sent["anatomy"]["image"] + "/")]
    assert [archive.read(n) for n in inside] == [b"a.dcm", b"b.dcm"]
    (tmp_path / "scan.mhd").write_bytes(b"")
    raw["anatomy"]["image"] = "scan.mhd"
    (tmp_path / "request.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=r"scan\.mhd keeps its pixels in a second file"):
        elsewhere.pack(load_request(tmp_path / "request.json"), tmp_path / "second.zip")


def test_a_server_that_never_ends_its_answer_is_given_up(tmp_path):
    class Slow(_Stranger):
        def do_GET(self):
            time.sleep(3)

    slow = HTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    try:
        with pytest.raises(OSError, match="silent for"):
            Server(f"http://127.0.0.1:{slow.server_port}", TOKEN, timeout_s=0.3).about()
    finally:
        slow.shutdown()
        slow.server_close()
