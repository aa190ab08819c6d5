"""`python -m medsynth.web.leaving OUT`: the marks of a result are verified before it is sent.

Nothing leaves whose pixels are not known to be synthetic, whatever its header says. Slices that were not synthesized
carry no mark and are in no registry: that they are those of the run, the session knows by their files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from medsynth import parent
from medsynth.web.complaints import complaining


def check_marks(out: Path) -> None:
    """Whether every header says that the image of OUT is synthetic, and its pixels are those that the run made.

    The mark in the pixels is not asked: it would also be found in an image that was changed since.

    Raises:
        ValueError: they do not.
    """
    import SimpleITK as sitk

    from medsynth.images import read_image
    from medsynth.pacs.collect import collect
    from medsynth.pipeline.marks import digest_of
    from medsynth.records.result import FILE

    collect(out)  # refuses an object whose header does not say it
    record = json.loads((out / FILE).read_text(encoding="utf-8"))
    listed = set(record.get("digests", {}).values())
    image = read_image(out / "dicom" / "image").image
    volume = sitk.GetArrayViewFromImage(image)
    missing = listed - {digest_of(plane) for plane in volume}
    if missing or not listed:
        raise ValueError(
            f"Not sent: nothing shows that these pixels are synthetic ({len(missing)} of {len(listed)} "
            f"slices that {FILE} lists are not in the DICOM files)."
        )


def seal_of(out: Path) -> dict[str, str]:
    """SHA-256 of every DICOM file of OUT, by its path in it."""
    files = sorted(path for path in (out / "dicom").rglob("*") if path.is_file())
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def check_seal(out: Path, seal: dict[str, str]) -> None:
    """Whether the DICOM files of OUT are those of which `seal` was taken, all of them and no other.

    Raises:
        ValueError: they are not.
    """
    found = seal_of(out)
    changed = [name for name in {**seal, **found} if seal.get(name) != found.get(name)]
    if changed:
        raise ValueError(
            f"Not sent: {len(changed)} of {len(seal)} DICOM files were changed since the run wrote them."
        )


def main() -> int:
    """Read the command line."""
    parent.end_with_it(130)
    with complaining():
        check_marks(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
