"""Storage commitment: the server takes responsibility for objects, in writing (PS3.4 annex J)."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from medsynth.pacs import tls
from medsynth.pacs.association import (
    EXPLICIT,
    IMPLICIT,
    PROMPT,
    Context,
    accepted_syntaxes,
    associate,
)
from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination

INSTANCES_PER_TRANSACTION = 1000


def commit(destination: Destination, instances: Sequence[Instance]) -> set[str]:
    """The UIDs that the server commits itself to keep.

    Raises:
        LookupError: the server does not offer storage commitment, or does not report in time.
    """
    committed: set[str] = set()
    for start in range(0, len(instances), INSTANCES_PER_TRANSACTION):
        some = instances[start : start + INSTANCES_PER_TRANSACTION]
        committed |= _transact(destination, some)
    return committed


def _transact(destination: Destination, instances: Sequence[Instance]) -> set[str]:
    request = Dataset()
    request.TransactionUID = generate_uid(prefix=None)
    request.ReferencedSOPSequence = [_reference(instance) for instance in instances]
    reports: queue.Queue[Dataset] = queue.Queue()
    handlers = [(evt.EVT_N_EVENT_REPORT, _receive, [reports])]
    contexts = [(StorageCommitmentPushModel, [EXPLICIT, IMPLICIT])]
    with (
        listening(destination, handlers),
        associate(destination, contexts, handlers=handlers) as association,
    ):
        if not accepted_syntaxes(association, StorageCommitmentPushModel):
            raise LookupError(f"{destination.name} does not offer storage commitment")
        status, _ = association.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if not status:
            raise ConnectionError("the server did not answer the storage commitment request")
        if status.Status != 0x0000:
            raise LookupError(f"storage commitment was answered with 0x{status.Status:04X}")
        return _await(reports, request.TransactionUID, destination)


def _await(reports: queue.Queue[Dataset], transaction: str, destination: Destination) -> set[str]:
    """Reports of other transactions (a replay, another client's) are not for us."""
    while True:
        try:
            report = reports.get(timeout=destination.timeout_s)
        except queue.Empty:
            raise LookupError(
                f"{destination.name} took the storage commitment request and did not report within "
                f"{destination.timeout_s:g} s; does it know our AE title {destination.calling_aet} "
                f"at port {destination.listen_port}?"
            ) from None
        if report.get("TransactionUID") == transaction:
            # Only what is named as kept counts; FailedSOPSequence names the rest.
            kept = report.get("ReferencedSOPSequence") or []
            return {str(item.ReferencedSOPInstanceUID) for item in kept}


def _reference(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class
    item.ReferencedSOPInstanceUID = instance.uid
    return item


def _receive(event: evt.Event, reports: queue.Queue[Dataset]) -> tuple[int, None]:
    reports.put(event.event_information)
    return 0x0000, None


@contextlib.contextmanager
def listening(
    destination: Destination, handlers: list, *, storage: Sequence[Context] = ()
) -> Iterator[None]:
    """Our port is open to the destination's AE title, encrypted when the destination is."""
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
    server = entity.start_server(
        ("", destination.listen_port),
        block=False,
        evt_handlers=[*PROMPT, *handlers],
        ssl_context=context,
    )
    try:
        yield
    finally:
        server.shutdown()
