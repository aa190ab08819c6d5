"""Twenty kills by SIGKILL at any moment, of sessions and of servers: no process and no patient file is left."""

import contextlib
import os
import threading
import time
from pathlib import Path

import psutil
import pytest
from served_page import Served, begin, get, until

pytestmark = [pytest.mark.slow]
SESSIONS, SERVERS = 15, 5
# After the upload began: while it is received, while it is read, and once it is shown.
MOMENTS = (0.0, 0.2, 0.5, 1.0, 2.0)


@pytest.fixture
def places(tmp_path):
    """Every folder in which a server may leave something: its own, for temporary files, the user's."""
    found = {name: tmp_path / name for name in ("served", "temporary", "home")}
    for folder in found.values():
        folder.mkdir()
    return found


def start(places):
    environment = {**os.environ, "TMPDIR": str(places["temporary"])}
    environment["MEDSYNTH_HOME"] = str(places["home"])
    return Served(
        places["served"],
        *("--sessions", 2, "--gone-minutes", 30, "--threads", 1),
        environment=environment,
    )


def upload(server, address, image):
    """Send an image, as the page does, until the session is gone."""
    boundary = "----kills"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nrrd"\r\n\r\n'
    body = head.encode() + image.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def send():
        with contextlib.suppress(Exception):  # it dies on the way
            get(f"{address}upload", cookie=server.token, data=body, headers=headers)

    threading.Thread(target=send, daemon=True).start()


def files(places):
    """Every file in them, without the lock that says which folders are a living server's."""
    found = (path for folder in places.values() for path in folder.rglob("*"))
    return [path for path in found if path.is_file() and not path.name.endswith("lock")]


def alive(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def family(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def session_with_an_image(server, image, moment):
    """The process of a new session, some time after an image was sent to it."""
    upload(server, begin(server), image)
    time.sleep(moment)

    def has_files(process):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):  # it ends meanwhile
            return any(f.is_file() for f in folder_of(process).rglob("*"))
        return False

    # The one in whose folder something lies; another one is kept ready, with nothing in it.
    return until(lambda: list(filter(has_files, server.sessions())))[0]


def folder_of(process):
    return Path(process.cwd())


def test_killed_sessions_leave_nothing(places, chest):
    server = start(places)
    try:
        until(server.sessions)
        for kill in range(SESSIONS):
            victim = session_with_an_image(server, chest, MOMENTS[kill % len(MOMENTS)])
            folder, processes = folder_of(victim), family(victim)
            assert files(places)
            victim.kill()
            until(lambda gone=folder: not gone.exists(), 60)
            until(lambda of=processes: not alive(of), 60)
            assert not files(places)
    finally:
        server.stop()
    assert not files(places)


def test_killed_servers_leave_nothing(places, chest):
    for kill in range(SERVERS):
        server = start(places)
        until(server.sessions)
        session_with_an_image(server, chest, MOMENTS[kill % len(MOMENTS)])
        processes = family(psutil.Process(server.process.pid))
        assert len(processes) > 2
        assert files(places)
        server.process.kill()
        server.stop()
        until(lambda of=processes: not alive(of), 60)
        until(lambda: not files(places), 60)
        assert not [path for path in places["served"].iterdir() if path.is_dir()]
