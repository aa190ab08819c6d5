"""C2PA manifests: signed statements inside PNG and JPEG files that a picture is synthetic.

Written where the extra `c2pa` is installed. They name this program and the weights' SHA-256, no file, no
patient and no time of a real examination.
"""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth import __version__
from medsynth.errors import needs_extra
from medsynth.marking.header import TEXT
from medsynth.marking.signing_key import EXTRA, PACKAGES, SigningKey, signing_key
from medsynth.storage.files import new_file

MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE, COMPOSED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
SYNTHETIC_TYPES = (MADE, COMPOSED, "compositeSynthetic", "algorithmicMedia")
WEIGHTS = "medsynth.weights_sha256"
ACTIONS = ("c2pa.actions", "c2pa.actions.v2")
# No copy of the picture inside it, and not a single connection, whatever a manifest asks for.
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


def can_sign() -> bool:
    """Whether pictures get a manifest: the extra is installed."""
    return importlib.util.find_spec("c2pa") is not None


def check_signing() -> None:
    """Refuse a signing key that could not sign, before any work is done.

    Raises:
        FileNotFoundError, ValueError: see `signing_key.own_signing_key`.
    """
    if can_sign():
        _signer(signing_key())


def with_manifest(data: bytes, suffix: str, *, weights: str = "", composed: bool = False) -> bytes:
    """The bytes of a picture with a manifest, signed by the user or by a self-made certificate.

    Args:
        data: of a whole PNG or JPEG file.
        suffix: `.png`, `.jpg` or `.jpeg`.
        weights: SHA-256 of those it was made with; empty: not said.
        composed: it shows real images too.

    Raises:
        ValueError: no such format, or a key or certificate that C2PA does not allow.
        FileNotFoundError: see `signing_key.own_signing_key`.
        MissingExtra: c2pa is not installed.
    """
    if suffix.lower() not in MIME:
        raise ValueError(f"C2PA manifests are for {', '.join(MIME)}, got {suffix!r}")
    with needs_extra(EXTRA, PACKAGES):
        import c2pa
    claim = _claim(weights, COMPOSED if composed else MADE)
    target = io.BytesIO()
    with c2pa.Context.from_dict(SETTINGS) as context, c2pa.Builder(claim, context) as builder:
        try:
            builder.sign(_signer(signing_key()), MIME[suffix.lower()], io.BytesIO(data), target)
        except c2pa.C2paError as error:
            raise ValueError(f"the picture cannot be signed: {error}") from error
    return target.getvalue()


def sign_picture(path: Path, *, weights: str = "", composed: bool = False) -> None:
    """Give a PNG or JPEG file a manifest, see `with_manifest`; it replaces one that is there."""
    made = with_manifest(path.read_bytes(), path.suffix, weights=weights, composed=composed)
    with new_file(path, overwrite=True) as partial:
        partial.write_bytes(made)


def sign_if_possible(path: Path, *, weights: str = "", composed: bool = False) -> None:
    """`sign_picture` where the extra is installed."""
    if can_sign():
        sign_picture(path, weights=weights, composed=composed)


def _claim(weights: str, source: str) -> dict[str, Any]:
    action: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPES + source,
        "softwareAgent": {"name": "medsynth", "version": __version__},
        "description": TEXT,
    }
    if weights:
        action["parameters"] = {WEIGHTS: weights}
    return {
        "claim_generator_info": [{"name": "medsynth", "version": __version__}],
        "title": "Synthetic image",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _signer(key: SigningKey) -> Any:
    import c2pa

    info = c2pa.C2paSignerInfo(_algorithm(key), key.certificates(), key.pem(), None)
    return c2pa.Signer.from_info(info)


def _algorithm(key: SigningKey) -> Any:
    from c2pa import C2paSigningAlg
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if key.is_rsa:
        return C2paSigningAlg.PS256
    if isinstance(key.private, ed25519.Ed25519PrivateKey):
        return C2paSigningAlg.ED25519
    curves = {256: "ES256", 384: "ES384", 521: "ES512"}
    if isinstance(key.private, ec.EllipticCurvePrivateKey) and key.private.key_size in curves:
        return getattr(C2paSigningAlg, curves[key.private.key_size])
    raise ValueError(
        f"the signing key is a {type(key.private).__name__}; C2PA takes RSA, P-256, P-384, P-521 and "
        "Ed25519"
    )


@dataclass(frozen=True)
class Manifest:
    """What a picture's manifest says.

    `valid`: it is signed and fits the file; `why_not` says what does not. `trusted`: its certificate goes
    back to an authority that c2pa knows. `synthetic`: it says so.
    """

    valid: bool
    trusted: bool
    synthetic: bool
    signer: str
    generator: str
    weights: str = ""
    why_not: str = ""


def read_manifest(path: Path) -> Manifest | None:
    """The manifest of a PNG or JPEG file; None: it has none.

    Raises:
        MissingExtra: c2pa is not installed.
    """
    with needs_extra(EXTRA, PACKAGES):
        import c2pa
    with c2pa.Context.from_dict(SETTINGS) as context, path.open("rb") as file:
        try:
            reader = c2pa.Reader(MIME[path.suffix.lower()], file, context=context)
        except c2pa.C2paError.ManifestNotFound:
            return None
        except c2pa.C2paError as error:
            return Manifest(False, False, False, "", "", why_not=str(error))
        with reader:
            return _manifest(reader)


def _manifest(reader: Any) -> Manifest:
    state = reader.get_validation_state()
    active = reader.get_active_manifest() or {}
    results = (reader.get_validation_results() or {}).get("activeManifest", {})
    failed = [each.get("code", "") for each in results.get("failure", [])]
    actions = [
        action
        for assertion in active.get("assertions", [])
        if assertion.get("label") in ACTIONS
        for action in assertion.get("data", {}).get("actions", [])
    ]
    sources = {str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in actions}
    parameters = [action.get("parameters") or {} for action in actions]
    generator = (active.get("claim_generator_info") or [{}])[0]
    signature = active.get("signature_info") or {}
    return Manifest(
        valid=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        synthetic=bool(sources & set(SYNTHETIC_TYPES)),
        signer=str(signature.get("common_name") or signature.get("issuer") or "unknown"),
        generator=f"{generator.get('name', '')} {generator.get('version', '')}".strip(),
        weights=next((str(each[WEIGHTS]) for each in parameters if WEIGHTS in each), ""),
        why_not=", ".join(code for code in failed if code != "signingCredential.untrusted"),
    )
