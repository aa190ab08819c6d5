"""The strongest proof: fetch every object back and compare its pixels with what was sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from io import BytesIO

from pydicom import dcmread

from medsynth.pacs.collect import Instance
from medsynth.pacs.destination import Destination
from medsynth.pacs.extra import load
from medsynth.pacs.fetch import Series
from medsynth.pacs.text import uid_of


class Comparison:
    """Takes what a server sends back and remembers which objects are equal to ours."""

    def __init__(self, instances: Iterable[Instance]):
        self.expected = {instance.uid: instance.pixels for instance in instances}
        self.equal: set[str] = set()
        self.error: OSError | None = None

    def keep(self, uid: str, content: bytes) -> None:
        """Count `content` when it is the object `uid` with our pixels."""
        try:
            dataset = dcmread(BytesIO(content))
            pixels = hashlib.sha256(dataset.get("PixelData") or b"").hexdigest()
        except Exception:  # noqa: BLE001 - what cannot be read is not equal
            return
        if uid_of(dataset, "SOPInstanceUID") == uid and self.expected.get(uid) == pixels:
            self.equal.add(uid)


def equal_uids(destination: Destination, instances: Sequence[Instance]) -> set[str]:
    """The UIDs whose pixels come back equal.

    Raises:
        LookupError: the server does not give objects back.
    """
    way = load("dicomweb_fetch" if destination.is_dicomweb else "dimse_fetch")
    equal: set[str] = set()
    for study, series in sorted({(i.study, i.series) for i in instances}):
        some = [i for i in instances if (i.study, i.series) == (study, series)]
        comparison = Comparison(some)
        syntaxes = {i.transfer_syntax for i in some}
        if not destination.is_dicomweb:  # the pixels are the same in both uncompressed syntaxes
            syntaxes.add(way.IMPLICIT)
        try:
            way.retrieve(
                destination,
                Series(study, series),
                comparison,
                classes={i.sop_class for i in some},
                syntaxes=sorted(syntaxes, reverse=True),
            )
        except PermissionError as error:
            raise LookupError(f"nothing came back to be compared: {error}") from error
        equal |= comparison.equal
    return equal
