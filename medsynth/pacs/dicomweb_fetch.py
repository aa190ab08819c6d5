"""QIDO-RS and WADO-RS: a series comes by the web."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests
from pydicom import dcmwrite

from medsynth.pacs.destination import Destination
from medsynth.pacs.dicomweb import series_uids
from medsynth.pacs.fetch import Incoming, Series
from medsynth.pacs.web_session import client_for, raise_for

if TYPE_CHECKING:
    from medsynth.pacs.read_back import Comparison

FIELDS = ["Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances"]


def search(destination: Destination, *, patient: str, study: str) -> list[Series]:
    """Studies by patient or UID, then their series."""
    client = client_for(destination)
    filters = {"PatientID": patient, "StudyInstanceUID": study}
    found = []
    try:
        studies = client.search_for_studies(
            search_filters={key: value for key, value in filters.items() if value}
        )
        for match in studies:
            study_uid = _value(match, "0020000D")
            found += [
                Series(
                    study=study_uid,
                    series=_value(series, "0020000E"),
                    modality=_value(series, "00080060"),
                    description=_value(series, "0008103E"),
                    study_date=_value(match, "00080020"),
                    count=_value(series, "00201209"),
                )
                for series in client.search_for_series(study_uid, fields=FIELDS)
            ]
    except requests.RequestException as error:
        raise_for(error, destination)
    return found


def classes_of(destination: Destination, series: Series) -> dict[str, str]:
    """The SOP Instance UIDs that must arrive; their classes need not be known here."""
    try:
        uids = series_uids(client_for(destination), series.study, series.series)
        return dict.fromkeys(uids, "")
    except requests.RequestException as error:
        raise_for(error, destination)


def retrieve(
    destination: Destination,
    series: Series,
    incoming: Incoming | Comparison,
    *,
    classes: Iterable[str] = (),
    syntaxes: Sequence[str] = ("*",),
) -> None:
    """WADO-RS, streamed: one object at a time is in memory. `*`: as the archive holds it."""
    client = client_for(destination)
    wanted = tuple(("application/dicom", syntax) for syntax in syntaxes)
    try:
        for dataset in client.iter_series(series.study, series.series, media_types=wanted):
            buffer = BytesIO()
            dcmwrite(buffer, dataset)
            incoming.keep(str(dataset.SOPInstanceUID), buffer.getvalue())
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != 404:
            raise_for(error, destination)  # 404: the series is not there, so nothing comes
    except requests.RequestException as error:
        raise_for(error, destination)


def _value(match: dict[str, Any], tag: str) -> str:
    values = match.get(tag, {}).get("Value") or [""]
    return str(values[0])
