"""Real servers on loopback for the PACS tests; each is started and stopped by the test."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.request import Request, urlopen

from pacs_objects import pixels_in
from pydicom import dcmread

from medsynth.cli.app import main

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, *, process: subprocess.Popen | None = None) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


class Orthanc:
    """One Orthanc with the DICOMweb plug-in, its own database and free ports."""

    def __init__(self, folder: Path, settings: dict[str, Any], *, largest_file: int | None = None):
        self.folder, self.largest_file = folder, largest_file
        folder.mkdir(parents=True, exist_ok=True)
        self.dicom_port, self.http_port = free_port(), free_port()
        self.headers: dict[str, str] = {}
        self.settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "AuthenticationEnabled": False,
            "OverwriteInstances": False,
            "SyncStorageArea": False,
            "ConcurrentJobs": 1,
            "DicomModalities": {"us": ["MEDSYNTH", "127.0.0.1", 1]},
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **settings,
        }
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        (self.folder / "orthanc.json").write_text(json.dumps(self.settings))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._limit(), "Orthanc", str(self.folder / "orthanc.json")],
                stdout=log,
                stderr=log,
            )
        wait_for_port(self.http_port, process=self.process)
        # Orthanc 1.10 crashes when somebody connects to its DICOM TLS port and says nothing. It
        # opens the DICOM port before the web port.
        if not self.settings.get("DicomTlsEnabled"):
            wait_for_port(self.dicom_port, process=self.process)

    def _limit(self) -> list[str]:
        """Larger files fail with EFBIG, as on a full disk; the signal would end the server."""
        if self.largest_file is None:
            return []
        blocks = self.largest_file // 512
        return ["sh", "-c", f"trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"", "sh"]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def rest(self, path: str) -> Any:
        request = Request(f"http://127.0.0.1:{self.http_port}{path}", headers=self.headers)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def file(self, orthanc_id: str) -> bytes:
        address = f"http://127.0.0.1:{self.http_port}/instances/{orthanc_id}/file"
        with urlopen(Request(address, headers=self.headers), timeout=30) as answer:
            return answer.read()

    def uids(self) -> set[str]:
        """SOP Instance UIDs of all it holds."""
        found = self.rest("/instances?expand")
        return {instance["MainDicomTags"]["SOPInstanceUID"] for instance in found}

    def pixels(self) -> dict[str, str]:
        """Hash of the pixel data by UID; fails when one object is there twice."""
        found = [pixels_in(dcmread(BytesIO(self.file(i)))) for i in self.rest("/instances")]
        assert len(found) == len(dict(found))
        return dict(found)

    def arrivals(self) -> int:
        """How many objects were ever accepted as new."""
        seq, count = 0, 0
        while True:
            page = self.rest(f"/changes?since={seq}&limit=1000")
            count += sum(change["ChangeType"] == "NewInstance" for change in page["Changes"])
            seq = page["Last"]
            if page["Done"]:
                return count


@contextmanager
def orthanc(folder: Path, *, largest_file: int | None = None, **settings: Any) -> Iterator[Orthanc]:
    server = Orthanc(folder, settings, largest_file=largest_file)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@contextmanager
def running(command: list[str], port: int, *, cwd: Path) -> Iterator[subprocess.Popen]:
    """A server of DCMTK; an activated environment has pynetdicom's of the same names before it."""
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(f for f in folders if not Path(f, "activate").exists())
    command = [shutil.which(command[0], path=path) or command[0], *command[1:]]
    with (cwd / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=cwd)
    try:
        wait_for_port(port, process=process)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """DCMTK's receiver, which cannot be queried; yields its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with running(["storescp", "--fork", "-od", str(folder), *options, str(port)], port, cwd=folder):
        yield port


@contextmanager
def dcmqrscp(folder: Path, *, move_port: int = 1) -> Iterator[int]:
    """DCMTK's small archive (C-STORE, C-FIND, C-GET, C-MOVE) as ARCHIVE; yields its port."""
    port = free_port()
    (folder / "db").mkdir(parents=True, exist_ok=True)
    (folder / "cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nus = (MEDSYNTH, localhost, {move_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {folder / 'db'} RW (500, 1024mb) ANY\nAETable END\n"
    )
    with running(["dcmqrscp", "-c", str(folder / "cfg")], port, cwd=folder):
        yield port


def medsynth(
    home: Path, *arguments: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The real command line, in this process: a hundred starts of Python would take minutes."""
    out, err = StringIO(), StringIO()
    with (
        mock.patch.dict(os.environ, environment(home, env), clear=True),
        mock.patch("keyring.get_password", return_value=None),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())


class Sender:
    """The command in a process of its own, quick to start: forked from a server without threads."""

    def __init__(self, home: Path, *arguments: object):
        words = [str(argument) for argument in arguments]
        self._process = FORKS.Process(target=_run, args=(words, environment(home)), daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()

    def wait(self) -> int:
        self._process.join(120)
        assert self._process.exitcode is not None
        return self._process.exitcode


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["medsynth.cli.app", "medsynth.pacs.dimse", "medsynth.pacs.dicomweb", "medsynth.pacs.outbox"]
)


def _run(words: list[str], env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        sys.exit(main(words))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "medsynth", *map(str, arguments)]


def environment(home: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MEDSYNTH_")}
    return {
        **kept,
        "MEDSYNTH_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **(more or {}),
    }
