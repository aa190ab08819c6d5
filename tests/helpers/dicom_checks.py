"""What an independent validator says about DICOM files, less the one message that is expected.

`dciodvfy` of Debian's dicom3tools has the dictionary of 2022, which does not know SyntheticData
(0008,001C): it complains about that tag in every file. Nothing else may be said.
"""

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

EXPECTED = (
    "(0x0008,0x001c)  ?  - Warning - Unrecognized tag - assuming explicit value representation OK",
    (
        "Error - Attribute with an even group number is not a recognized standard attribute - "
        "(0x0008,0x001c)  ?"
    ),
    "Warning - Attribute is not present in standard DICOM IOD - (0x0008,0x001c)  ?",
    (
        "Warning - Dicom dataset contains attributes not present in standard DICOM IOD - this is a "
        "Standard Extended SOP Class"
    ),
)


def dicom_files(folder: Path) -> list[Path]:
    """All files below `folder` that end in .dcm, sorted; at least one."""
    files = sorted(Path(folder).rglob("*.dcm"))
    assert files, f"no DICOM files below {folder}"
    return files


def dciodvfy_complaints(files: Sequence[Path], program: str) -> Counter:
    """Unexpected messages of dciodvfy and how many files got each; asserts that it did look."""
    complaints: Counter = Counter()
    for file in files:
        done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
        for message in EXPECTED:
            assert lines.count(message) == 1, f"{file}: expected once {message!r}, got {lines}"
        messages = [line for line in lines if "Error" in line or "Warning" in line]
        complaints.update(line for line in messages if line not in EXPECTED)
    return complaints


def dcentvfy_complaints(files: Sequence[Path], program: str) -> list[str]:
    """What dcentvfy says about the whole set; it is silent when the objects belong together."""
    names = [str(file) for file in files]
    done = subprocess.run([program, *names], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).split("\n")[:-1]


def assert_clean(folder: Path, *, dciodvfy: str, dcentvfy: str) -> None:
    """Every file below `folder` by itself, and all of them together, are without fault."""
    files = dicom_files(folder)
    complaints = dciodvfy_complaints(files, dciodvfy)
    assert not complaints, complaints
    assert dcentvfy_complaints(files, dcentvfy) == []
