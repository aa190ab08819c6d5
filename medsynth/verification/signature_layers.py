"""What digital signatures in DICOM objects and C2PA manifests in pictures say."""

from __future__ import annotations

from pathlib import Path

from medsynth.dicom.signature import Signature, signatures
from medsynth.errors import MissingExtra
from medsynth.images.dicom.files import dicom_files
from medsynth.marking.manifest import MIME, read_manifest
from medsynth.verification.finding import Finding


def signature_finding(path: Path | None) -> Finding:
    """Of a DICOM object, or of every object of a series."""
    files = [] if path is None else dicom_files(path)
    if not files:
        return Finding("signature", None, "only DICOM objects have one")
    try:
        found = [signatures(file) for file in files]
    except MissingExtra as error:
        return Finding("signature", None, str(error))
    none = sum(not each for each in found)
    if none == len(files):
        return Finding("signature", False, "there is none")
    broken = [each for group in found for each in group if not each.valid]
    if broken:
        return Finding("signature", None, f"{_signers(broken)}: {broken[0].why_not}")
    every = [each for group in found for each in group]
    if not all(each.synthetic for each in every):
        return Finding("signature", False, f"valid, of {_signers(every)}, and says nothing of it")
    some = f"{len(files) - none} of {len(files)} objects " if none else ""
    return Finding(
        "signature",
        True,
        f"{some}unchanged since {_signers(every)} signed (certificate not checked)",
    )


def _signers(found: list[Signature]) -> str:
    return ", ".join(sorted({each.signer for each in found}))


def manifest_finding(path: Path | None) -> Finding:
    """Of a PNG or JPEG file."""
    if path is None or path.suffix.lower() not in MIME or not path.is_file():
        return Finding("C2PA", None, "only PNG and JPEG files have one")
    try:
        found = read_manifest(path)
    except MissingExtra as error:
        return Finding("C2PA", None, str(error))
    if found is None:
        return Finding("C2PA", False, "there is no manifest")
    if not found.valid:
        return Finding("C2PA", None, f"a manifest that does not fit the file: {found.why_not}")
    by = f"manifest of {found.generator}, signed by {found.signer}"
    trust = "" if found.trusted else " (certificate not checked)"
    if not found.synthetic:
        return Finding("C2PA", False, f"{by}{trust}, says nothing of it")
    weights = f", weights {found.weights[:16]}" if found.weights else ""
    return Finding("C2PA", True, f"{by}{trust}{weights}")
