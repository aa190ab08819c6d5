"""Pictures before numbers: `preview.png`, `report.html`, and what a factor keeps of an image."""

from medsynth.report.data import ReportInput
from medsynth.report.page import write_report
from medsynth.report.sheet import write_low_pass, write_preview

__all__ = ["ReportInput", "write_low_pass", "write_preview", "write_report"]
