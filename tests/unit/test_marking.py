"""The header marks, each read back by another reader than the one that wrote them."""

import io

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from medsynth import marking
from medsynth.cli.phantom import _write
from medsynth.dicom.provenance import COMMENT
from medsynth.events import ignore
from medsynth.images import write_image
from medsynth.pipeline.report import pictures


def volume():
    return sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_says_it_in_descrip_and_aux_file(tmp_path, suffix):
    write_image(volume(), tmp_path / f"a{suffix}")
    header = nibabel.load(tmp_path / f"a{suffix}").header
    assert header["descrip"].item().decode() == marking.TEXT
    assert header["aux_file"].item().decode() == marking.WORD


@pytest.mark.parametrize(
    ("suffix", "line"),
    [(".nrrd", "SYNTHETIC:={}\n"), (".mha", "SYNTHETIC = {}\n"), (".mha", "Comment = {}\n")],
)
def test_text_headers_say_it_in_a_line_of_their_own(tmp_path, suffix, line):
    write_image(volume(), tmp_path / f"a{suffix}")
    head = (tmp_path / f"a{suffix}").read_bytes()
    assert line.format(marking.TEXT).encode() in head


def test_a_png_and_a_jpeg_say_it():
    data = io.BytesIO()
    Image.new("L", (4, 4)).save(data, "PNG", pnginfo=marking.png_chunks())
    assert Image.open(data).text == {"SYNTHETIC": marking.TEXT, "Description": marking.TEXT}
    plain, marked = (
        Image.open(io.BytesIO(pictures.jpeg(np.zeros((8, 8), np.uint8), (8, 8), **options)))
        for options in ({"quality": 80}, {"quality": 80, "comment": marking.jpeg_comment()})
    )
    assert "comment" not in plain.info
    assert marked.info["comment"] == marking.TEXT.encode()


@pytest.mark.slow
def test_a_phantom_and_its_labels_say_it(tmp_path):
    from argparse import Namespace
    from types import SimpleNamespace

    options = {"seed": 1, "slices": 1, "size": (32, 32), "spacing_mm": (12.0, 12.0, 3.0)}
    files = {"out": tmp_path / "a.nrrd", "labels": tmp_path / "b.nii.gz"}
    args = Namespace(**files, overwrite=False, save_control_points=None)
    _write(args, SimpleNamespace(kind="thorax", options=options), ignore)
    assert sitk.ReadImage(str(files["out"])).GetMetaData("SYNTHETIC") == marking.TEXT
    assert nibabel.load(files["labels"]).header["descrip"].item().decode() == marking.TEXT


def test_dicom_says_the_same_words_and_nifti_can_hold_them():
    assert COMMENT == marking.TEXT
    assert len(marking.TEXT) <= 79
