"""Encrypted connections: the peer and its host name are always verified."""

from __future__ import annotations

import socket
import ssl

from medsynth.pacs.destination import Destination


def _refuse_passphrase() -> str:
    raise ValueError("the key is encrypted")


def client_context(destination: Destination) -> ssl.SSLContext:
    """For connections that we open. Raises PermissionError when a certificate file is no good.

    Trusts the CA file of the destination, else the system's authorities.
    """
    try:
        context = ssl.create_default_context(cafile=destination.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise PermissionError(f"CA file {destination.ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_own_certificate(context, destination)
    return context


def server_context(destination: Destination) -> ssl.SSLContext:
    """For the port where the destination's reports and objects arrive: it must show who it is."""
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=destination.ca_file or None
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    _load_own_certificate(context, destination)
    return context


def _load_own_certificate(context: ssl.SSLContext, destination: Destination) -> None:
    if not destination.cert_file:
        return
    try:
        # Without a password function OpenSSL would ask on the terminal.
        context.load_cert_chain(
            destination.cert_file, destination.key_file, password=_refuse_passphrase
        )
    except ValueError as error:
        raise PermissionError(
            f"{destination.key_file}: {error}; give one without a passphrase that only you can read"
        ) from error
    except (OSError, ssl.SSLError) as error:
        raise PermissionError(
            f"certificate {destination.cert_file} with key {destination.key_file}: {error}"
        ) from error


def probe(destination: Destination) -> None:
    """Connect to a DIMSE destination as far as TCP and TLS go, to learn why it fails.

    Raises:
        ConnectionError: no connection now; it may come back.
        PermissionError: the encryption cannot work until somebody changes something.
    """
    where = f"{destination.host}:{destination.port}"
    try:
        plain = socket.create_connection(
            (destination.host, destination.port), timeout=destination.connect_s
        )
    except OSError as error:
        raise ConnectionError(f"no connection to {where}: {error}") from error
    with plain:
        if destination.tls:
            _probe_tls(plain, destination, where)


def _probe_tls(plain: socket.socket, destination: Destination, where: str) -> None:
    context = client_context(destination)
    try:
        with context.wrap_socket(plain, server_hostname=destination.host) as encrypted:
            # TLS 1.3: a server that misses our certificate says so after the handshake, when we
            # first read. One that is content waits for us to speak.
            encrypted.settimeout(1.0)
            encrypted.recv(1)
    except TimeoutError:
        return
    except ssl.SSLError as error:
        raise explain(error, where) from error
    except OSError as error:
        raise ConnectionError(
            f"{where} broke the TLS handshake off: {error}; is it a plain port?"
        ) from error


def explain(error: ssl.SSLError, where: str) -> OSError:
    """A TLS failure as what the user can do about it."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        if "mismatch" in reason:
            cure = "use the host name that the certificate names"
        else:
            cure = "give the certificate of its authority with --ca"
        return PermissionError(f"the certificate of {where} is not accepted: {reason}; {cure}")
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text or "BAD_CERT" in text:
        return PermissionError(
            f"{where} wants a certificate of ours that it trusts: give --cert and --key ({text})"
        )
    if "UNKNOWN_CA" in text or "ALERT" in text:
        return PermissionError(f"{where} refuses our certificate: {text}")
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionError(
            f"{where} closed the connection in the TLS handshake; is it a plain port, or does it "
            "refuse our certificate?"
        )
    return PermissionError(
        f"{where} does not answer in TLS ({text}): is it a plain port? Nothing was sent in clear"
    )
