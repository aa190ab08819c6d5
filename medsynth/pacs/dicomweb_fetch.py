"""QIDO-RS and WADO-RS: a series comes by the web."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests
from pydicom import Dataset, dcmwrite

from medsynth.pacs.destination import Destination
from medsynth.pacs.dicomweb import series_uids
from medsynth.pacs.fetch import Incoming, Series
from medsynth.pacs.web_session import ask, client_for, matches_of, uid_in, value_in

if TYPE_CHECKING:
    from medsynth.pacs.read_back import Comparison

FIELDS = ["Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances"]


def search(destination: Destination, *, patient: str, study: str) -> list[Series]:
    """Studies by patient or UID, then their series."""
    client = client_for(destination)
    filters = {"PatientID": patient, "StudyInstanceUID": study}
    wanted = {key: value for key, value in filters.items() if value}
    found = []
    for match in _asked(destination, client.search_for_studies, search_filters=wanted):
        study_uid = uid_in(destination, match, "0020000D")
        found += [
            Series(
                study=study_uid,
                series=uid_in(destination, series, "0020000E"),
                modality=value_in(series, "00080060"),
                description=value_in(series, "0008103E"),
                study_date=value_in(match, "00080020"),
                count=value_in(series, "00201209"),
            )
            for series in _asked(destination, client.search_for_series, study_uid, fields=FIELDS)
        ]
    return found


def _asked(
    destination: Destination, method: Callable[..., Any], *args: Any, **options: Any
) -> list[dict[str, Any]]:
    return matches_of(destination, ask(destination, method, *args, **options))


def classes_of(destination: Destination, series: Series) -> dict[str, str]:
    """The SOP Instance UIDs that must arrive; their classes need not be known here."""
    uids = series_uids(client_for(destination), destination, series.study, series.series)
    return dict.fromkeys(uids, "")


def retrieve(
    destination: Destination,
    series: Series,
    incoming: Incoming | Comparison,
    *,
    classes: Iterable[str] = (),
    syntaxes: Sequence[str] = ("*",),
) -> None:
    """WADO-RS, streamed: one object at a time is in memory. `*`: as the archive holds it."""
    for uid, content in _objects(destination, series, syntaxes):
        with contextlib.suppress(KeyError):  # nobody asked for this object
            incoming.keep(uid, content)


def _objects(
    destination: Destination, series: Series, syntaxes: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """UID and file of every object that comes.

    Raises:
        ConnectionError, PermissionError: nothing comes, or what comes cannot be read.
    """
    client = client_for(destination)
    wanted = tuple(("application/dicom", syntax) for syntax in syntaxes)

    def start() -> Iterator[Dataset]:
        try:
            return iter(client.iter_series(series.study, series.series, media_types=wanted))
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != 404:
                raise
            return iter(())  # the series is not there, so nothing comes

    def encoded() -> tuple[str, bytes] | None:
        dataset = next(coming, None)
        if dataset is None:
            return None
        buffer = BytesIO()
        dcmwrite(buffer, dataset)
        return str(dataset.SOPInstanceUID), buffer.getvalue()

    coming = ask(destination, start)
    while part := ask(destination, encoded):
        yield part
