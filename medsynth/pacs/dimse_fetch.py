"""C-FIND, C-GET and C-MOVE: a series comes by DICOM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pydicom import Dataset
from pynetdicom import build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyRootGet
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as StudyRootMove

from medsynth.pacs.association import EXPLICIT, IMPLICIT, accepted_syntaxes, associate
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse import PENDING, find
from medsynth.pacs.dimse_status import judge
from medsynth.pacs.fetch import Incoming, Series
from medsynth.pacs.listening import listening
from medsynth.pacs.text import uid_of, value_of

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from medsynth.pacs.read_back import Comparison

# As the archive holds them: lossless JPEG (57, 70), JPEG-LS, JPEG 2000 and RLE are read later on.
SYNTAXES = (
    EXPLICIT,
    IMPLICIT,
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)
# For archives that do not say which classes a series holds.
USUAL_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.66.4",
)


def search(destination: Destination, *, patient: str, study: str) -> list[Series]:
    """Two levels, as PS3.4 C.4.1.2 wants it of a hierarchical query: studies, then series."""
    with _query(destination) as association:
        wanted = _identifier("STUDY", PatientID=patient, StudyInstanceUID=study, StudyDate="")
        found = []
        for match in find(association, wanted):
            study_uid = _named(match, "StudyInstanceUID", destination)
            below = _identifier(
                "SERIES",
                StudyInstanceUID=study_uid,
                SeriesInstanceUID="",
                Modality="",
                SeriesDescription="",
                NumberOfSeriesRelatedInstances="",
            )
            found += [
                Series(
                    study=study_uid,
                    series=_named(series, "SeriesInstanceUID", destination),
                    modality=value_of(series, "Modality"),
                    description=value_of(series, "SeriesDescription"),
                    study_date=value_of(match, "StudyDate"),
                    count=value_of(series, "NumberOfSeriesRelatedInstances"),
                )
                for series in find(association, below)
            ]
    return found


def classes_of(destination: Destination, series: Series) -> dict[str, str]:
    """SOP class by SOP Instance UID, of every object in the series."""
    with _query(destination) as association:
        wanted = _identifier(
            "IMAGE",
            StudyInstanceUID=series.study,
            SeriesInstanceUID=series.series,
            SOPInstanceUID="",
            SOPClassUID="",
        )
        return {
            _named(match, "SOPInstanceUID", destination): uid_of(match, "SOPClassUID")
            for match in find(association, wanted)
        }


def retrieve(
    destination: Destination,
    series: Series,
    incoming: Incoming | Comparison,
    *,
    classes: Iterable[str],
    method: str = "auto",
    syntaxes: Sequence[str] = SYNTAXES,
) -> None:
    """C-GET, or C-MOVE to our own port where the server does not offer C-GET."""
    known = sorted(set(classes) - {""}) or list(USUAL_CLASSES)
    if method == "move" and not destination.listen_port:
        raise ValueError(
            "C-MOVE needs a port of ours that the PACS knows: add the destination with --listen-port"
        )
    if method != "move" and _get(destination, series, incoming, known, syntaxes):
        return
    if method == "get" or not destination.listen_port:
        raise PermissionError(
            f"{destination.name} does not offer C-GET; for C-MOVE add the destination with "
            "--listen-port and let the PACS know that port of ours"
        )
    _move(destination, series, incoming, known, syntaxes)


def _get(
    destination: Destination,
    series: Series,
    incoming: Incoming | Comparison,
    classes: Sequence[str],
    syntaxes: Sequence[str],
) -> bool:
    """False when the server does not offer C-GET."""
    # One context per class and syntax: the server then sends each object as it holds it. PS3.8
    # 9.3.2 allows 128 contexts.
    room = 126 // len(classes)
    contexts = [(c, [syntax]) for c in classes for syntax in syntaxes[:room]]
    contexts.append((StudyRootGet, [EXPLICIT, IMPLICIT]))
    roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
    handlers = [(evt.EVT_C_STORE, _store, [incoming])]
    with associate(destination, contexts, roles=roles, handlers=handlers) as association:
        if not accepted_syntaxes(association, StudyRootGet):
            return False
        _follow(association.send_c_get(_level(series), StudyRootGet), "C-GET", incoming)
    return True


def _move(
    destination: Destination,
    series: Series,
    incoming: Incoming | Comparison,
    classes: Sequence[str],
    syntaxes: Sequence[str],
) -> None:
    handlers = [(evt.EVT_C_STORE, _store, [incoming])]
    contexts = [(StudyRootMove, [EXPLICIT, IMPLICIT])]
    with (
        listening(destination, handlers, storage=[(c, list(syntaxes)) for c in classes]),
        associate(destination, contexts) as association,
    ):
        if not accepted_syntaxes(association, StudyRootMove):
            raise PermissionError(f"{destination.name} offers neither C-GET nor C-MOVE")
        moving = association.send_c_move(_level(series), destination.calling_aet, StudyRootMove)
        _follow(moving, "C-MOVE", incoming)


def _follow(
    responses: Iterable[tuple[Dataset, object]], name: str, incoming: Incoming | Comparison
) -> None:
    try:
        for status, _ in responses:
            if not status:
                raise ConnectionError(f"the server broke off or stayed silent during a {name}")
            # 0xB000: sub-operations failed; what is missing is counted at the end.
            if status.Status not in (*PENDING, 0x0000, 0xB000):
                if incoming.error is not None:
                    raise incoming.error
                answer = judge("", status.Status, comment=value_of(status, "ErrorComment"))
                raise PermissionError(
                    f"{name} was answered with {answer.status} {answer.note}; for C-MOVE the PACS "
                    "must know our AE title, host and port"
                )
    except RuntimeError as error:
        raise ConnectionError(f"the association ended: {error}") from error


def _store(event: Any, incoming: Incoming | Comparison) -> int:
    try:
        incoming.keep(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
    except KeyError:
        return 0x0124  # not authorized: nobody asked for this object
    except OSError:
        return 0xA700
    return 0x0000


def _named(match: Dataset, keyword: str, destination: Destination) -> str:
    """The UID of a match. Raises PermissionError when it has none that can be asked for."""
    uid = uid_of(match, keyword)
    if not uid:
        raise PermissionError(
            f"{destination.name} answers a C-FIND without a valid {keyword} "
            f"({value_of(match, keyword)!r}); its administrator must mend its entry"
        )
    return uid


def _query(destination: Destination) -> AbstractContextManager[Association]:
    return associate(destination, [(StudyRootFind, [EXPLICIT, IMPLICIT])])


def _level(series: Series) -> Dataset:
    return _identifier("SERIES", StudyInstanceUID=series.study, SeriesInstanceUID=series.series)


def _identifier(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier
