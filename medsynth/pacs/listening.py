"""Our own port, where storage commitment reports and the objects of a C-MOVE arrive."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from medsynth.pacs import tls
from medsynth.pacs.association import PROMPT, Context
from medsynth.pacs.destination import Destination


@contextlib.contextmanager
def listening(
    destination: Destination, handlers: list, *, storage: Sequence[Context] = ()
) -> Iterator[None]:
    """Our port is open to the destination's AE title, encrypted when the destination is.

    Raises:
        ConnectionError: the port is taken, or the destination has no address.
        PermissionError: this machine has no such address, or the port is not for this user.
    """
    if not destination.listen_port:
        yield
        return
    entity = AE(ae_title=destination.calling_aet)
    entity.require_called_aet = True
    entity.require_calling_aet = [destination.called_aet]
    entity.acse_timeout = entity.dimse_timeout = destination.timeout_s
    entity.network_timeout = destination.timeout_s
    entity.add_supported_context(Verification)
    # PS3.4 J.3.3: who reports is the SCP of the class, although it opens the association.
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    for sop_class, syntaxes in storage:
        entity.add_supported_context(sop_class, syntaxes)
    context = tls.server_context(destination) if destination.tls else None
    address = own_address(destination)
    try:
        server = entity.start_server(
            (address, destination.listen_port),
            block=False,
            evt_handlers=[*PROMPT, *handlers],
            ssl_context=context,
        )
    except OSError as error:
        raise _cannot_listen(address, destination, error) from error
    try:
        yield
    finally:
        if server is not None:  # None is for block=True
            server.shutdown()


def own_address(destination: Destination) -> str:
    """The address of ours that the destination sees, so that other networks cannot reach the port."""
    if destination.listen_host:
        return destination.listen_host
    where = (destination.host, destination.port)
    try:
        found = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)
        # A name may have both kinds of address, and many a PACS calls back by IPv4 only.
        family, kind, protocol, _, address = min(found, key=lambda f: f[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # UDP: nothing is sent, the system chooses the route
            return probe.getsockname()[0]
    except OSError as error:
        raise ConnectionError(f"no way to {destination.host}: {error}") from error


def _cannot_listen(address: str, destination: Destination, error: OSError) -> OSError:
    where = f"cannot listen at {address}:{destination.listen_port}: {error.strerror or error}"
    cure = "add the destination with another --listen-port or --listen-host"
    if isinstance(error, PermissionError) or address == destination.listen_host:
        return PermissionError(f"{where}; {cure}")
    return ConnectionError(f"{where}; end what uses the port, or {cure}")
