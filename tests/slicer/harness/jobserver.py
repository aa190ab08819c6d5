"""A real `medsynth serve` on loopback, run by the Python that has medsynth."""

from __future__ import annotations

import json
import subprocess


class JobServer:
    """A running server, its address and token; `with` ends it."""

    def __init__(self, python: str, folder):
        command = [python, "-m", "medsynth", "serve", "--port", "0", "--folder", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--progress", "json"], stdout=subprocess.PIPE, text=True
        )
        said = {}
        for line in self.process.stdout:
            said = json.loads(line)
            if said["kind"] in ("result", "error"):
                break
        data = said.get("data", {})
        self.address, self.token = data.get("address"), data.get("token")
        assert self.address, said

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.communicate(timeout=60)
