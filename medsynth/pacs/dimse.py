"""C-STORE, C-FIND and C-ECHO: the DICOM way to a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind

from medsynth.pacs import commitment
from medsynth.pacs.association import EXPLICIT, IMPLICIT, Context, accepted_syntaxes, associate
from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse_status import FAILED, Answer, judge
from medsynth.pacs.extra import load
from medsynth.pacs.text import plain, uid_of, value_of

UIDS_PER_QUERY = 50
PENDING = (0xFF00, 0xFF01)


class DimseLink:
    """How a destination is reached by DICOM associations."""

    batch_count, batch_bytes = 1, 0

    def __init__(self, destination: Destination):
        self.destination = destination

    @contextmanager
    def open(self, instances: Sequence[Instance]) -> Iterator[DimseChannel]:
        """One association that carries objects like these."""
        with associate(self.destination, _storage_contexts(instances)) as association:
            yield DimseChannel(association, self.destination)

    def check(self) -> str:
        """C-ECHO; what answered, in words."""
        with associate(self.destination, [(StudyRootFind, [EXPLICIT, IMPLICIT])]) as association:
            status = association.send_c_echo()
            if not status:
                raise ConnectionError(f"{self.destination.address} did not answer the C-ECHO")
            if status.Status != 0x0000:
                raise PermissionError(f"C-ECHO was answered with 0x{status.Status:04X}")
            can_query = bool(accepted_syntaxes(association, StudyRootFind))
        return "C-ECHO answered; " + (
            "C-FIND is offered, so what is sent can be verified"
            if can_query
            else "C-FIND is NOT offered, so what is sent can be verified by storage commitment only"
        )

    def held(self, instances: Sequence[Instance]) -> tuple[set[str], str]:
        """Which of these UIDs the server has, and by which service it said so.

        Raises:
            LookupError: the server offers no way to ask.
        """
        choice = self.destination.verify
        if choice == "retrieve":
            return load("read_back").equal_uids(self.destination, instances), "retrieval"
        if choice == "commitment" or (choice == "auto" and self.destination.listen_port):
            try:
                return commitment.commit(self.destination, instances), "storage commitment"
            except LookupError:
                if choice == "commitment":
                    raise
        return self._find(instances), "C-FIND"

    def _find(self, instances: Sequence[Instance]) -> set[str]:
        with associate(self.destination, [(StudyRootFind, [EXPLICIT, IMPLICIT])]) as association:
            if not accepted_syntaxes(association, StudyRootFind):
                raise LookupError(
                    f"{self.destination.name} offers neither storage commitment nor C-FIND: "
                    "nothing proves that it kept the objects"
                )
            found: set[str] = set()
            for study, series in sorted({(i.study, i.series) for i in instances}):
                found |= find_uids(association, study, series)
            # Servers cut long answers off: ask for the missing ones by name.
            missing = [i for i in instances if i.uid not in found]
            for study, series in sorted({(i.study, i.series) for i in missing}):
                uids = [i.uid for i in missing if i.series == series]
                for start in range(0, len(uids), UIDS_PER_QUERY):
                    some = uids[start : start + UIDS_PER_QUERY]
                    found |= find_uids(association, study, series, uids=some)
        return found & {i.uid for i in instances}


class DimseChannel:
    """An association on which objects are stored one after the other."""

    def __init__(self, association: Association, destination: Destination):
        self.association, self.destination = association, destination

    def send(self, batch: Sequence[tuple[Instance, Path]]) -> list[Answer]:
        """C-STORE each; the files are on the wire as they lie on the disk.

        Raises:
            ConnectionError: no answer came; the object may or may not be there.
        """
        return [self._store(instance, path) for instance, path in batch]

    def _store(self, instance: Instance, path: Path) -> Answer:
        syntaxes = accepted_syntaxes(self.association, instance.sop_class)
        if instance.transfer_syntax in syntaxes:
            source: Path | Dataset = path
        elif IMPLICIT in syntaxes and instance.transfer_syntax == EXPLICIT:
            source = dcmread(path)  # pynetdicom encodes it anew as implicit VR
        else:
            return Answer(instance.uid, FAILED, "0x0122", _refused(instance, syntaxes))
        try:
            status = self.association.send_c_store(source)
        except OSError:  # our own copy cannot be read
            raise
        except RuntimeError as error:  # the association died since the last answer
            raise ConnectionError(f"the association ended: {error}") from error
        except Exception as error:  # noqa: BLE001 - no context after all, or it cannot be encoded
            return Answer(instance.uid, FAILED, "", f"it cannot be sent: {plain(error)}")
        if "Status" not in status:
            raise ConnectionError(
                "the server broke off or stayed silent; whether it stored the object is unknown"
            )
        return judge(instance.uid, status.Status, comment=value_of(status, "ErrorComment"))


def _refused(instance: Instance, syntaxes: list[str]) -> str:
    name = UID(instance.sop_class).name
    if not syntaxes:
        return f"the server does not take {name}: presentation context rejected"
    return f"the server does not take {name} as {UID(instance.transfer_syntax).name}"


def _storage_contexts(instances: Sequence[Instance]) -> list[Context]:
    """One context per class and syntax, so that files can go out without re-encoding."""
    wanted = {(i.sop_class, i.transfer_syntax) for i in instances}
    wanted |= {(sop_class, IMPLICIT) for sop_class, syntax in wanted if syntax == EXPLICIT}
    return [(sop_class, [syntax]) for sop_class, syntax in sorted(wanted)]


def find_uids(
    association: Association, study: str, series: str, *, uids: Sequence[str] = ()
) -> set[str]:
    """C-FIND at IMAGE level: the SOP Instance UIDs of a series, or those of `uids` in it."""
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID = study, series
    query.SOPInstanceUID = list(uids) if uids else ""
    return {uid_of(match, "SOPInstanceUID") for match in find(association, query)} - {""}


def find(association: Association, query: Dataset) -> list[Dataset]:
    """All matches of a study root C-FIND. Raises ConnectionError or PermissionError."""
    matches = []
    try:
        for status, match in association.send_c_find(query, StudyRootFind):
            if not status:
                raise ConnectionError("the server broke off or stayed silent during a C-FIND")
            if status.Status in PENDING:
                if match is None:
                    raise PermissionError("C-FIND was answered with what cannot be decoded")
                matches.append(match)
            elif status.Status != 0x0000:
                answer = judge("", status.Status, comment=value_of(status, "ErrorComment"))
                kind = ConnectionError if answer.verdict == "retry" else PermissionError
                raise kind(f"C-FIND was answered with {answer.status} {answer.note}")
    except RuntimeError as error:
        raise ConnectionError(f"the association ended: {error}") from error
    return matches
