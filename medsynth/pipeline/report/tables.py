"""The tables below the pictures of the report page, as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

NONE = '<p class="none">None.</p>'


def table(rows: Iterable[Iterable[Any]], *, head: Iterable[str] = ()) -> str:
    """An HTML table; the first cell of a row is its heading, all text is escaped."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td>{html.escape(_shown(cell))}</td>" for cell in others)
        body += f'<tr><th scope="row">{html.escape(_shown(first))}</th>{cells}</tr>'
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def warnings(record: Mapping[str, Any]) -> str:
    """The warnings of the run as a list."""
    items = "".join(f"<li>{html.escape(str(words))}</li>" for words in record.get("warnings", ()))
    return f"<ul>{items}</ul>" if items else NONE


def settings(request: Mapping[str, Any]) -> str:
    """The request, one row per key path."""
    rows = list(_flat(request))
    return table(rows) if rows else NONE


def measured(record: Mapping[str, Any], *, units: str) -> str:
    """Guidance errors, lesions, coherence and clipped values of the run."""
    parts = [_guidance(record), _lesions(record, units=units), _labels(record)]
    coherence = record.get("coherence") or {}
    if coherence:
        rows = [(name, _ratio(value)) for name, value in coherence.items()]
        words = "Slice-to-slice difference, result over reference (1 = alike)"
        parts.append(f"<h3>{words}</h3>{table(rows)}")
    clipped = {k: v for k, v in (record.get("clipped") or {}).items() if v}
    if clipped:
        rows = [(name, _percent(value)) for name, value in clipped.items()]
        parts.append(f"<h3>Voxels beyond the network's range</h3>{table(rows)}")
    return "".join(parts) or NONE


def provenance(record: Mapping[str, Any]) -> str:
    """What made these images: network, versions, device, times, DICOM identifiers."""
    checkpoint = record.get("checkpoint") or {}
    rows = [
        ("network", checkpoint.get("name")),
        ("SHA-256", checkpoint.get("sha256")),
        ("sampler", record.get("sampler")),
        ("NFE", record.get("nfe")),
        ("seed", record.get("seed")),
        ("device", " ".join(str(record.get(key, "")) for key in ("device", "dtype")).strip()),
        ("made", record.get("created")),
    ]
    # The page is written before anybody can audit, and is not written again.
    later = (
        "not when this page was made; audit.json beside it, if there is one, says what was found"
    )
    rows.append(("compared with training images", later if "audited" in record else None))
    rows += [(f"{stage}, seconds", s) for stage, s in (record.get("seconds") or {}).items()]
    rows += [(name, words) for name, words in (record.get("versions") or {}).items()]
    rows += [(f"DICOM {name}", value) for name, value in (record.get("dicom") or {}).items()]
    return table([row for row in rows if row[1] not in (None, "")])


def _guidance(record: Mapping[str, Any]) -> str:
    errors = record.get("guidance_errors") or ()
    if not errors:
        return ""
    rows = [(e["condition"], e["factor"], e["stop"], _percent(e["error"])) for e in errors]
    head = ("condition", "factor", "stop", "guidance error / std")
    return f"<h3>How closely the references were followed</h3>{table(rows, head=head)}"


def _lesions(record: Mapping[str, Any], *, units: str) -> str:
    lesions = record.get("lesions") or ()
    if not lesions:
        return ""
    rows = [
        (
            lesion["mask"],
            _rounded(lesion["mean"], unit=units),
            _rounded(lesion["mean_around"], unit=units),
            _rounded(lesion["diameter_mm"], 1, unit="mm"),
            ", ".join(_rounded(value, 1) for value in lesion["centroid_mm"]),
        )
        for lesion in lesions
    ]
    head = ("lesion", "mean inside", "mean around", "diameter", "center, mm (LPS)")
    return f"<h3>Lesions in the result</h3>{table(rows, head=head)}"


def _labels(record: Mapping[str, Any]) -> str:
    labels = record.get("labels") or ()
    if not labels:
        return ""
    rows = [
        (
            label["mask"],
            label["name"],
            label["code"][2],
            label["voxels"],
            ", ".join(_rounded(value, 1) for value in label["centroid_mm"]),
        )
        for label in labels
    ]
    head = ("label", "name", "DICOM type", "voxels", "center, mm (LPS)")
    return f"<h3>Labels that the reference already had</h3>{table(rows, head=head)}"


def _flat(value: Any, at: str = "") -> Iterable[tuple[str, Any]]:
    """Key path and value of every leaf; short lists of plain values are leaves."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _flat(entry, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list)) for v in value):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{at}[{index}]")
    elif not (isinstance(value, (list, tuple)) and not value):
        yield at, value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(entry) for entry in value)
    return str(value)


def _rounded(value: float | None, digits: int = 0, *, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:.{digits}f} {unit}".strip()


def _percent(value: float | None, digits: int = 2) -> str:
    """A share as a percentage; one that would round to nothing says so."""
    if value is None:
        return "not measured"
    least = 10**-digits
    if 0 < 100 * value < least:
        return f"< {least:.{digits}f} %"
    return f"{100 * value:.{digits}f} %"


def _ratio(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"
