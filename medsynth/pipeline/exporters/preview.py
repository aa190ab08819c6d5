"""`preview.png`: one picture, reference and result side by side."""

from __future__ import annotations

from pathlib import Path

from medsynth.marking.manifest import sign_if_possible
from medsynth.pipeline import report
from medsynth.pipeline.exporters.base import Exporter, ExportInputs
from medsynth.pipeline.report.inputs import report_input


def write(inputs: ExportInputs, folder: Path) -> None:
    """`preview.png`, signed where the extra c2pa is installed."""
    file = folder / "preview.png"
    report.write_preview(report_input(inputs), file)
    weights = inputs.checkpoint.sha256 if inputs.checkpoint else ""
    sign_if_possible(file, weights=weights, composed=True)


EXPORTER = Exporter(
    title="Picture of reference and result",
    write=write,
    files=("preview.png",),
    rank=3,
    default=True,
    shows_result=True,
)
