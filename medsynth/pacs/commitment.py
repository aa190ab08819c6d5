"""Storage commitment: the server takes responsibility for objects, in writing (PS3.4 annex J)."""

from __future__ import annotations

import queue
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from medsynth.pacs.association import EXPLICIT, IMPLICIT, accepted_syntaxes, associate
from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination
from medsynth.pacs.listening import listening
from medsynth.pacs.text import items_of, uid_of

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
        if uid_of(report, "TransactionUID") == transaction:
            # Only what is named as kept counts; FailedSOPSequence names the rest.
            kept = items_of(report, "ReferencedSOPSequence")
            return {uid_of(item, "ReferencedSOPInstanceUID") for item in kept} - {""}


def _reference(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class
    item.ReferencedSOPInstanceUID = instance.uid
    return item


def _receive(event: evt.Event, reports: queue.Queue[Dataset]) -> tuple[int, None]:
    reports.put(event.event_information)
    return 0x0000, None
