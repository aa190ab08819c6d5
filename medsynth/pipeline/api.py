"""What `import medsynth` offers: a request in, images out, by the same way as the command."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth.events import Listener, ignore
from medsynth.pipeline.estimate import Estimate
from medsynth.pipeline.exporters.base import ExportInputs
from medsynth.pipeline.image_types import from_sitk, kind_of, to_sitk
from medsynth.pipeline.synthesize import run
from medsynth.records.result import Result
from medsynth.request import Request, load_request, parse


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A synthetic `image`, the `masks` of its lesions on its grid, and the record of the run.

    Images are of the kind that the anatomy was given as; SimpleITK's where it was a file or drawn.
    """

    image: Any
    masks: tuple[Any, ...]
    result: Result


def synthesize(
    request: Request | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    overwrite: bool = False,
    spacing_mm: tuple[float, float, float] | None = None,
    listener: Listener = ignore,
) -> Synthesis:
    """The images that a request asks for; the network stays loaded for the next call.

    Args:
        request: its file, its keys, or a `Request`. In keys and in a `Request` an image may stand for
            its file: SimpleITK's, `itk`'s, MONAI's MetaTensor or a NumPy array (k, j, i).
        out: where to keep everything that `medsynth synthesize` writes; None: nowhere.
        overwrite: replace `out` if it is an earlier result.
        spacing_mm: (x, y, z) of the NumPy volumes among its keys.
        listener: called with progress and warnings.

    Raises:
        ValueError, OSError, MemoryError, CheckpointError: as `medsynth.pipeline.run`.
    """
    asked, kind = _request(request, spacing_mm)
    received: list[ExportInputs] = []
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        made = Path(out) if out is not None else Path(folder) / "out"
        result = run(asked, made, overwrite=overwrite, listener=listener, receive=received.append)
        assert isinstance(result, Result)
    (inputs,) = received
    image, *masks = (from_sitk(part, kind) for part in (inputs.image, *inputs.masks))
    return Synthesis(image, tuple(masks), result)


def estimate(
    request: Request | Mapping[str, Any] | Path | str,
    *,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Estimate:
    """What a request will take; refused is what `synthesize` would refuse."""
    asked, _ = _request(request, spacing_mm)
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        found = run(asked, Path(folder) / "out", dry_run=True)
    assert isinstance(found, Estimate)
    return found


def _request(
    request: Request | Mapping[str, Any] | Path | str,
    spacing_mm: tuple[float, float, float] | None,
) -> tuple[Request, str]:
    """The request itself, and the kind of image that its anatomy is."""
    if isinstance(request, Request):
        return request, kind_of(request.anatomy.image)
    if isinstance(request, (str, Path)):
        return load_request(request), "SimpleITK"
    anatomy = request.get("anatomy")
    given = anatomy.get("image") if isinstance(anatomy, Mapping) else None
    return parse(_converted(request, spacing_mm)), kind_of(given)


def _converted(value: Any, spacing_mm: tuple[float, float, float] | None) -> Any:
    """Keys and lists with every image of another library as SimpleITK's."""
    if isinstance(value, Mapping):
        return {key: _converted(entry, spacing_mm) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(entry, spacing_mm) for entry in value]
    return to_sitk(value, spacing_mm=spacing_mm)
