"""STOW-RS and QIDO-RS: the web way to a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset, dcmread

from medsynth.pacs.answers import FAILED, RETRY, STORED, Answer, judge
from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination
from medsynth.pacs.extra import load
from medsynth.pacs.web_session import client_for, dataset_of, raise_for, words_of

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
        try:
            studies = client_for(self.destination).search_for_studies(limit=1)
        except requests.RequestException as error:
            raise_for(error, self.destination)
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
        try:
            datasets = (dcmread(path) for _, path in parts)
            reply = self.client.store_instances(datasets, study_instance_uid=study)
        except requests.HTTPError as error:
            return self._after_error(study, parts, error)
        except (requests.JSONDecodeError, AttributeError, KeyError, TypeError):
            reply = Dataset()  # a body that is no DICOM JSON: HTTP 200 proves nothing
        except requests.RequestException as error:
            raise_for(error, self.destination)
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
        if response.status_code not in (400, 409, 413, 415, 422, 500):
            raise_for(error, self.destination)
        reply = dataset_of(response)
        named = {instance.uid: named_in(reply, instance.uid) for instance, _ in parts}
        unnamed = [part for part in parts if named[part[0].uid] is None]
        there = held_uids(self.client, self.destination, [part[0] for part in unnamed])
        status = f"HTTP {response.status_code}"
        verdict = RETRY if response.status_code == 500 else FAILED
        note = words_of(response) or "the server refuses the request and does not say why"
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
    for item in reply.get("FailedSOPSequence") or []:
        if item.get("ReferencedSOPInstanceUID") == uid:
            return judge(uid, int(item.get("FailureReason") or 0x0110))
    for item in reply.get("ReferencedSOPSequence") or []:
        if item.get("ReferencedSOPInstanceUID") == uid:
            return judge(uid, int(item.get("WarningReason") or 0x0000))
    return None


def held_uids(
    client: DICOMwebClient, destination: Destination, instances: Sequence[Instance]
) -> set[str]:
    """QIDO-RS: which of these UIDs the server has, page by page."""
    found: set[str] = set()
    try:
        for study, series in sorted({(i.study, i.series) for i in instances}):
            found |= series_uids(client, study, series)
        # Servers cut long answers off and may ignore the offset: ask for the missing by name.
        for instance in instances:
            if instance.uid not in found and found:
                matches = client.search_for_instances(
                    instance.study,
                    instance.series,
                    search_filters={"SOPInstanceUID": instance.uid},
                )
                found |= _uids(matches)
    except requests.RequestException as error:
        raise_for(error, destination)
    return found & {instance.uid for instance in instances}


def series_uids(client: DICOMwebClient, study: str, series: str) -> set[str]:
    """The SOP Instance UIDs of one series; empty when the server does not know it."""
    found: set[str] = set()
    while True:
        try:
            page = client.search_for_instances(
                study, series, fields=["SOPInstanceUID"], limit=PAGE, offset=len(found)
            )
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return found
            raise
        new = _uids(page) - found
        found |= new
        if not new or len(page) < PAGE:
            return found


def _uids(matches: Sequence[dict]) -> set[str]:
    """From DICOM JSON: (0008,0018)."""
    return {match["00080018"]["Value"][0] for match in matches}
