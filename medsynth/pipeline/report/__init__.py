"""Pictures before numbers: `preview.png`, `report.html`, and what a factor keeps of an image."""

from medsynth.pipeline.report.data import ReportInput
from medsynth.pipeline.report.page import write_report
from medsynth.pipeline.report.sheet import write_low_pass, write_preview

__all__ = ["ReportInput", "write_low_pass", "write_preview", "write_report"]
