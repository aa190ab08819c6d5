"""STOW-RS and QIDO-RS: the web way to a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset, dcmread

from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse_status import FAILED, RETRY, STORED, Answer, judge
from medsynth.pacs.extra import load
from medsynth.pacs.text import items_of, plain, uid_of, value_of
from medsynth.pacs.web_session import (
    ask,
    client_for,
    dataset_of,
    matches_of,
    raise_for,
    uid_in,
    words_of,
)

PAGE = 500
Part = tuple[Instance, Path]


class DicomwebLink:
    """How a destination is reached by DICOMweb."""

    # One request is held in memory as a whole: small enough to stay flat, large enough to be quick.
    batch_count, batch_bytes = 16, 8 << 20

    def __init__(self, destination: Destination):
        self.destination = destination

    @contextmanager
    def open(self, instances: Sequence[Instance]) -> Iterator[DicomwebChannel]:
        """One HTTP session."""
        client = client_for(self.destination)
        try:
            yield DicomwebChannel(client, self.destination)
        finally:
            client._session.close()

    def check(self) -> str:
        """A QIDO query; what answered, in words."""
        client = client_for(self.destination)
        answer = ask(self.destination, client.search_for_studies, limit=1)
        studies = matches_of(self.destination, answer)
        return f"QIDO-RS answered ({'some' if studies else 'no'} studies); what is sent is verified"

    def held(self, instances: Sequence[Instance]) -> tuple[set[str], str]:
        """Which of these UIDs the server has."""
        if self.destination.verify == "retrieve":
            return load("read_back").equal_uids(self.destination, instances), "retrieval"
        return held_uids(client_for(self.destination), self.destination, instances), "QIDO-RS"


class DicomwebChannel:
    """An HTTP session on which batches are stored one after the other."""

    def __init__(self, client: DICOMwebClient, destination: Destination):
        self.client, self.destination = client, destination

    def send(self, batch: Sequence[Part]) -> list[Answer]:
        """One STOW-RS request for each study in `batch`.

        Raises:
            ConnectionError: no answer came; the objects may or may not be there.
        """
        answers: list[Answer] = []
        for study in dict.fromkeys(instance.study for instance, _ in batch):
            answers += self._store(study, [part for part in batch if part[0].study == study])
        return answers

    def _store(self, study: str, parts: list[Part]) -> list[Answer]:
        datasets = [dcmread(path) for _, path in parts]  # a batch is small
        try:
            reply = self.client.store_instances(datasets, study_instance_uid=study)
        except requests.HTTPError as error:
            return self._after_error(study, parts, error)
        except requests.JSONDecodeError:
            reply = Dataset()
        except requests.RequestException as error:
            raise_for(error, self.destination)
        except Exception:  # noqa: BLE001 - a body that is no DICOM JSON: HTTP 200 proves nothing
            reply = Dataset()
        return [
            Answer(instance.uid, RETRY, "HTTP 200", "the server's answer does not name the object")
            if (answer := named_in(reply, instance.uid)) is None
            else answer
            for instance, _ in parts
        ]

    def _after_error(
        self, study: str, parts: list[Part], error: requests.HTTPError
    ) -> list[Answer]:
        """PS3.18 10.5.3: some parts may be stored, so ask before anything is sent again."""
        response = error.response
        status = f"HTTP {response.status_code}"
        if response.status_code not in (400, 409, 413, 415, 422, 500):
            try:
                raise_for(error, self.destination)
            except ConnectionError:  # an answer all the same: nothing of it was taken
                note = words_of(response) or plain(response.reason)
                return [Answer(part[0].uid, RETRY, status, note) for part in parts]
        reply = dataset_of(response)
        named = {instance.uid: named_in(reply, instance.uid) for instance, _ in parts}
        unnamed = [part for part in parts if named[part[0].uid] is None]
        verdict = RETRY if response.status_code == 500 else FAILED
        note = words_of(response) or "the server refuses the request and does not say why"
        try:
            there = held_uids(self.client, self.destination, [part[0] for part in unnamed])
        except (ConnectionError, PermissionError) as unasked:
            note, there = f"{note}; {unasked}", set()
            if len(parts) == 1:
                verdict = RETRY
        answers = [answer for answer in named.values() if answer is not None]
        for part in unnamed:
            if part[0].uid in there:
                answers.append(Answer(part[0].uid, STORED, status, "refused, but it is there"))
            elif len(parts) == 1:
                answers.append(Answer(part[0].uid, verdict, status, note))
            else:  # alone, so that a bad part does not take good ones with it
                answers += self._store(study, [part])
        return answers


def named_in(reply: Dataset, uid: str) -> Answer | None:
    """What a STOW-RS answer says about one object; None when it does not name it."""
    for item in items_of(reply, "FailedSOPSequence"):
        if uid_of(item, "ReferencedSOPInstanceUID") == uid:
            return judge(uid, _reason(item, "FailureReason") or 0x0110)
    for item in items_of(reply, "ReferencedSOPSequence"):
        if uid_of(item, "ReferencedSOPInstanceUID") == uid:
            return judge(uid, _reason(item, "WarningReason"))
    return None


def _reason(item: Dataset, keyword: str) -> int:
    text = value_of(item, keyword)
    return int(text) & 0xFFFF if text.isascii() and text.isdigit() else 0x0000


def held_uids(
    client: DICOMwebClient, destination: Destination, instances: Sequence[Instance]
) -> set[str]:
    """QIDO-RS: which of these UIDs the server has, page by page."""
    found: set[str] = set()
    for study, series in sorted({(i.study, i.series) for i in instances}):
        found |= series_uids(client, destination, study, series)
    # Servers cut long answers off and may ignore the offset: ask for the missing by name.
    for instance in instances:
        if instance.uid not in found and found:
            matches = ask(
                destination,
                client.search_for_instances,
                instance.study,
                instance.series,
                search_filters={"SOPInstanceUID": instance.uid},
            )
            found |= _uids(destination, matches)
    return found & {instance.uid for instance in instances}


def series_uids(
    client: DICOMwebClient, destination: Destination, study: str, series: str
) -> set[str]:
    """The SOP Instance UIDs of one series; empty when the server does not know it."""
    found: set[str] = set()

    def page() -> object:
        try:
            return client.search_for_instances(
                study, series, fields=["SOPInstanceUID"], limit=PAGE, offset=len(found)
            )
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return []
            raise

    while True:
        answer = ask(destination, page)
        new = _uids(destination, answer) - found
        found |= new
        if not new or len(answer) < PAGE:
            return found


def _uids(destination: Destination, answer: object) -> set[str]:
    """From DICOM JSON: (0008,0018)."""
    return {uid_in(destination, match, "00080018") for match in matches_of(destination, answer)}
