"""Who signs: the user's private key with its certificate, or one that is made up on the spot.

`MEDSYNTH_SIGNING_KEY`, the name of a PEM file, or `signing.pem` in medsynth's folder of settings: a private
key, then the certificate of its owner, then those that vouch for it. A made-up one proves that a file was
not changed since, and nothing about who made it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.errors import needs_extra
from medsynth.marking.keys import settings_file, write_secret

if TYPE_CHECKING:
    from cryptography import x509

VARIABLE = "MEDSYNTH_SIGNING_KEY"
EXTRA, PACKAGES = "c2pa", ("c2pa", "cryptography")
SELF_MADE = "medsynth, self-made certificate"
LONGEST = 1 << 16  # bytes of a PEM file
YEARS = 10
LEAST_RSA_BITS = 2048
CURE = (
    "; make one with `medsynth sign --new-key NAME`, or ask who issues certificates at your place"
)


@dataclass(frozen=True)
class SigningKey:
    """`private` signs; `chain` begins with the signer's certificate.

    `own` False: made up for this process, nobody's.
    """

    private: Any
    chain: tuple[x509.Certificate, ...]
    own: bool

    @property
    def is_rsa(self) -> bool:
        """What the signature profiles of DICOM allow."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        return isinstance(self.private, rsa.RSAPrivateKey)

    @property
    def name(self) -> str:
        """The signer's, as the certificate has it."""
        return common_name(self.chain[0])

    def pem(self) -> bytes:
        """The private key, for a library that signs by itself."""
        from cryptography.hazmat.primitives import serialization as ser

        return self.private.private_bytes(
            ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()
        )

    def certificates(self) -> bytes:
        """The chain as PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)


def common_name(certificate: x509.Certificate) -> str:
    """Whose certificate it is."""
    from cryptography.x509.oid import NameOID

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def key_file() -> Path:
    """Where the user's signing key lies, if there is one."""
    return settings_file(VARIABLE, "signing.pem")


def own_signing_key() -> SigningKey | None:
    """The user's; None where there is none.

    Raises:
        FileNotFoundError: `MEDSYNTH_SIGNING_KEY` names a file that is not there.
        ValueError: the file holds no key with its certificate, or one that is not valid now.
        MissingExtra: cryptography is not installed.
    """
    path = key_file()
    if not path.is_file():
        if os.environ.get(VARIABLE):
            raise FileNotFoundError(f"{VARIABLE} names {path}, which is no file{CURE}, or unset it")
        return None
    with path.open("rb") as file:
        data = file.read(LONGEST)
    with needs_extra(EXTRA, PACKAGES):
        return _read(path, data)


def _read(path: Path, data: bytes) -> SigningKey:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(data, password=None)
        chain = tuple(x509.load_pem_x509_certificates(data))
    except TypeError as error:
        raise ValueError(
            f"{path}: the key is locked by a password, which nobody could type when an image is signed; "
            "write it without one (openssl pkey) into a file that only you can read"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a private key and its certificate as PEM ({error}){CURE}"
        ) from error
    if chain[0].public_key() != private.public_key():
        raise ValueError(f"{path}: the first certificate is not that of the private key{CURE}")
    now, (first, last) = datetime.now(timezone.utc), validity(chain[0])
    if not first <= now <= last:
        raise ValueError(f"{path}: the certificate is valid {first:%F} to {last:%F}, not now{CURE}")
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size < LEAST_RSA_BITS:
        raise ValueError(
            f"{path}: the RSA key has {private.key_size} bits, expected at least {LEAST_RSA_BITS}{CURE}"
        )
    return SigningKey(private, chain, own=True)


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """First and last moment of a certificate, in UTC."""
    # cryptography before 42 has them without a time zone only.
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def signing_key() -> SigningKey:
    """The user's, else a self-made one.

    Raises:
        FileNotFoundError, ValueError, MissingExtra: see `own_signing_key`.
    """
    return own_signing_key() or _of_this_process()


@lru_cache(maxsize=1)
def _of_this_process() -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return self_made(lambda: ec.generate_private_key(ec.SECP256R1()), SELF_MADE, own=False)


def make_signing_key(name: str) -> Path:
    """A new RSA key of this user with a self-made certificate for `name`, readable by no other user.

    Raises:
        FileExistsError: there is one.
        ValueError: there is no name.
        MissingExtra: cryptography is not installed.
    """
    path = key_file()
    if path.exists():
        raise FileExistsError(f"{path} is there already; keep it, or move it away first")
    if not name.strip() or len(name) > 64:
        raise ValueError(f"--new-key: expected a name of 1 to 64 characters, got {name!r}")
    with needs_extra(EXTRA, PACKAGES):
        from cryptography.hazmat.primitives.asymmetric import rsa

        made = self_made(lambda: rsa.generate_private_key(65537, 3072), name.strip(), own=True)
    write_secret(path, (made.pem() + made.certificates()).decode("ascii"))
    return path


def self_made(new_private: Any, name: str, *, own: bool) -> SigningKey:
    """A key with a certificate for `name`, by an authority that signs once and is forgotten.

    C2PA takes no certificate that signs itself, so there are two.
    """
    authority, private = new_private(), new_private()
    issuer = f"{name} (issued by itself)"[:64]
    root = _certificate(issuer, authority, issuer=issuer, by=authority)
    leaf = _certificate(name, private, issuer=issuer, by=authority)
    return SigningKey(private, (leaf, root), own)


def _certificate(name: str, key: Any, *, issuer: str, by: Any) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common: str) -> x509.Name:
        words = ((NameOID.ORGANIZATION_NAME, "medsynth"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in words])

    authority, now = key is by, datetime.now(timezone.utc)
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder(named(issuer), named(name), key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                crl_sign=authority,
                **usage,
            ),
            critical=True,
        )
    )
    if not authority:  # C2PA asks for one of a few purposes
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(by, hashes.SHA256())
