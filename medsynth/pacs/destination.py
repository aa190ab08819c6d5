"""One place that objects may be sent to: a DICOM application entity or a DICOMweb service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from medsynth.errors import check_one_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")
VERIFY = ("auto", "commitment", "query", "retrieve")
AUTHENTICATION = ("none", "basic", "bearer")


@dataclass(frozen=True)
class Destination:
    """An address the user has added, with everything but secrets.

    Give `host`, `port` and `called_aet` for DIMSE (C-STORE), or `url` for DICOMweb (STOW-RS).
    `timeout_s` bounds every wait for an answer, `connect_s` the making of a connection.
    `listen_port` is our own port, where storage commitment reports and C-MOVE objects arrive;
    0 means that nothing listens. It is open at `listen_host`, by default the one address of ours that
    the destination sees. `settle_s` is how long the archive may take to show what it has
    stored. Passwords and tokens are never part of this record.
    """

    name: str
    host: str = ""
    port: int = 0
    called_aet: str = ""
    calling_aet: str = "MEDSYNTH"
    url: str = ""
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    auth: str = "none"
    user: str = ""
    associations: int = 4
    verify: str = "auto"
    listen_port: int = 0
    listen_host: str = ""
    timeout_s: float = 60.0
    connect_s: float = 10.0
    settle_s: float = 8.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", self.name):
            raise ValueError(
                f"a destination's name is 1 to 32 letters, digits and underscores beginning with "
                f"a letter, got {self.name!r}"
            )
        _check_numbers(self)
        _check_tls_files(self)
        if self.url:
            _check_dicomweb(self)
        else:
            _check_dimse(self)

    @property
    def is_dicomweb(self) -> bool:
        return bool(self.url)

    @property
    def address(self) -> str:
        """What identifies the far end: `AET@host:port` or the URL."""
        return self.url or f"{self.called_aet}@{self.host}:{self.port}"

    @property
    def is_encrypted(self) -> bool:
        return self.url.startswith("https:") if self.url else self.tls

    def describe(self) -> str:
        """One line for people: where it goes and how it is protected."""
        safe = "TLS" if self.is_encrypted else "NOT encrypted"
        if self.is_dicomweb:
            how = {"none": "no credentials", "basic": f"user {self.user}", "bearer": "a token"}
            return f"DICOMweb {self.url} ({safe}; {how[self.auth]})"
        return f"DICOM {self.called_aet} at {self.host}:{self.port} ({safe}; we are {self.calling_aet})"


def _check_numbers(destination: Destination) -> None:
    check_one_of("verify", destination.verify, VERIFY)
    if not 1 <= destination.associations <= 32:
        raise ValueError(f"associations must be 1 to 32, got {destination.associations}")
    if not 0 <= destination.listen_port <= 65535:
        raise ValueError(f"listen port must be 1 to 65535, got {destination.listen_port}")
    if destination.timeout_s <= 0 or destination.connect_s <= 0 or destination.settle_s < 0:
        raise ValueError(
            f"timeouts must be above 0 s, got {destination.timeout_s}, {destination.connect_s}, "
            f"{destination.settle_s}"
        )


def _check_tls_files(destination: Destination) -> None:
    if bool(destination.cert_file) != bool(destination.key_file):
        raise ValueError("a client certificate needs its key: give both --cert and --key")
    encrypted = destination.tls or destination.url.startswith("https:")
    if (destination.ca_file or destination.cert_file) and not encrypted:
        raise ValueError(
            "certificates act only on an encrypted connection: add --tls or an https address"
        )


def _check_dimse(destination: Destination) -> None:
    if not destination.host:
        raise ValueError("give either --host, --port and --aet (DICOM) or --url (DICOMweb)")
    if not 1 <= destination.port <= 65535:
        raise ValueError(f"port must be 1 to 65535, got {destination.port}; PACS often use 104")
    for label, title in (("called", destination.called_aet), ("calling", destination.calling_aet)):
        # PS3.5 table 6.2-1, AE: at most 16 characters, no backslash, no control characters.
        if not re.fullmatch(r"[ -\[\]-~]{1,16}", title) or not title.strip():
            raise ValueError(f"the {label} AE title must be 1 to 16 characters, got {title!r}")
    if destination.auth != "none":
        raise ValueError("passwords and tokens are for DICOMweb; DICOM uses AE titles and TLS")
    if destination.verify == "commitment" and not destination.listen_port:
        raise ValueError("storage commitment reports arrive on a port of ours: add --listen-port")
    if destination.listen_host and not destination.listen_port:
        raise ValueError("--listen-host is where --listen-port is open: give both")
    if destination.listen_port and destination.tls and not destination.cert_file:
        raise ValueError("listening with TLS needs a certificate of our own: add --cert and --key")


def _check_dicomweb(destination: Destination) -> None:
    parts = urlsplit(destination.url)
    if destination.host or destination.port or destination.called_aet:
        raise ValueError("give either --host, --port and --aet or --url, not both")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the address must begin with https:// or http://, got {parts.scheme!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "the address must not hold a user, password or query; use --auth basic --user NAME and "
            "keep the password in the environment or a keyring"
        )
    check_one_of("auth", destination.auth, AUTHENTICATION)
    if (destination.auth == "basic") != bool(destination.user):
        raise ValueError("basic authentication needs --user, and only basic takes one")
    if destination.auth != "none" and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("credentials would travel in clear text: use an https address")
    if destination.verify == "commitment" or destination.listen_port or destination.listen_host:
        raise ValueError("storage commitment and listening ports are for DICOM, not DICOMweb")
    if destination.tls:
        raise ValueError("DICOMweb is encrypted by an https address; leave --tls out")
