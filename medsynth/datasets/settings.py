"""What is trained on, as a recipe says it: no images are read here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Data:
    """What is trained on, and who never reaches the trainer.

    `layout` says how the images lie below `root` (one of `datasets.layouts.LAYOUTS`), `table` names
    the CSV file of the layout `table`. `held_out` are patients by name, glob or range
    (`HEAD-084..HEAD-099`); of the others a share of `held_out_fraction`, chosen by a hash of the
    name. `exclude` drops images whose path below `root` starts with one of these prefixes, `every`
    takes every n-th slice of a volume. `patient_pattern` is a regular expression whose first group
    finds the patient in the path of a NIfTI file; `pixel_mm` is the pixel size of files that do not
    say it. `statement` and `license` travel in the header of the weights.
    """

    root: str | None = None
    layout: str = "patients"
    table: str = ""
    held_out: tuple[str, ...] = ()
    held_out_fraction: float = 0.0
    exclude: tuple[str, ...] = ()
    every: int = 1
    patient_pattern: str = ""
    pixel_mm: float | None = None
    statement: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"data.every must be at least 1, got {self.every}")
        if self.pixel_mm is not None and not self.pixel_mm > 0:
            raise ValueError(f"data.pixel_mm must be above 0, got {self.pixel_mm:g}")
        if not 0 <= self.held_out_fraction < 1:
            raise ValueError(
                "data.held_out_fraction must be at least 0 and below 1, got "
                f"{self.held_out_fraction:g}"
            )
