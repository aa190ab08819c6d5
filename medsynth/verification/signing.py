"""Signing by kind of file: a digital signature in DICOM, a C2PA manifest in PNG and JPEG."""

from __future__ import annotations

from pathlib import Path

from medsynth.dicom import signature
from medsynth.images.dicom.files import is_dicom
from medsynth.marking import manifest
from medsynth.marking.signing_key import own_signing_key
from medsynth.verification.header_layer import mark_in_header

SET, DEPTH = "plan.jsonl", 5  # of a data set, and how far above its files it lies


def is_signable(path: Path) -> bool:
    """A file of a kind that can hold a signature; hidden ones are left alone."""
    if not path.is_file() or path.name.startswith("."):
        return False
    return path.suffix.lower() in manifest.MIME or is_dicom(path)


def sign_file(path: Path) -> None:
    """Sign a file that is marked as synthetic; one that this key has signed stays as it is.

    Raises:
        FileNotFoundError: the signing key is not there.
        ValueError: the file is of no such kind, carries no mark, or belongs to a data set; or the key does
            not fit.
        MissingExtra: c2pa or cryptography is not installed.
    """
    if not is_signable(path):
        raise ValueError(f"{path} is no DICOM, PNG or JPEG file, which can be signed")
    if any((folder / SET).is_file() for folder in list(path.absolute().parents)[:DEPTH]):
        raise ValueError(
            f"{path} belongs to a data set, whose record has the SHA-256 of its files; sign a copy of "
            "its layout elsewhere"
        )
    key = own_signing_key()
    if is_dicom(path):
        if key is None:
            raise ValueError(
                "DICOM objects are signed with a key of yours, and there is none; make one with "
                "`medsynth sign --new-key NAME`"
            )
        if not any(s.valid and s.signer == key.name for s in signature.signatures(path)):
            signature.sign(path, key)
        return
    if mark_in_header(path) is None:
        raise ValueError(
            f"{path} does not say in its header that it is synthetic; only what medsynth wrote is signed"
        )
    there = manifest.read_manifest(path)
    fits = there is not None and there.valid and there.synthetic
    if there is None or not fits or (key is not None and there.signer != key.name):
        manifest.sign_picture(path)
