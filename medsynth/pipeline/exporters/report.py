"""`report.html`: pictures, figures and the request on one page."""

from __future__ import annotations

from pathlib import Path

from medsynth.pipeline import report
from medsynth.pipeline.exporters.base import Exporter, ExportInputs
from medsynth.pipeline.report.inputs import report_input


def write(inputs: ExportInputs, folder: Path) -> None:
    """`report.html`."""
    report.write_report(report_input(inputs), folder / "report.html")


EXPORTER = Exporter(
    title="Report with pictures and figures",
    write=write,
    files=("report.html",),
    rank=4,
    default=True,
    shows_result=True,
)
