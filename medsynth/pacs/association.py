"""Opens DICOM associations with every timeout set, and says why one cannot be opened."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, _config, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import Verification

from medsynth.pacs import tls
from medsynth.pacs.destination import Destination
from medsynth.pacs.event_loop import ReaderGate

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation

# A file goes out in pieces as it lies on the disk, never decoded: memory stays flat.
_config.STORE_SEND_CHUNKED_DATASET = True

Context = tuple[str, list[str]]
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@contextlib.contextmanager
def associate(
    destination: Destination,
    contexts: Iterable[Context],
    *,
    roles: Iterable[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Iterable[Any] = (),
) -> Iterator[Association]:
    """An established association, released at the end (aborted after an exception).

    Raises:
        ConnectionError: not now (no server, association limit, abort); trying again may help.
        PermissionError: never until somebody changes something (AE titles, TLS).
    """
    entity = AE(ae_title=destination.calling_aet)
    entity.connection_timeout = destination.connect_s
    entity.acse_timeout = entity.dimse_timeout = destination.timeout_s
    # The server may think for as long as an answer may take; silence beyond that is a dead peer.
    entity.network_timeout = destination.timeout_s + destination.connect_s
    for sop_class, syntaxes in contexts:
        entity.add_requested_context(sop_class, syntaxes)
    entity.add_requested_context(Verification)
    tls_args = (tls.client_context(destination), destination.host) if destination.tls else None
    rejections: list[A_ASSOCIATE] = []
    association = entity.associate(
        destination.host,
        destination.port,
        ae_title=destination.called_aet,
        ext_neg=list(roles),
        tls_args=tls_args,
        max_pdu=0,
        evt_handlers=[*PROMPT, (evt.EVT_PDU_RECV, _keep_rejection, [rejections]), *handlers],
    )
    if not association.is_established:
        raise _why(rejections, destination)
    association._reactor_checkpoint = ReaderGate()
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def _no_delay(event: evt.Event) -> None:
    """Nagle's algorithm holds the last piece of an object until the server has acknowledged."""
    _set_option(event, socket.TCP_NODELAY)


def _ack_at_once(event: evt.Event) -> None:
    """A server with Nagle's algorithm waits for our delayed acknowledgement, 40 ms per object.

    Linux forgets the option, so it is set again for each message. Measured with Orthanc: 11 objects
    of 8 KiB a second without, 290 with.
    """
    if option := getattr(socket, "TCP_QUICKACK", None):
        _set_option(event, option)


def _set_option(event: evt.Event, option: int) -> None:
    wrapper = event.assoc.dul.socket
    if wrapper is not None and wrapper.socket is not None:
        with contextlib.suppress(OSError):  # it is closing
            wrapper.socket.setsockopt(socket.IPPROTO_TCP, option, 1)


# Handlers that keep a connection of small messages from waiting for TCP's timers.
PROMPT = (
    (evt.EVT_CONN_OPEN, _no_delay),
    (evt.EVT_PDU_SENT, _ack_at_once),
    (evt.EVT_PDU_RECV, _ack_at_once),
)


def _keep_rejection(event: evt.Event, rejections: list[A_ASSOCIATE]) -> None:
    """A server that rejects and hangs up at once is faster than a busy machine: pynetdicom then finds
    the socket closed, never reads the rejection that it has received, and calls it an abort.
    """
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu.to_primitive())


def _why(rejections: list[A_ASSOCIATE], destination: Destination) -> OSError:
    where = f"{destination.called_aet} at {destination.host}:{destination.port}"
    if rejections:
        answer = rejections[0]
        reason = f"{where} rejects the association: {answer.reason_str} ({answer.result_str})"
        if answer.result == 0x02:  # PS3.8 table 9-21: rejected-transient
            return ConnectionError(reason)
        return PermissionError(
            f"{reason}; we call ourselves {destination.calling_aet}: both AE titles must be as the "
            "PACS knows them"
        )
    try:
        tls.probe(destination)
    except OSError as error:
        return error
    hint = "" if destination.tls else "; if this port expects TLS, add the destination with --tls"
    return ConnectionError(f"{where} ended the association before accepting it{hint}")


def accepted_syntaxes(association: Association, sop_class: str) -> list[str]:
    """The transfer syntaxes in which the peer takes objects of that class."""
    return [
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == sop_class
    ]
