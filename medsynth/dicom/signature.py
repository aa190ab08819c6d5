"""Digital signatures inside DICOM objects: PS3.15 annex C.2, the Creator RSA profile, with SHA-256.

Everything in the object that can be signed is, so that no attribute can be changed unnoticed. What is
hashed (PS3.3 C.12.1.1.3.1): every element as Explicit VR Little Endian, of sequences without their lengths,
then the item of the signature itself without certificate and signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from medsynth.dicom.provenance import require_marks
from medsynth.errors import needs_extra
from medsynth.marking.signing_key import EXTRA, PACKAGES, SigningKey, common_name
from medsynth.storage.files import new_file

if TYPE_CHECKING:
    from cryptography import x509

HASH = "SHA256"
CERTIFICATE = "X509_1993_SIG"
SYNTHETIC_DATA, PIXEL_DATA = Tag("SyntheticData"), Tag("PixelData")
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
UNDEFINED = 0xFFFFFFFF
NEVER = {Tag("MACParametersSequence"), Tag(0xFFFC, 0xFFFC), Tag(0x0008, 0x0001)}
AFTER_SIGNING = {
    Tag(name)
    for name in (
        *("CertificateOfSigner", "Signature"),
        *("CertifiedTimestampType", "CertifiedTimestamp"),
    )
}


@dataclass(frozen=True)
class Signature:
    """One signature of an object.

    `valid`: the object is what was signed, with the key of `signer`'s certificate. `synthetic`: that it is
    synthetic is among what was signed, and so are its pixels. `why_not`: why it is not valid or could not be checked.
    """

    signer: str
    valid: bool
    synthetic: bool
    why_not: str = ""


def sign(path: Path, key: SigningKey) -> None:
    """Sign a marked, uncompressed object with the user's key; signatures it has stay.

    The file is replaced once the signature was read back and is valid.

    Raises:
        ValueError: it is not marked as synthetic or not uncompressed Explicit VR Little Endian, or the key is
            no RSA key.
        MissingExtra: cryptography is not installed.
    """
    if not key.is_rsa:
        raise ValueError(
            "DICOM's signature profiles take RSA keys (PS3.15 annex C), and the signing key is none; make "
            "one with `medsynth sign --new-key NAME`, or put one into the file that MEDSYNTH_SIGNING_KEY "
            "names"
        )
    require_marks(pydicom.dcmread(path, stop_before_pixels=True), where=path.name)
    dataset = pydicom.dcmread(path)  # untouched: what is looked at is encoded anew
    _check_encoding(dataset, path)
    identifier = 1 + max((int(item.MACIDNumber) for item in _signatures(dataset)), default=-1)
    item = _new_item(identifier)
    tags = [tag for tag in sorted(dataset.keys()) if _can_be_signed(dataset, tag)]
    with needs_extra(EXTRA, PACKAGES):
        _fill(item, key, _digest(dataset, tags, item))
    parameters = Dataset()
    parameters.MACIDNumber = identifier
    parameters.MACCalculationTransferSyntaxUID = ExplicitVRLittleEndian
    parameters.MACAlgorithm = HASH
    parameters.DataElementsSigned = tags
    dataset.MACParametersSequence = [*dataset.get("MACParametersSequence", []), parameters]
    dataset.DigitalSignaturesSequence = [*_signatures(dataset), item]
    with new_file(path, overwrite=True) as partial:
        dataset.save_as(partial, enforce_file_format=True)
        if not signatures(partial)[-1].valid:
            raise ValueError(f"{path}: the signature does not fit what was written")


def signatures(path: Path) -> list[Signature]:
    """Those of an object, checked; none where there are none.

    Raises:
        MissingExtra: cryptography is not installed.
    """
    dataset = pydicom.dcmread(path)
    items = _signatures(dataset)
    if not items:
        return []
    with needs_extra(EXTRA, PACKAGES):
        return [_checked(dataset, item, path) for item in items]


def _checked(dataset: Dataset, item: Dataset, path: Path) -> Signature:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    signer = "unknown"
    try:
        certificate = x509.load_der_x509_certificate(_der(item.CertificateOfSigner))
        signer = common_name(certificate)
        _check_encoding(dataset, path)
        parameters = _parameters(dataset, int(item.MACIDNumber))
        tags = _tags(parameters)
        _verify(certificate, item.Signature, _digest(dataset, tags, item))
    except InvalidSignature:
        return Signature(signer, False, False, "the object was changed since, or signed by another")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        return Signature(signer, False, False, f"cannot be checked: {error}")
    # Of a signature of some attributes alone, pixels could be anybody's.
    signed = {SYNTHETIC_DATA, PIXEL_DATA} & set(dataset.keys()) <= set(tags)
    return Signature(signer, True, signed and dataset.get("SyntheticData") == "YES")


def _check_encoding(dataset: Dataset, path: Path) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax != ExplicitVRLittleEndian:
        raise ValueError(f"{path.name} is not uncompressed Explicit VR Little Endian, got {syntax}")


def _signatures(dataset: Dataset) -> list[Dataset]:
    return list(dataset.get("DigitalSignaturesSequence") or [])


def _parameters(dataset: Dataset, identifier: int) -> Dataset:
    for each in dataset.get("MACParametersSequence") or []:
        if int(each.MACIDNumber) == identifier:
            break
    else:
        raise ValueError(f"there are no MAC parameters {identifier}")
    if each.MACCalculationTransferSyntaxUID != ExplicitVRLittleEndian:
        raise ValueError(
            f"it was made of the transfer syntax {each.MACCalculationTransferSyntaxUID}"
        )
    if each.MACAlgorithm != HASH:
        raise ValueError(f"its hash is {each.MACAlgorithm}, expected {HASH}")
    return each


def _tags(parameters: Dataset) -> list[BaseTag]:
    listed = parameters.DataElementsSigned
    # One tag alone is not a list.
    return [Tag(listed)] if isinstance(listed, BaseTag) else [Tag(each) for each in listed]


def _new_item(identifier: int) -> Dataset:
    item = Dataset()
    item.MACIDNumber = identifier
    item.DigitalSignatureUID = generate_uid(prefix=None)
    item.DigitalSignatureDateTime = datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S.%f%z")
    item.CertificateType = CERTIFICATE
    return item


def _fill(item: Dataset, key: SigningKey, digest: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    der = key.chain[0].public_bytes(Encoding.DER)
    item.CertificateOfSigner = der + b"\0" * (len(der) % 2)
    item.Signature = key.private.sign(digest, PKCS1v15(), Prehashed(SHA256()))


def _verify(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    public = certificate.public_key()
    if not isinstance(public, RSAPublicKey):
        raise ValueError("its certificate is not of an RSA key")
    public.verify(signature[: (public.key_size + 7) // 8], digest, PKCS1v15(), Prehashed(SHA256()))


def _der(padded: bytes) -> bytes:
    """A certificate without the zero that makes its length even: DER begins with its own length."""
    if len(padded) < 4 or padded[:2] != b"\x30\x82":
        raise ValueError("its certificate is no X.509 certificate")
    return padded[: 4 + int.from_bytes(padded[2:4], "big")]


def _can_be_signed(dataset: Dataset, tag: BaseTag) -> bool:
    """PS3.3 C.12.1.1.3.1.1: no group lengths, signatures or padding, and nothing of unknown kind."""
    if tag.group < 8 or tag.group == 0xFFFA or tag.element == 0 or tag in NEVER:
        return False
    return not _is_unknown(dataset, tag)


def _is_unknown(dataset: Dataset, tag: BaseTag) -> bool:
    """Whether an element, or any inside it, has the value representation UN."""
    vr = dataset.get_item(tag).VR
    if vr == "SQ":
        items = dataset[tag].value
        return any(_is_unknown(item, inner) for item in items for inner in item.keys())  # noqa: SIM118
    return vr in ("UN", None)


def _digest(dataset: Dataset, tags: list[BaseTag], item: Dataset) -> bytes:
    hashed = hashlib.sha256()
    for tag in tags:
        if tag in dataset:
            if not _can_be_signed(dataset, tag):
                raise ValueError(f"it signs {tag}, which cannot be signed")
            for part in _stream(dataset, tag):
                hashed.update(part)
    for tag in sorted(item.keys()):
        if tag not in AFTER_SIGNING and _can_be_signed(item, tag):
            for part in _stream(item, tag):
                hashed.update(part)
    return hashed.digest()


def _stream(dataset: Dataset, tag: BaseTag) -> Iterator[bytes]:
    """The bytes of one element that are hashed, as the file has them."""
    raw = dataset.get_item(tag)
    if raw.VR == "SQ":
        yield _tag_bytes(tag) + b"SQ\0\0"
        for item in dataset[tag].value:
            yield ITEM
            for inner in sorted(item.keys()):
                if _can_be_signed(item, inner):
                    yield from _stream(item, inner)
        yield END
    elif isinstance(raw, RawDataElement):
        value, vr = raw.value or b"", str(raw.VR)
        if raw.length == UNDEFINED:
            raise ValueError(f"{tag} has no length: compressed pixels are not signed here")
        long = vr in EXPLICIT_VR_LENGTH_32
        length = len(value).to_bytes(4, "little") if long else len(value).to_bytes(2, "little")
        yield _tag_bytes(tag) + vr.encode("ascii") + (b"\0\0" if long else b"") + length
        yield value
    else:  # made here, or looked at before
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, raw, convert_encodings(dataset.get("SpecificCharacterSet")))
        yield buffer.getvalue()


def _tag_bytes(tag: BaseTag) -> bytes:
    return tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
