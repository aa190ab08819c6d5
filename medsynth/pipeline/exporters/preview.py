"""`preview.png`: one picture, reference and result side by side."""

from __future__ import annotations

from pathlib import Path

from medsynth.pipeline import report
from medsynth.pipeline.exporters.base import Delivery, Exporter
from medsynth.pipeline.report.delivery import report_input


def write(delivery: Delivery, folder: Path) -> None:
    """`preview.png`."""
    report.write_preview(report_input(delivery), folder / "preview.png")


EXPORTER = Exporter(
    title="Picture of reference and result",
    write=write,
    files=("preview.png",),
    rank=3,
    default=True,
    shows_result=True,
)
