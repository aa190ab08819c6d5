"""The header mark: one text, and the fields of NRRD, MetaImage, NIfTI, PNG and JPEG that hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsynth import __version__

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

WORD = "SYNTHETIC"
# At most 79 characters: NIfTI's descrip holds no more.
TEXT = f"{WORD}: made by medsynth {__version__}. Not a real examination, not for diagnosis."
KEY = WORD

# What ITK's writers turn into fields of the header: NIfTI's descrip and aux_file, MetaImage's
# Comment. NRRD and MetaImage keep any other key with its value.
_NIFTI = {"ITK_FileNotes": TEXT, "aux_file": WORD}
_FIELDS = {
    ".nrrd": {KEY: TEXT},
    ".mha": {KEY: TEXT, "Comment": TEXT},
    ".nii": _NIFTI,
    ".nii.gz": _NIFTI,
}


def header_fields(suffix: str) -> dict[str, str]:
    """Keys of ITK's metadata dictionary that mark a file of this suffix, with their values."""
    return dict(_FIELDS[suffix])


def png_chunks() -> PngInfo:
    """The text chunks (iTXt) that mark a PNG, as Pillow's `save` takes them (`pnginfo`)."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for keyword in (KEY, "Description"):
        chunks.add_itxt(keyword, TEXT)
    return chunks


def jpeg_comment() -> bytes:
    """The comment segment that marks a JPEG, as Pillow's `save` takes it (`comment`)."""
    return TEXT.encode("ascii")
