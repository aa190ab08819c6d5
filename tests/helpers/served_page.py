"""`medsynth web` as a process, and what a visitor without a browser can ask of it."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

READY_S = 240


class Served:
    """`medsynth web` as a process of its own."""

    def __init__(self, folder, *options, environment=None):
        command = [sys.executable, "-m", "medsynth", "web", "--port", "0", "--folder", folder]
        self.folder = folder
        self.process = subprocess.Popen(
            [str(word) for word in (*command, *options)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
        )
        for line in self.process.stdout:
            if found := re.search(r"open (http\S+)", line):
                self.link = found[1]
                break
        self.address, _, self.token = self.link.partition("/?token=")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=240)  # on a busy machine
        self.process.stdout.close()

    def sessions(self):
        """The processes of its sessions."""
        import psutil

        def is_one(process):
            # One that has ended meanwhile, or is a zombie, has no command.
            with contextlib.suppress(psutil.NoSuchProcess):
                return "medsynth.web.session" in process.cmdline()
            return False

        return list(filter(is_one, psutil.Process(self.process.pid).children(recursive=True)))

    def files(self):
        """Every file that its sessions keep."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


def until(holds, seconds=READY_S):
    """Wait until something holds; gives what it gave."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.2)
    return found


def get(address, *, cookie="", data=None, headers=None):
    """(status, final address, body) without following a redirect."""

    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args):
            return None

    request = urllib.request.Request(address, data=data, headers=headers or {})
    if cookie:
        request.add_header("Cookie", f"medsynth_web={cookie}")
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=240) as answer:
            return answer.status, "", answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location", ""), error.read().decode()


def begin(server):
    """The address of a new session."""
    status, where, _ = get(f"{server.address}/", cookie=server.token)
    assert status == 303
    return server.address + where.removesuffix("index.html")


def complaint(body):
    """What a refusal says."""
    return json.loads(body)["error"]
