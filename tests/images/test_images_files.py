"""NIfTI, NRRD, MetaImage, PNG and JPEG: values, places, refusals; written whole or not at all."""

import os

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from medsynth.errors import GeometryError
from medsynth.images import check_same_geometry, read_image, read_mask, voxel_to_mm, write_image

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def volume(dtype=np.float32) -> sitk.Image:
    """An oblique, anisotropic volume of 4 x 5 x 6 voxels (i, j, k), every value different."""
    image = sitk.GetImageFromArray((np.arange(120).reshape(6, 5, 4) - 50).astype(dtype))
    image.SetSpacing([0.5, 0.8, 2.5])
    image.SetOrigin([-10, 20, 30])
    image.SetDirection(TURN.ravel().tolist())
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz", ".NRRD"])
def test_write_and_read_back(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(volume(), path)
    reference = read_image(path)
    check_same_geometry(reference.image, volume())
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(reference.image), sitk.GetArrayFromImage(volume())
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert reference.warnings == ()
    assert reference.source == str(path)


def test_nifti_written_by_nibabel_lies_where_nibabel_says_in_ras(tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = TURN * [0.5, 0.8, 2.5]
    affine[:3, 3] = [11, -22, 33]
    values = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    file = nibabel.Nifti1Image(values, affine)
    file.header.set_slope_inter(1, 0)
    nibabel.save(file, tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz").image
    for index in ((0, 0, 0), (3, 1, 5), (0, 4, 2)):
        assert image[index] == values[index]
        ras = nibabel.affines.apply_affine(affine, index)
        assert voxel_to_mm(image, index) == pytest.approx(ras * [-1, -1, 1], abs=1e-5)


def test_nifti_agrees_with_itk(tmp_path):
    sitk.WriteImage(volume(), str(tmp_path / "a.nii"))
    check_same_geometry(read_image(tmp_path / "a.nii").image, sitk.ReadImage(tmp_path / "a.nii"))


def test_nifti_scale_units_and_left_handed_axes(tmp_path):
    affine = np.diag([-0.002, 0.002, 0.005, 1])  # metres, left-handed in RAS
    file = nibabel.Nifti1Image(np.array([[[100, 200]]], np.int16), affine)
    file.header.set_xyzt_units("meter")
    file.header.set_slope_inter(2, -1024)
    nibabel.save(file, tmp_path / "a.nii")
    stored = nibabel.load(tmp_path / "a.nii").get_fdata()
    image = read_image(tmp_path / "a.nii").image
    assert image.GetSpacing() == pytest.approx((2, 2, 5))
    assert image.GetDirection() == pytest.approx((1, 0, 0, 0, -1, 0, 0, 0, 1))
    np.testing.assert_allclose(sitk.GetArrayFromImage(image).T, stored)


def test_nifti_refusals(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4, 5), np.int16), np.eye(4)), path)
    with pytest.raises(ValueError, match=r"a\.nii has 4 dimensions \(2, 3, 4, 5\)"):
        read_image(path)
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4, 1), np.int16), np.eye(4)), path)
    assert read_image(path).image.GetSize() == (2, 3, 4)
    rgb = np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), path)
    with pytest.raises(ValueError, match=r"a\.nii is not a gray image"):
        read_image(path)
    sheared = np.eye(4)
    sheared[0, 2] = 0.2
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), sheared), path)
    with pytest.raises(GeometryError, match=r"a\.nii: the axes are sheared"):
        read_image(path)
    nowhere = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), None)
    nibabel.save(nowhere, path)
    assert "does not say how it lies" in read_image(path).warnings[0]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz"])
def test_nan_and_infinity_are_refused_with_their_place(tmp_path, suffix):
    image = volume()
    image[1, 2, 3] = float("nan")
    image[2, 2, 3] = float("inf")
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    with pytest.raises(
        ValueError, match=r"2 values .* NaN or infinite \(first at voxel i=1, j=2, k=3"
    ):
        read_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz", ".png", ".jpg"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    if suffix in (".png", ".jpg"):
        Image.fromarray(noise).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(noise[None].astype(np.float32)), str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"a{suffix} cannot be read; it may be damaged") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_sixteen_bit_png_keeps_its_values(tmp_path):
    values = np.array([[0, 1, 255], [256, 40000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    reference = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(reference.image)[0], values)
    assert reference.is_2d
    assert reference.image.GetSize() == (3, 2, 1)
    assert reference.image.GetSpacing() == (1, 1, 1)
    assert "does not say its pixel size" in reference.warnings[0]


def test_the_pixel_size_that_itk_hides_in_a_png_is_not_believed(tmp_path):
    """ITK writes mm into the sCAL chunk, whose unit is the metre; others write other things."""
    flat = sitk.Image(4, 3, sitk.sitkUInt8)
    flat.SetSpacing([0.2, 0.3])
    sitk.WriteImage(flat, str(tmp_path / "a.png"))
    assert read_image(tmp_path / "a.png").image.GetSpacing() == (1, 1, 1)


def test_color_pictures_are_refused_and_gray_ones_in_color_accepted(tmp_path):
    gray = np.array([[0, 100, 255], [3, 50, 200]], np.uint8)
    rgb = np.stack([gray] * 3, axis=-1)
    gray_in_color = Image.fromarray(rgb)
    gray_in_color.save(tmp_path / "a.png")
    gray_in_color.convert("RGBA").save(tmp_path / "rgba.png")
    gray_in_color.convert("L").convert("P").save(tmp_path / "palette.png")
    for name in ("a.png", "rgba.png", "palette.png"):
        reference = read_image(tmp_path / name)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(reference.image)[0], gray, name)
    assert "gray throughout" in read_image(tmp_path / "a.png").warnings[0]
    rgb[1, 1, 2] += 1
    Image.fromarray(rgb).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png is a color image; convert it"):
        read_image(tmp_path / "b.png")
    glass = gray_in_color.convert("RGBA")
    glass.putpixel((1, 1), (7, 7, 7, 0))
    glass.save(tmp_path / "c.png")
    with pytest.raises(ValueError, match=r"c\.png has transparent pixels"):
        read_image(tmp_path / "c.png")
    Image.fromarray(gray).convert("LA").save(tmp_path / "d.png")
    with pytest.raises(ValueError, match=r"d\.png .* alpha channel; save it as plain gray"):
        read_image(tmp_path / "d.png")


def test_jpeg_values_are_pillow_s(tmp_path):
    smooth = np.tile(np.arange(0, 240, 6, dtype=np.uint8), (16, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg").image
    assert np.abs(sitk.GetArrayFromImage(image)[0] - smooth).max() <= 2
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    Image.fromarray(red).save(tmp_path / "b.jpg")
    with pytest.raises(ValueError, match="color image"):
        read_image(tmp_path / "b.jpg")


def test_two_dimensions_become_one_slice_and_four_are_refused(tmp_path):
    flat = sitk.GetImageFromArray(np.arange(6, dtype=np.float32).reshape(2, 3))
    flat.SetSpacing([0.5, 0.7])
    sitk.WriteImage(flat, str(tmp_path / "a.mha"))
    reference = read_image(tmp_path / "a.mha")
    assert reference.is_2d
    assert reference.image.GetSize() == (3, 2, 1)
    assert reference.image.GetSpacing() == pytest.approx((0.5, 0.7, 1))
    assert "one slice" in reference.warnings[0]
    series = sitk.JoinSeries([volume(), volume()])
    sitk.WriteImage(series, str(tmp_path / "b.nrrd"))
    with pytest.raises(ValueError, match=r"b\.nrrd has 4 dimensions \(4, 5, 6, 2\)"):
        read_image(tmp_path / "b.nrrd")
    sitk.WriteImage(sitk.JoinSeries([volume()]), str(tmp_path / "c.nrrd"))
    check_same_geometry(read_image(tmp_path / "c.nrrd").image, volume())


def test_vector_images_are_refused(tmp_path):
    sitk.WriteImage(sitk.Compose([volume()] * 2), str(tmp_path / "a.nrrd"))
    with pytest.raises(ValueError, match="2 values per voxel"):
        read_image(tmp_path / "a.nrrd")


def test_paths_that_cannot_be_meant(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_image(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_mask(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"neither DICOM nor one of \.nii"):
        read_image(tmp_path / "a.txt")
    write_image(volume(), tmp_path / "a.nrrd")
    with pytest.raises(ValueError, match="is not DICOM"):
        read_image(tmp_path / "a.nrrd", series_uid="1.2")


def test_masks_are_the_labels_that_are_not_zero(tmp_path):
    labels = sitk.Image(4, 5, 6, sitk.sitkInt16)
    labels.CopyInformation(volume())
    labels[1, 2, 3], labels[3, 0, 0] = 1, 7
    sitk.WriteImage(labels, str(tmp_path / "a.nrrd"))
    mask = read_mask(tmp_path / "a.nrrd")
    assert mask.GetPixelID() == sitk.sitkUInt8
    check_same_geometry(mask, volume())
    assert np.argwhere(sitk.GetArrayFromImage(mask)).tolist() == [[0, 0, 3], [3, 2, 1]]
    assert sitk.GetArrayFromImage(mask).max() == 1
    for odd, value in ((sitk.Abs(volume()) * 0.25, "12.5"), (volume(), "-50")):
        sitk.WriteImage(odd, str(tmp_path / "b.nrrd"))
        with pytest.raises(ValueError, match=f"is not a mask: it holds values such as {value};"):
            read_mask(tmp_path / "b.nrrd")


def test_picture_masks(tmp_path):
    disc = np.hypot(*np.mgrid[-16:16, -16:16]) < 9
    Image.fromarray(disc.astype(np.uint8) * 255).save(tmp_path / "a.png")
    Image.fromarray(disc.astype(np.uint8) * 255).save(tmp_path / "a.jpg", quality=80)
    for name in ("a.png", "a.jpg"):
        mask = sitk.GetArrayFromImage(read_mask(tmp_path / name))
        np.testing.assert_array_equal(mask[0], disc, name)


def test_slicer_s_overlapping_segments_are_united(tmp_path):
    layers = np.zeros((2, 4, 5, 6), np.uint8)
    layers[0, 1, 1, 1], layers[1, 2, 2, 2] = 1, 3
    header = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n"
        "sizes: 2 4 5 6\nspace directions: none (1,0,0) (0,2,0) (0,0,3)\n"
        "kinds: list domain domain domain\nencoding: raw\nspace origin: (1,2,3)\n\n"
    )
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(header.encode() + layers.tobytes(order="F"))
    mask = read_mask(path)
    assert mask.GetSpacing() == (1, 2, 3)
    assert np.argwhere(sitk.GetArrayFromImage(mask)).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_writing_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.nrrd"
    write_image(volume(), path)
    before = path.read_bytes()

    def half_written(image, name, **options):
        with open(name, "wb") as file:
            file.write(before[: len(before) // 2])

    monkeypatch.setattr(sitk, "WriteImage", half_written)
    with pytest.raises(OSError, match=r"cannot write .*a\.nrrd .*disk full"):
        write_image(volume() + 1, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.nrrd"]


def test_files_are_compressed(tmp_path):
    for suffix in (".nrrd", ".mha", ".nii.gz"):
        write_image(sitk.Image(64, 64, 64, sitk.sitkFloat32), tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").stat().st_size < 64**3


def test_writing_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"a\.png: \.png; use \.nrrd"):
        write_image(volume(), tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="folder .*none is not there"):
        write_image(volume(), tmp_path / "none" / "a.nrrd")
