"""One call of a hosted image service, bounded in size and time, and what its answer means."""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from medsynth import limits
from medsynth.errors import MissingExtra

if TYPE_CHECKING:
    import openai
    from PIL.Image import Image

KEY_VARIABLES = ("MEDSYNTH_IMAGE_API_KEY", "OPENAI_API_KEY")
# Of one answer: a picture of 8000 x 8000 pixels as base64 fits.
MOST_BYTES = 256 * limits.MEBI
LOOPBACK = ("127.0.0.1", "localhost", "::1")
BUSY = (408, 409, 425, 429)
# A service says why it will not draw a prompt by one of these.
MODERATION = ("moderation", "content_policy", "safety", "policy_violation")
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}


@dataclass(frozen=True, eq=False)
class CallOutcome:
    """What came of a call.

    Attributes:
        kind: `image`; `refused`, by the service's moderation; `unpaid`, the service made nothing; `lost`,
            it may have made an image that did not arrive.
        words: why there is no image.
        values: (H, W) uint8, the mean of its channels.
        original: the picture's bytes as they came.
        retry_after_s: how long the service asks to be left alone.
    """

    kind: str
    words: str = ""
    values: np.ndarray | None = None
    original: bytes | None = None
    suffix: str = ".bin"
    retry_after_s: float | None = None
    record: dict[str, Any] = field(default_factory=dict)


class Service:
    """A service at `base_url`; its key comes from the environment or a keyring and is kept nowhere.

    Raises:
        ValueError: an address that is none, or not encrypted although it is not on this machine.
        PermissionError: no key.
        MissingExtra: `openai` is not installed.
    """

    def __init__(self, *, base_url: str, timeout_s: float):
        self.base_url = check_address(base_url)
        self._key = find_key()
        self._client = _client(self.base_url, self._key, timeout_s)

    def ask(
        self, prompt: str, *, model: str, size: str, quality: str | None, idempotency_key: str
    ) -> CallOutcome:
        """One image for `prompt`.

        Raises:
            PermissionError: the key is not accepted.
            ValueError: the model, the size or another part of the request is not accepted.
        """
        import openai

        options: dict[str, Any] = {"quality": quality} if quality else {}
        try:
            with self._client.images.with_streaming_response.generate(
                prompt=prompt,
                model=model,
                size=size,
                n=1,
                extra_headers={"Idempotency-Key": idempotency_key},
                **options,
            ) as response:
                body = _read(response)
        except openai.APIStatusError as error:
            return self._of_status(error)
        except openai.APITimeoutError:
            return CallOutcome("lost", "no answer in time")
        except openai.APIConnectionError as error:
            return _of_connection(error)
        except Exception as error:
            if _is_transport(error):  # broken off in the middle of the body
                return CallOutcome("lost", f"the answer broke off ({type(error).__name__})")
            raise
        return _picture(body)

    def _of_status(self, error: openai.APIStatusError) -> CallOutcome:
        """What a status other than 200 means; see RFC 9110 section 15 and the protocol's error codes."""
        status, words = error.status_code, self._words(error)
        if status in BUSY or status >= 500:
            return CallOutcome("unpaid", words, retry_after_s=_retry_after(error))
        if status == 400 and any(word in words.lower() for word in MODERATION):
            return CallOutcome("refused", words, record={"status": status})
        if status in (401, 403):
            raise PermissionError(f"{self.base_url} does not accept the key: {words}")
        raise ValueError(f"{self.base_url} does not accept the request: {words}")

    def _words(self, error: openai.APIStatusError) -> str:
        """The service's words, short, without the key it may have repeated."""
        body = error.body if isinstance(error.body, dict) else {}
        said = [str(body.get(key) or "") for key in ("code", "type", "message")]
        text = " ".join(f"{error.status_code} {' '.join(said)}".split())
        text = "".join(c if c.isprintable() else "?" for c in text)
        return text.replace(self._key, "(key)")[:300]


def check_address(base_url: str) -> str:
    """`base_url` without a slash at its end.

    Raises:
        ValueError: not https, unless it is this machine; or with a name and password in it.
    """
    parts = urlsplit(base_url)
    if parts.username or parts.password:
        raise ValueError("base_url holds a name or a password; the key comes from the environment")
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (encrypted and parts.hostname):
        raise ValueError(
            f"base_url {base_url!r}: expected https://..., or http:// to this machine only"
        )
    return base_url.rstrip("/")


def find_key() -> str:
    """The service's key.

    Raises:
        PermissionError: neither the environment nor a keyring has one, or it cannot be one.
    """
    found = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
    key = (found or _from_keyring() or "").strip()
    if not key:
        raise PermissionError(
            f"the service needs a key: set {' or '.join(KEY_VARIABLES)} in the environment, or run: "
            "keyring set medsynth image_api"
        )
    if not (key.isascii() and key.isprintable()):
        raise PermissionError("the service's key holds a character that no key has")
    return key


def _from_keyring() -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        return keyring.get_password("medsynth", "image_api")
    except (KeyringError, RuntimeError, OSError):  # no keyring service on this machine
        return None


def _client(base_url: str, key: str, timeout_s: float) -> openai.OpenAI:
    try:
        import openai
    except ImportError as error:
        raise MissingExtra(
            "a hosted service needs the package openai: pip install 'medsynth-slicer[image-api]'"
        ) from error
    # No proxy and no .netrc of the environment, no redirect to where the key does not belong.
    transport = openai.DefaultHttpxClient(trust_env=False, follow_redirects=False)
    return openai.OpenAI(
        api_key=key, base_url=base_url, max_retries=0, timeout=timeout_s, http_client=transport
    )


def _read(response: Any) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes(1 << 16):
        body += chunk
        if len(body) > MOST_BYTES:
            raise ValueError(
                f"the answer is larger than {MOST_BYTES:,} bytes; ask for a smaller size"
            )
    return bytes(body)


def _is_transport(error: Exception) -> bool:
    """Whether the HTTP library raised it; which library that is, is the client's affair."""
    return type(error).__module__.split(".")[0].startswith(("httpx", "httpcore", "h11"))


def _of_connection(error: openai.APIConnectionError) -> CallOutcome:
    """A call that never reached the service cost nothing; one that broke off later may have."""
    name = type(error.__cause__).__name__
    if name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"):
        return CallOutcome("unpaid", f"cannot be reached ({name})")
    return CallOutcome("lost", f"the connection broke off ({name})")


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds (RFC 9110 section 10.2.3), at most an hour; None where the service does not say."""
    said = error.response.headers.get("retry-after", "")
    try:
        wait = float(said)
    except ValueError:
        try:
            wait = parsedate_to_datetime(said).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(wait, 0.0), 3600.0) if np.isfinite(wait) else None


def _picture(body: bytes) -> CallOutcome:
    """The picture in a 200's body. What cannot be read was paid for and is lost."""
    try:
        data = json.loads(body)["data"]
        original = base64.b64decode(data[0]["b64_json"], validate=True)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, binascii.Error):
        return CallOutcome("lost", "the answer holds no picture (data[0].b64_json)")
    try:
        values, kind = _gray(original)
    except (OSError, ValueError, SyntaxError) as error:
        return CallOutcome("lost", f"the picture cannot be read ({type(error).__name__})")
    record = {
        "format": kind,
        "original_sha256": _sha256(original),
        "content_credentials": b"c2pa" in original,  # C2PA: the label of its JUMBF box
        "gray": "mean of the channels, 8 bit",
    }
    return CallOutcome("image", "", values, original, SUFFIXES.get(kind, ".bin"), record=record)


def _gray(original: bytes) -> tuple[np.ndarray, str]:
    """(H, W) uint8 and the format's name."""
    from PIL import Image

    with Image.open(io.BytesIO(original)) as picture:
        pixels = picture.width * picture.height
        limits.PICTURE_PIXELS.check(pixels, "the service's picture", f"{pixels:,} pixels")
        return _mean(picture), str(picture.format)


def _mean(picture: Image) -> np.ndarray:
    colors = np.asarray(picture.convert("RGB"), dtype=np.float32)
    return np.rint(colors.mean(axis=2)).astype(np.uint8)


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()
