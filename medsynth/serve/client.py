"""The other end of `medsynth serve`: sends a request, follows its job, fetches the result. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from medsynth.events import printable

TIMEOUT_S = 30.0
BLOCK = 1 << 20
WORDS = 500  # of a server's own message; anything may answer at an address
ANSWER_BYTES = 16 << 20


class ServerGoneError(OSError):
    """Nobody answers at the server's address, or it breaks off."""


class ServerRefusedError(ValueError):
    """The server answers, but not with what was asked for.

    Attributes:
        status: its HTTP status.
    """

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


def new_job() -> str:
    """A name that no other job has, and nobody guesses."""
    return secrets.token_urlsafe(16)


class Server:
    """One `medsynth serve`.

    Args:
        address: `https://host:port`, with a path where a proxy puts it under one.
        token: every call needs it.
        certificate: what to trust beside the authorities that this computer knows, as for a server that
            signed its own.
        timeout_s: how long it may stay silent.

    Raises:
        ValueError: no address of a server, or a certificate that cannot be read.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        certificate: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.address = address.strip().rstrip("/")
        parts, self.port = _parts(self.address)
        self.host, self.path = str(parts.hostname), parts.path
        self.is_encrypted = parts.scheme == "https"
        self.token, self.timeout_s = token, timeout_s
        if not token.isascii() or not token.isprintable() or not token:
            raise ValueError(
                f"the token of {self.address} is missing or holds characters that no token has"
            )
        if certificate is not None and not self.is_encrypted:
            raise ValueError(f"a certificate needs https, got {self.address}")
        self._tls = _tls(certificate) if self.is_encrypted else None

    def about(self) -> dict[str, Any]:
        """Version, presets, limits and jobs under way."""
        return self._json("GET", "/v1/server")

    def submit(
        self, upload: Path, job: str, *, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Send a zip file of a request and its images.

        Args:
            job: what it is to be called, `new_job()`; `remove` ends it also before the answer has come.
            progress: called with bytes sent and bytes in all.
        """
        size = upload.stat().st_size
        headers = {"Content-Type": "application/zip", "Content-Length": str(size), "Job-Id": job}
        with upload.open("rb") as file:

            def blocks() -> Iterator[bytes]:
                sent = 0
                while block := file.read(BLOCK):
                    yield block
                    sent += len(block)
                    progress(sent, size)

            return self._json("POST", "/v1/jobs", body=blocks(), headers=headers)

    def job(self, job: str) -> dict[str, Any]:
        """Its state and progress."""
        return self._json("GET", f"/v1/jobs/{quote(job)}")

    def fetch(self, job: str, path: Path, *, progress: Callable[[int, int], None]) -> None:
        """Write the result, one zip file, to `path`."""
        with self._answer("GET", f"/v1/jobs/{quote(job)}/result.zip") as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            received = 0
            with path.open("xb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    received += len(block)
                    progress(received, size)
            if received != size:
                raise self._gone("it broke off while the result was fetched")

    def remove(self, job: str) -> None:
        """Cancel it, and remove its files from the server."""
        with self._answer("DELETE", f"/v1/jobs/{quote(job)}"):
            pass

    def _json(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        with self._answer(method, path, **given) as answer:
            text = answer.read(ANSWER_BYTES)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._stranger(answer.status)
        return found

    @contextlib.contextmanager
    def _answer(
        self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            try:
                connection.request(method, f"{self.path}{path}", body=body, headers=given)
            except (BrokenPipeError, ConnectionResetError):
                # It may have refused before all was sent; then its answer is there to be read.
                if body is None:
                    raise
            answer = connection.getresponse()
            if answer.status >= 300:
                raise self._refusal(answer)
            yield answer
        except ServerGoneError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise ValueError(
                f"{self.address} cannot prove that it is who it says ({error.verify_message}); give the "
                "file of its certificate, from whoever runs it"
            ) from None
        except ssl.SSLError as error:
            raise self._gone(f"no TLS there: {error.reason or error}") from None
        except http.client.HTTPException as error:
            raise self._gone(f"no HTTP there, or it broke off: {type(error).__name__}") from None
        except TimeoutError:
            raise self._gone(f"silent for {self.timeout_s:g} s") from None
        except (ConnectionError, OSError) as error:
            if isinstance(error, FileExistsError):
                raise
            raise self._gone(error.strerror or str(error)) from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=self.timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)

    def _refusal(self, answer: http.client.HTTPResponse) -> Exception:
        try:
            words = str(json.loads(answer.read(ANSWER_BYTES))["error"])
        except (ValueError, KeyError, TypeError):
            return self._stranger(answer.status)
        return ServerRefusedError(f"{self.address}: {printable(words)[:WORDS]}", answer.status)

    def _stranger(self, status: int) -> ServerRefusedError:
        words = f"what answers at {self.address} is no medsynth serve (HTTP {status}); check the address"
        return ServerRefusedError(words, status)

    def _gone(self, why: str) -> ServerGoneError:
        return ServerGoneError(f"{self.address} does not answer ({why})")


def _parts(address: str) -> tuple[Any, int | None]:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError(
            f"a server's address is like https://host:8443, got {printable(address)[:200]!r}"
        )
    return parts, port


def _tls(certificate: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate is None:
        return context
    try:
        context.load_verify_locations(cafile=str(certificate))
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{certificate} is no certificate that can be read: {error}") from None
    return context
