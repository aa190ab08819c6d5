"""Servers that misbehave on demand: a storage SCP, a STOW-RS service, and a slow line."""

from __future__ import annotations

import contextlib
import json
import math
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

from pacs_objects import CT, SEG
from pacs_servers import free_port
from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from pynetdicom.transport import ThreadedAssociationServer

Behave = Callable[[evt.Event, int], int | None]


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 120) -> None:
    """Until a state is reached, however busy the machine is; the limit only ends a test that hangs."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, f"not so within {timeout_s} s: {is_so}"
        time.sleep(0.01)


class Archive:
    """What a pynetdicom SCP received and keeps. `behave(event, number)` gives the status.

    A status of None aborts the association instead; an answer of 0x0000 or a warning keeps it.
    """

    def __init__(self, behave: Behave):
        self.behave = behave
        self.order: list[str] = []
        self.received: Counter[str] = Counter()
        self.kept: dict[str, bytes] = {}
        self.matches: list[Dataset] = []  # answers to every query, before those for `kept`
        self.associations = 0
        self.server: ThreadedAssociationServer | None = None
        self._mutex = threading.Lock()

    def on_open(self, event: evt.Event) -> None:
        self.associations += 1

    def on_store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._mutex:
            self.order.append(uid)
            self.received[uid] += 1
            number = len(self.order)
        status = self.behave(event, number)
        if status is None:
            event.assoc.abort()
            return 0x0000
        if status == 0x0000 or status >> 12 == 0xB:
            self.kept[uid] = event.encoded_dataset(include_meta=False)
        return status

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for match in self.matches:
            yield 0xFF00, match
        for uid in list(self.kept):
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, match


@contextmanager
def storage_scp(
    behave: Behave = lambda event, number: 0x0000,
    *,
    classes: tuple[str, ...] = (CT, SEG),
    find: bool = True,
    limit: int = 20,
    port: int = 0,
) -> Iterator[tuple[int, Archive]]:
    """Yields its port and what it got."""
    port, archive = port or free_port(), Archive(behave)
    entity = AE(ae_title="FAULTY")
    entity.maximum_associations = limit
    entity.add_supported_context(Verification)
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    if find:
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    handlers = [
        (evt.EVT_C_STORE, archive.on_store),
        (evt.EVT_C_FIND, archive.on_find),
        (evt.EVT_ACCEPTED, archive.on_open),
    ]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    archive.server = server
    try:
        yield port, archive
    finally:
        server.shutdown()


class Stow:
    """A STOW-RS and QIDO-RS service. `behave(datasets, request)` gives (code, body, keep)."""

    def __init__(self, behave: Callable[[list[Dataset], int], tuple[int, object, list[str]]]):
        self.behave = behave
        self.requests = 0
        self.sent: Counter[str] = Counter()
        self.kept: dict[str, Dataset] = {}
        self.headers: list[dict[str, str]] = []
        self.find_code = 200

    def store(self, body: bytes, media_type: str) -> tuple[int, object]:
        message = message_from_bytes(b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + body)
        parts = [part.get_payload(decode=True) for part in message.get_payload()]
        datasets = [dcmread(BytesIO(part)) for part in parts]
        self.requests += 1
        self.sent.update(str(dataset.SOPInstanceUID) for dataset in datasets)
        code, reply, keep = self.behave(datasets, self.requests)
        self.kept |= {d.SOPInstanceUID: d for d in datasets if d.SOPInstanceUID in keep}
        return code, reply

    def find(self, series: str) -> list[dict]:
        return [
            {"00080018": {"vr": "UI", "Value": [uid]}}
            for uid, dataset in self.kept.items()
            if dataset.SeriesInstanceUID == series
        ]


def stow_reply(stored: list[str], failed: dict[str, int] | None = None) -> dict:
    """A Store Instances Response (PS3.18 I.2) in DICOM JSON."""

    def item(uid: str, **more: object) -> dict:
        return {"00081155": {"vr": "UI", "Value": [uid]}, **more}

    reply: dict = {"00081199": {"vr": "SQ", "Value": [item(uid) for uid in stored]}}
    if failed:
        reply["00081198"] = {
            "vr": "SQ",
            "Value": [
                item(uid, **{"00081197": {"vr": "US", "Value": [reason]}})
                for uid, reason in failed.items()
            ],
        }
    return reply


@contextmanager
def stow_server(behave: Callable) -> Iterator[tuple[str, Stow]]:
    """Yields its address and what it got."""
    service = Stow(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            service.headers.append(dict(self.headers))
            body = self._body()
            self._answer(*service.store(body, self.headers["Content-Type"]))

        def do_GET(self) -> None:  # noqa: N802 - the base class's name
            service.headers.append(dict(self.headers))
            series = self.path.partition("/series/")[2].partition("/")[0]
            self._answer(service.find_code, service.find(series))

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, code: int, reply: object) -> None:
            content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://elsewhere.example/dicom-web")
            self.send_header("Content-Type", "application/dicom+json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", service
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Line:
    """A relay's own port, and how quick it is towards the server; may be changed while it runs."""

    port: int
    bytes_per_s: float
    bytes_back_per_s: float = math.inf


@contextmanager
def line(
    to_port: int,
    *,
    bytes_per_s: float = math.inf,
    bytes_back_per_s: float = math.inf,
    context: ssl.SSLContext | None = None,
) -> Iterator[Line]:
    """A TCP relay, slow towards the server or back, or encrypted on our side."""
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Line(listener.getsockname()[1], bytes_per_s, bytes_back_per_s)
    closing = threading.Event()

    def serve(near: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            near,
            socket.create_connection(("127.0.0.1", to_port), timeout=30) as far,
        ):
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                near = context.wrap_socket(near, server_side=True)
            _relay(near, far, relay)

    def accept() -> None:
        while not closing.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(near,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield relay
    finally:
        closing.set()
        listener.close()


def _relay(near: socket.socket, far: socket.socket, relay: Line) -> None:
    """Until one end closes. One thread: an SSL socket must not be used by two."""
    with near:
        while True:
            readable, _, _ = select.select([near, far], [], [])
            for source, target in ((near, far), (far, near)):
                if source not in readable:
                    continue
                data = source.recv(16384)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(source.pending())
                if not data:
                    return
                target.sendall(data)
                rate = relay.bytes_per_s if source is near else relay.bytes_back_per_s
                time.sleep(len(data) / rate)
