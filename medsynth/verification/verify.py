"""`verify`: five layers, each by itself, and one verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.events import Listener, ignore
from medsynth.images import read_image
from medsynth.images.files import NotGray
from medsynth.pipeline.marks import digest_of
from medsynth.records.result import FILE as RECORD
from medsynth.verification.finding import Finding
from medsynth.verification.header_layer import mark_in_header
from medsynth.verification.pixel_layer import PixelFinding, look, map_of
from medsynth.verification.signature_layers import manifest_finding, signature_finding

NEAR = 3  # folders above a file in which its record is looked for
LARGEST_RECORD = 64 << 20


@dataclass(frozen=True)
class Verification:
    """`findings` of header, signature, C2PA, pixels and registry; `p_value` and `map` of the pixels.

    `synthetic` False means that nothing was found, never that an image is real.
    """

    source: str
    findings: tuple[Finding, ...]
    p_value: float | None = None
    slices: tuple[int, ...] = ()
    map: tuple[tuple[float, ...], ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether any layer says so."""
        return any(finding.synthetic for finding in self.findings)

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if not self.synthetic:
            return "no mark found; that does not prove that it is real"
        by = ", ".join(finding.layer for finding in self.findings if finding.synthetic)
        return f"SYNTHETIC ({by})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"synthetic": self.synthetic, "verdict": self.verdict}


def verify(
    image: str | Path | sitk.Image | np.ndarray,
    *,
    registry: Iterable[Path | str] = (),
    listener: Listener = ignore,
) -> Verification:
    """Whether `image` was made by medsynth.

    Args:
        image: a file, the folder of a DICOM series, a SimpleITK image, or an array (j, i) or (k, j, i). Of
            pictures in color the luminance is looked at.
        registry: folders with results (`result.json`) to compare with, besides those around the file.
        listener: called with progress.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it cannot be read as an image.
    """
    path = Path(image) if isinstance(image, (str, Path)) else None
    volume = _volume(image, listener)
    pixels = look(volume, listener=listener)
    marked = pixels is not None and pixels.marked
    return Verification(
        source=str(path) if path else "image in memory",
        findings=(
            _header(path),
            signature_finding(path),
            manifest_finding(path),
            _pixels(pixels, len(volume)),
            _registry(path, volume, registry),
        ),
        p_value=pixels.p_value if pixels else None,
        slices=pixels.found if pixels else (),
        map=_rounded(map_of(volume, pixels)) if pixels is not None and marked else (),
    )


def _volume(image: str | Path | sitk.Image | np.ndarray, listener: Listener) -> np.ndarray:
    """Its values (k, j, i); of a picture in color its luminance, since outlines may be drawn on it."""
    try:
        read = read_image(image, listener=listener)
    except NotGray:
        from PIL import Image

        assert isinstance(image, (str, Path))
        with Image.open(image) as picture:
            return np.asarray(picture.convert("L"), np.float32)[None]
    return sitk.GetArrayFromImage(read.image)


def _rounded(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(value), 1) for value in row) for row in values)


def _header(path: Path | None) -> Finding:
    if path is None:
        return Finding("header", None, "an image in memory has none")
    words = mark_in_header(path)
    return Finding("header", words is not None, words or "says nothing of it")


def _pixels(found: PixelFinding | None, slices: int) -> Finding:
    if found is None:
        return Finding("pixels", None, "too small to tell")
    if not found.marked:
        return Finding("pixels", False, f"no mark (p = {found.p_value:.2g})")
    geometry, changes = found.best.geometry, []
    if abs(geometry.scale - 1) > 0.005:
        changes.append(f"scaled by {geometry.scale:.2f}")
    if abs(geometry.turn_deg) > 0.3:
        changes.append(f"turned by {geometry.turn_deg:.1f} degrees")
    if geometry.mirrored:
        changes.append("mirrored")
    how = f", {', '.join(changes)} since" if changes else ""
    where = f", {len(found.found)} of {slices} slices by themselves" if slices > 1 else ""
    return Finding(
        "pixels",
        True,
        f"marked with the {found.key.name} key (p = {found.p_value:.1g}{where}{how})",
    )


def _registry(path: Path | None, volume: np.ndarray, folders: Iterable[Path | str]) -> Finding:
    records = [*_near(path), *(r for f in folders for r in sorted(Path(f).rglob(RECORD)))]
    if not records:
        return Finding("registry", None, f"no {RECORD} to compare with")
    digests = {digest_of(plane) for plane in volume}
    for record in records:
        same = digests & _digests(record)
        if same:
            words = f"{len(same)} of {len(volume)} slices are those of {record}"
            return Finding("registry", True, words)
    return Finding("registry", False, f"in none of {len(records)} records")


def _near(path: Path | None) -> list[Path]:
    if path is None:
        return []
    folders = list(path.absolute().parents)[:NEAR]
    return [folder / RECORD for folder in folders if (folder / RECORD).is_file()]


def _digests(record: Path) -> set[str]:
    """The slices that a record lists; none if it is no record of ours."""
    if record.stat().st_size > LARGEST_RECORD:
        return set()
    try:
        listed = json.loads(record.read_text(encoding="utf-8")).get("digests", {})
        return set(listed.values())
    except (ValueError, AttributeError, TypeError):
        return set()
