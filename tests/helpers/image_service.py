"""A hosted image service of our own that speaks OpenAI's images protocol, and misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

KEY = "sk-planted-0123456789abcdef"
FAULTS = ("429", "500", "503", "hang", "truncated", "no picture", "refused", "closed")


def picture(prompt: str, key: str) -> bytes:
    """A small color PNG that differs from call to call."""
    digest = hashlib.sha256(f"{prompt}|{key}".encode()).digest()
    pixels = np.frombuffer(digest * 24, np.uint8)[: 16 * 16 * 3].reshape(16, 16, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@dataclass
class ImageService:
    """What the service was asked and what it was paid for; `fault(number)` names a fault or nothing.

    With `honors_keys` a call with an Idempotency-Key that was paid before gets the same image again, unpaid.
    """

    fault: Callable[[int, str], str | None] = lambda number, prompt: None
    honors_keys: bool = True
    hang_s: float = 2.0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paid: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, prompt: str, key: str) -> bytes:
        with self.mutex:
            if not (self.honors_keys and self.paid[key]):
                self.paid[key] += 1
        data = base64.b64encode(picture(prompt, key)).decode()
        return json.dumps({"created": 1, "data": [{"b64_json": data}]}).encode()


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "type": code, "message": message}}).encode()


@contextmanager
def image_service(service: ImageService) -> Iterator[str]:
    """Yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with service.mutex:
                service.calls += 1
                number = service.calls
                service.bodies.append(body)
                service.headers.append({k.lower(): v for k, v in self.headers.items()})
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                said = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self._send(401, _error("invalid_api_key", f"Incorrect API key provided: {said}"))
                return
            prompt = json.loads(body)["prompt"]
            key = self.headers.get("Idempotency-Key", str(number))
            self._misbehave(service.fault(number, prompt), prompt, key)

        def _misbehave(self, fault: str | None, prompt: str, key: str) -> None:
            if fault in ("500", "503"):
                self._send(int(fault), _error("server_error", f"try again {KEY}\x1b[31m"))
            elif fault == "429":
                self._send(429, _error("rate_limit_exceeded", "slow down"), retry_after="0")
            elif fault == "refused":
                self._send(400, _error("moderation_blocked", "your prompt was rejected"))
            elif fault == "closed":
                self.close_connection = True
            else:
                body = service.answer(prompt, key)  # paid, whatever becomes of the answer
                if fault == "no picture":
                    body = b'{"created": 1, "data": []}'
                if fault == "hang":
                    time.sleep(service.hang_s)
                self._send(200, body, keep=len(body) // 2 if fault == "truncated" else len(body))

        def _send(
            self, status: int, body: bytes, *, keep: int | None = None, retry_after: str = ""
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body[:keep])
            if keep is not None and keep < len(body):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
