"""`medsynth serve` as a real process on loopback, and requests to it."""

import io
import json
import subprocess
import sys
import time
import zipfile

import numpy as np
import requests
from PIL import Image

REQUEST = {
    "preset": "chest_xray",
    "anatomy": {"image": "film.png", "view": "PA", "pixel_mm": 1.4, "factor": 8, "labels": []},
    "steps": 1,
    "seed": 5,
    "device": "cpu",
    "output": {"write": ["nrrd", "dicom", "nifti"]},
}
WAIT_S = 1200  # ends what hangs; a busy machine takes its time


class JobServer:
    """A running server; `call` answers with a `requests.Response`."""

    def __init__(self, folder, *options, env=None):
        command = [
            sys.executable,
            "-m",
            "medsynth",
            "serve",
            "--port",
            "0",
            "--folder",
            str(folder),
        ]
        command += [*options, "--progress", "json"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        self.said = []
        for line in self.process.stdout:
            self.said.append(json.loads(line))
            if self.said[-1]["kind"] in ("result", "error"):
                break
        data = self.said[-1].get("data", {}) if self.said else {}
        self.address, self.token = data.get("address", ""), data.get("token", "")

    def __enter__(self):
        assert self.address, self.process.communicate()
        return self

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=WAIT_S)

    def call(self, method, path, *, token=None, **more):
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        headers |= more.pop("headers", {})
        return requests.request(
            method, self.address + path, headers=headers, timeout=WAIT_S, **more
        )

    def submit(self, body, kind="application/zip"):
        return self.call("POST", "/v1/jobs", data=body, headers={"Content-Type": kind})

    def job(self, name):
        return self.call("GET", f"/v1/jobs/{name}").json()

    def wait(self, name, *states):
        """The job, once it is in one of these states, or has ended."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            job = self.job(name)
            if job["state"] in (*states, "done", "failed", "canceled"):
                return job
            time.sleep(0.1)
        raise AssertionError(f"still {job}")


def film(path):
    """A gray picture with something like two lungs."""
    j, i = np.indices((256, 256))
    lungs = ((np.abs(i - 128) - 52) / 40) ** 2 + ((j - 120) / 80) ** 2 < 1
    pixels = np.where(lungs, 70, 170) + np.random.default_rng(1).normal(0, 6, (256, 256))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def bundle(folder, request=REQUEST, **files):
    """A zip file with the request and the film, and other entries by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("request.json", json.dumps(request))
        archive.write(film(folder / "film.png"), "film.png")
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
