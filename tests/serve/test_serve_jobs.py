"""Jobs of a real server: the command's bits, progress, cancel, limits, nothing left after any end."""

import io
import os
import random
import signal
import subprocess
import sys
import time
import zipfile

import psutil
import pydicom
import pytest
import SimpleITK as sitk
from job_server import REQUEST, WAIT_S, JobServer, bundle

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("MEDSYNTH_KILLS", "3"))
LONG = {**REQUEST, "steps": 1000}


def everything(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def contents(zipped):
    archive = zipfile.ZipFile(io.BytesIO(zipped))
    assert archive.testzip() is None
    return {name: archive.read(name) for name in archive.namelist()}


def test_a_request_comes_back_as_the_command_makes_it(tmp_path):
    served, unpacked = tmp_path / "served", tmp_path / "unpacked"
    served.mkdir()
    body = bundle(tmp_path)
    zipfile.ZipFile(io.BytesIO(body)).extractall(unpacked)
    options = ("--threads", "1")
    with JobServer(served, *options) as server:
        answer = server.submit(body)
        assert answer.status_code == 202
        job = server.wait(answer.json()["id"])
        assert job["state"] == "done", job
        result = server.call("GET", f"/v1/jobs/{job['id']}/result.zip")
        files = contents(result.content)
        assert sorted(files) == job["files"]
        one = server.call("GET", f"/v1/jobs/{job['id']}/files/image.nrrd")
        assert one.content == files["image.nrrd"]
        assert server.call("GET", f"/v1/jobs/{job['id']}/files/../upload").status_code == 404
        assert server.call("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
        assert server.call("GET", f"/v1/jobs/{job['id']}").status_code == 404
        assert everything(served / ".") == [
            p for p in everything(served) if p.name.endswith("medsynth-lock")
        ]
    assert everything(served) == []

    command = [sys.executable, "-m", "medsynth", "synthesize", str(unpacked / "request.json")]
    command += ["-o", str(tmp_path / "out"), "--progress", "none", *options]
    subprocess.run(command, check=True)
    (tmp_path / "served.nrrd").write_bytes(files["image.nrrd"])
    images = [
        sitk.ReadImage(str(p)) for p in (tmp_path / "served.nrrd", tmp_path / "out/image.nrrd")
    ]
    assert (
        sitk.GetArrayFromImage(images[0]).tobytes() == sitk.GetArrayFromImage(images[1]).tobytes()
    )
    made = pydicom.dcmread(io.BytesIO(files["dicom/image/0001.dcm"]))
    mine = pydicom.dcmread(tmp_path / "out/dicom/image/0001.dcm")
    assert made.PixelData == mine.PixelData
    assert made.SyntheticData == "YES"
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert any(name.endswith(".nii.gz") for name in files)
    # No folder of the server is in anything that leaves it.
    assert not [name for name, content in files.items() if str(served).encode() in content]


def test_a_running_job_is_canceled_and_gone(tmp_path):
    with JobServer(tmp_path) as server:
        name = server.submit(bundle(tmp_path, LONG)).json()["id"]
        until(lambda: server.job(name)["progress"].get("done"))
        assert server.job(name)["progress"]["total"] >= 1000
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert server.call("DELETE", f"/v1/jobs/{name}").status_code == 204
        job = [
            c for c in children if "synthesize" in " ".join(c.cmdline() if c.is_running() else [])
        ]
        assert not [c for c in job if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]
        assert [p for p in tmp_path.glob(".medsynth-serve-*.partial-*/*")] == []


def test_more_jobs_than_the_server_takes_are_put_off(tmp_path):
    with JobServer(tmp_path, "--jobs", "2") as server:
        body = bundle(tmp_path, LONG)
        first, second = (server.submit(body).json()["id"] for _ in range(2))
        answer = server.submit(body)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"]
        assert server.job(second)["state"] == "waiting"
        assert server.call("DELETE", f"/v1/jobs/{second}").status_code == 204
        assert server.submit(body).status_code == 202
        assert server.job(first)["state"] in ("waiting", "running")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--job-minutes", "0.02", "stopped after"), ("--job-memory", "0.05", "took more than")],
)
def test_a_job_that_takes_too_much_is_stopped(tmp_path, option, value, words):
    with JobServer(tmp_path, option, value) as server:
        job = server.wait(server.submit(bundle(tmp_path, LONG)).json()["id"])
        assert job["state"] == "failed"
        assert words in job["error"]


def test_a_request_that_fails_while_it_runs_says_why_and_the_next_one_runs(tmp_path):
    broken = {**REQUEST, "anatomy": {**REQUEST["anatomy"], "image": "bad.png"}}
    with JobServer(tmp_path) as server:
        body = bundle(tmp_path, broken, **{"bad.png": b"no picture"})
        job = server.wait(server.submit(body).json()["id"])
        assert job["state"] == "failed"
        assert "bad.png" in job["error"]
        assert str(tmp_path) not in job["error"]
        assert server.wait(server.submit(bundle(tmp_path)).json()["id"])["state"] == "done"


def test_a_result_is_kept_for_a_while_only(tmp_path):
    with JobServer(tmp_path, "--keep-minutes", "0.01") as server:
        name = server.submit(bundle(tmp_path)).json()["id"]
        until(lambda: server.call("GET", f"/v1/jobs/{name}").status_code == 404)
        until(lambda: not list(tmp_path.glob(".medsynth-serve-*.partial-*/*")))


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_server_that_is_ended_leaves_no_process_and_no_patient_file(tmp_path, how):
    rng = random.Random(4)
    for _ in range(KILLS if how == "SIGKILL" else 1):
        served = tmp_path / "served"
        served.mkdir(exist_ok=True)
        server = JobServer(served)
        name = server.submit(bundle(tmp_path, LONG)).json()["id"]
        server.wait(name, "running")
        time.sleep(rng.uniform(0, 3))
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert family
        server.process.send_signal(getattr(signal, how))
        server.process.communicate(timeout=WAIT_S)
        gone, alive = psutil.wait_procs(family, timeout=WAIT_S)
        assert not alive, [p.cmdline() for p in alive]
        left = [p for p in everything(served) if not p.name.endswith("medsynth-lock")]
        assert left == []
        assert not list(served.glob(".medsynth-serve-*.partial-*"))
