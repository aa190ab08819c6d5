"""`python -m medsynth.web.reading UPLOAD OUT`: an uploaded image as the views take it.

In a process of its own: a file that is meant to harm its reader harms nothing else, and the page goes on
while a large series is read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from medsynth import parent
from medsynth.events import Listener, ignore
from medsynth.web.complaints import complaining, say

SHOWN, ABOUT = "shown.nrrd", "about.json"


def read(upload: Path, out: Path, *, listener: Listener = ignore) -> None:
    """Write the image as NRRD, and what its pixels do not tell, into the folder `out`.

    The file is for the session's own views: not compressed, which takes longer than reading the series, and
    without the mark of `images.write_image`, since what was uploaded is not synthetic.

    Args:
        upload: a folder: one image file, or the files of one DICOM series.
        listener: called with progress.

    Raises:
        ValueError: it holds no image, or none that can be read.
    """
    import SimpleITK as sitk

    from medsynth import dicom
    from medsynth.images import read_image
    from medsynth.verification.header_layer import mark_in_header

    files = [path for path in upload.rglob("*") if path.is_file()]
    found = read_image(files[0] if len(files) == 1 else upload, listener=listener)
    said = dicom.said_by(found.headers[0]) if found.headers else {}
    about = {"dicom": bool(found.headers), "warnings": found.warnings, "said": said}
    about["synthetic"] = mark_in_header(files[0]) is not None
    sitk.WriteImage(_small(found.image), str(out / SHOWN))
    (out / ABOUT).write_text(json.dumps(about))


def _small(image: Any) -> Any:
    """The same values in half the memory, where they are whole numbers."""
    import numpy as np
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(image)
    as_int = values.astype(np.int16)
    return sitk.Cast(image, sitk.sitkInt16) if np.array_equal(values, as_int) else image


def main() -> int:
    """Read the command line."""
    parent.end_with_it(130)
    with complaining():
        read(Path(sys.argv[1]), Path(sys.argv[2]), listener=say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
