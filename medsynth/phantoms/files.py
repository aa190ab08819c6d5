"""Control points to and from a text file, so that they can be edited by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import yaml

from medsynth.phantoms.breast.shape import BreastShape, breast_content
from medsynth.phantoms.control_point_text import read_content
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.shape import (
    ClosedCurves,
    Geometry,
    Layer,
    Organ,
    ThoraxShape,
    Tree,
    Tube,
)
from medsynth.storage.files import replace_text

FORMAT = "medsynth-control-points"
VERSION = 1
_GEOMETRIES = {"closed_curves": ClosedCurves, "tube": Tube, "tree": Tree}
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def save_control_points(shape: ThoraxShape | BreastShape, path: str | Path) -> None:
    """Write `shape` as YAML, or JSON where `path` ends in .json; all lengths in mm, LPS.

    A breast's are in the frame of its mammogram, see `medsynth.phantoms.breast.shape`.
    """
    path = Path(path)
    content = breast_content(shape) if isinstance(shape, BreastShape) else _thorax_content(shape)
    if path.suffix == ".json":
        text = json.dumps(content, indent=1)
    else:
        text = yaml.dump(content, Dumper=_DUMPER, sort_keys=False, default_flow_style=None)
    replace_text(path, text)


def _thorax_content(shape: ThoraxShape) -> dict:
    return {
        "format": FORMAT,
        "version": VERSION,
        "seed": shape.seed,
        "habitus": dict(shape.habitus),
        "organs": {name: _organ_out(organ) for name, organ in shape.organs.items()},
    }


def load_control_points(path: str | Path) -> ThoraxShape:
    """Read what `save_control_points` wrote, after any edits.

    Raises:
        ValueError: not such a file, or an edit left something that cannot be drawn; the message
            names the organ.
    """
    path = Path(path)
    content = read_content(path, file_format=FORMAT, version=VERSION, kind="a thorax")
    organs = content.get("organs")
    if not isinstance(organs, dict) or not organs:
        raise ValueError(f"{path} holds no organs")
    return ThoraxShape(
        {name: _organ_in(name, entry, path) for name, entry in organs.items()},
        dict(content.get("habitus") or {}),
        int(content.get("seed", 0)),
    )


def _organ_out(organ: Organ) -> dict:
    entry: dict = {
        "label": organ.label,
        "layers": [_plain(dataclasses.asdict(layer)) for layer in organ.layers],
        "over": list(organ.over),
        "pieces": [],
    }
    names = {kind: name for name, kind in _GEOMETRIES.items()}
    for piece in organ.pieces:
        numbers = {
            field.name: _plain(getattr(piece, field.name)) for field in dataclasses.fields(piece)
        }
        entry["pieces"].append({"kind": names[type(piece)], **numbers})
    return entry


def _plain(value):
    if isinstance(value, np.ndarray):
        return np.round(value, 3).tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, np.floating) else value


def _organ_in(name: str, entry: dict, path: Path) -> Organ:
    try:
        organ = Organ(
            entry["label"],
            tuple(Layer(**layer) for layer in entry["layers"]),
            tuple(_piece_in(piece) for piece in entry["pieces"]),
            tuple(entry.get("over", ())),
        )
        for label in [organ.label, *organ.over, *(la.label for la in organ.layers if la.label)]:
            if label not in tissues.LABELS:
                raise ValueError(f"unknown label {label!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, organ {name!r}: {error}") from error
    return organ


def _piece_in(entry: dict) -> Geometry:
    numbers = dict(entry)
    kind = numbers.pop("kind")
    if kind not in _GEOMETRIES:
        raise ValueError(f"kind {kind!r}, expected one of {', '.join(_GEOMETRIES)}")
    return _GEOMETRIES[kind](**numbers)
