"""HTTP sessions to a DICOMweb service: bounded, verified, never redirected, never via a proxy."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable
from typing import Any, NoReturn

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import SSLError as PoolSSLError

from medsynth.pacs import tls
from medsynth.pacs.credentials import Credentials, credentials_for
from medsynth.pacs.destination import Destination
from medsynth.pacs.text import is_uid, plain

# Otherwise its warnings, with the server's words in them, go to the terminal as they are.
logging.getLogger("dicomweb_client").addHandler(logging.NullHandler())


class _Bearer(AuthBase):
    def __init__(self, credentials: Credentials):
        self.credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.credentials.token}"
        return request


def client_for(destination: Destination) -> DICOMwebClient:
    """A client for one thread. Raises PermissionError when credentials or certificates lack."""
    session = requests.Session()
    # No proxy, .netrc or CA bundle of the environment: only what the destination says.
    session.trust_env = False
    session.max_redirects = 0
    session.headers["Accept"] = "application/dicom+json"
    if destination.url.startswith("https"):
        tls.client_context(destination)  # tells at once, and clearly, which file is no good
        session.verify = destination.ca_file or True
        if destination.cert_file:
            session.cert = (destination.cert_file, destination.key_file)
    credentials = credentials_for(destination)
    if credentials is not None:
        session.auth = (
            HTTPBasicAuth(credentials.user.encode(), credentials.password.encode())
            if credentials.user
            else _Bearer(credentials)
        )
    client = DICOMwebClient(
        url=destination.url.rstrip("/"),
        session=session,
        callback=_plain_media_type,
        timeout=(destination.connect_s, destination.timeout_s),
    )
    client.set_http_retry_params(retry=False)  # the outbox decides what is tried again, and when
    return client


def _plain_media_type(response: requests.Response, **kwargs: object) -> requests.Response:
    """dicomweb-client reads an answer only when its media type comes without parameters."""
    media_type = response.headers.get("Content-Type", "")
    if "json" in media_type:
        response.headers["Content-Type"] = media_type.split(";")[0].strip()
    return response


def dataset_of(response: requests.Response) -> Dataset:
    """The data set in an error's body; empty when there is none to be read."""
    try:
        body = response.json()
        return Dataset.from_json(body[0] if isinstance(body, list) else body)
    except Exception:  # noqa: BLE001 - a server may answer anything, also JSON 10,000 levels deep
        return Dataset()


def words_of(response: requests.Response) -> str:
    """What the body says to people, one short line."""
    text = response.text.strip()
    try:
        body = json.loads(text)
        text = (
            str(body.get("Details") or body.get("Message") or "") if isinstance(body, dict) else ""
        )
    except (ValueError, RecursionError):
        text = "" if text[:1] in ("<", "[", "{") else text
    return plain(text)


def ask(destination: Destination, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """One request by dicomweb-client; every way in which it fails is one clear error.

    Raises:
        ConnectionError, PermissionError: see `raise_for`.
    """
    try:
        return method(*args, **options)
    except requests.RequestException as error:
        raise_for(error, destination)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - what the client cannot parse, in many types
        raise unreadable(destination, error) from error


def matches_of(destination: Destination, answer: object) -> list[dict[str, Any]]:
    """The data sets of a QIDO-RS answer (PS3.18 F.2). Raises PermissionError when it is no list of them."""
    if not isinstance(answer, list) or not all(isinstance(match, dict) for match in answer):
        raise unreadable(destination, "it is no list of data sets")
    return answer


def value_in(match: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON, on one line; empty where there is none."""
    attribute = match.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    first = values[0] if isinstance(values, list) and values else None
    return plain(first) if isinstance(first, (str, int, float)) else ""


def uid_in(destination: Destination, match: dict[str, Any], tag: str) -> str:
    """A UID in DICOM JSON. Raises PermissionError when there is none that can be asked for."""
    text = value_in(match, tag)
    if not is_uid(text):
        raise unreadable(destination, f"a match has no UID in {tag}, but {text!r}")
    return text


def unreadable(destination: Destination, why: object) -> PermissionError:
    """The answer of a service that does not keep to the standard."""
    return PermissionError(
        f"{destination.url} does not answer as DICOMweb: {plain(why) or type(why).__name__}; is it "
        "the root of the DICOMweb service?"
    )


def raise_for(error: requests.RequestException, destination: Destination) -> NoReturn:
    """A failed request as ConnectionError (try later) or PermissionError (somebody must act)."""
    where = destination.url
    if isinstance(error, requests.HTTPError) and error.response is not None:
        raise _for_status(error.response, destination) from None
    if isinstance(error, requests.JSONDecodeError):
        raise PermissionError(
            f"{where} does not answer in DICOM JSON: is it the root of the DICOMweb service?"
        ) from None
    if isinstance(error, requests.TooManyRedirects):
        to = error.response.headers.get("Location", "") if error.response is not None else ""
        raise PermissionError(
            f"{where} redirects to {plain(to) or 'another address'}; redirects are not followed: "
            "add the destination with the address it really has"
        ) from None
    if isinstance(error, requests.exceptions.SSLError):
        raise tls.explain(_ssl_error_in(error), where) from None
    if isinstance(error, requests.Timeout):
        raise ConnectionError(f"{where} stayed silent for {destination.timeout_s:g} s") from None
    if isinstance(error, requests.ConnectionError):
        dropped = "reset" in str(error) or "RemoteDisconnected" in str(error)
        in_clear = where.startswith("http:") and dropped
        hint = "; if this port expects TLS, add the destination with https" if in_clear else ""
        raise ConnectionError(f"no connection to {where}: {_root(error)}{hint}") from None
    if isinstance(
        error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    ):
        raise ConnectionError(f"{where} broke its answer off: {plain(_root(error))}") from None
    raise PermissionError(f"{where} cannot be asked: {plain(error)}") from None


def _for_status(response: requests.Response, destination: Destination) -> OSError:
    code, words = response.status_code, words_of(response)
    text = f"{destination.url} answers HTTP {code} {plain(response.reason)} {words}".strip()
    if code == 401:
        return PermissionError(f"{text}: user, password or token are not accepted")
    if code == 403:
        return PermissionError(f"{text}: this user may not do that")
    if code in (404, 405):
        return PermissionError(f"{text}: is the address the root of the DICOMweb service?")
    if code in (408, 425, 429) or code >= 500:
        return ConnectionError(text)
    return PermissionError(text)


def _root(error: BaseException) -> str:
    """The operating system's words at the bottom of urllib3's wrapping."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    while isinstance(reason, Exception) and reason.args and isinstance(reason.args[-1], Exception):
        reason = reason.args[-1]
    return str(reason).split(": ", 1)[-1]


def _ssl_error_in(error: BaseException) -> ssl.SSLError:
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    inner = reason.args[0] if isinstance(reason, PoolSSLError) and reason.args else reason
    return inner if isinstance(inner, ssl.SSLError) else ssl.SSLError(str(error))
