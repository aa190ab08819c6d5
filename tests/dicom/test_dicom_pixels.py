"""Stored values: nearest, within the type, padding kept and avoided, every loss counted."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medsynth.dicom.image_classes import CT, DX
from medsynth.dicom.pixels import Depth, Padding, Rescale, encode, widened
from medsynth.dicom.storage import depth_of, padding_of, rescale_of, rescale_without_reference
from medsynth.domains import get

SIGNED_16 = Depth(16, True)
UNSIGNED_12 = Depth(12, False)


@pytest.mark.parametrize("rescale", [Rescale(1, -1024), Rescale(0.37, 5), Rescale(1, 0, 4095)])
def test_whole_steps_come_back_exactly_in_float32(rescale):
    stored = np.arange(4096).reshape(64, 64)
    physical = rescale.physical(stored).astype(np.float32)
    encoded = encode(physical, rescale, depth=UNSIGNED_12, padding=None, padded=None)
    np.testing.assert_array_equal(encoded.stored, stored)
    assert (encoded.clipped, encoded.moved) == (0, 0)


def test_a_value_is_off_by_half_a_step_at_most():
    physical = np.random.default_rng(0).uniform(-1000, 2000, (40, 40)).astype(np.float32)
    for slope in (0.5, 1.0, 1.8):
        rescale = Rescale(slope, -1024)
        encoded = encode(physical, rescale, depth=SIGNED_16, padding=None, padded=None)
        error = np.abs(rescale.physical(encoded.stored) - physical).max()
        assert error <= slope / 2 + 1e-3


def test_what_does_not_fit_is_clipped_and_counted():
    physical = np.array([[-1, 0, 4095, 4096, 9000]], np.float32)
    encoded = encode(physical, Rescale(), depth=UNSIGNED_12, padding=None, padded=None)
    assert encoded.stored.tolist() == [[0, 0, 4095, 4095, 4095]]
    assert encoded.clipped == 3


def test_padded_voxels_keep_the_value_they_had_and_others_avoid_it():
    padding = Padding(-2000, -1990)
    padded = np.array([[True, True, False, False, False]])
    physical = np.array([[-1995, 77, -2000, -1990, -1989]], np.float32)
    encoded = encode(physical, Rescale(), depth=SIGNED_16, padding=padding, padded=padded)
    assert encoded.stored.tolist() == [[-1995, -2000, -1989, -1989, -1989]]
    assert encoded.moved == 2


def test_padded_voxels_are_not_counted_as_clipped():
    padded = np.array([[True, False, False]])
    physical = np.array([[-3024, -3024, 5]], np.float32)
    padding = Padding(0, 0)
    encoded = encode(physical, Rescale(1, -1024), depth=UNSIGNED_12, padding=padding, padded=padded)
    assert encoded.stored.tolist() == [[0, 1, 1029]]
    assert (encoded.clipped, encoded.moved) == (1, 0)


def test_padding_at_the_top_of_the_type_is_avoided_downwards():
    padding = Padding(4095, 4095)
    physical = np.array([[4095, 4094]], np.float32)
    encoded = encode(physical, Rescale(), depth=UNSIGNED_12, padding=padding, padded=None)
    assert encoded.stored.tolist() == [[4094, 4094]]


@pytest.mark.parametrize(
    ("needed", "may_be_signed", "expected"),
    [
        ((0, 4095), True, UNSIGNED_12),
        ((0, 4096), True, Depth(16, False)),
        ((-1, 4095), True, SIGNED_16),
        ((-1, 4095), False, Depth(16, False)),
        ((-1, 40000), True, SIGNED_16),
        ((0, 70000), True, Depth(16, False)),
    ],
    ids=["fits", "more bits", "other sign", "never signed", "too wide", "too high"],
)
def test_the_type_is_widened_no_more_than_needed(needed, may_be_signed, expected):
    assert widened(UNSIGNED_12, [(5, 6), needed], may_be_signed=may_be_signed) == expected


def test_least_depth_of_a_class_is_kept():
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = 8, 1
    assert depth_of(header, CT) == Depth(12, True)
    assert depth_of(header, DX) == Depth(8, False)


@pytest.mark.parametrize(
    ("representation", "written", "expected"),
    [(1, -2000, -2000), (1, 63536, -2000), (0, 63536, 63536), (0, -2000, 63536)],
)
def test_padding_value_written_with_the_wrong_sign_is_understood(representation, written, expected):
    header = Dataset()
    header.PixelRepresentation = representation
    header.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
    assert padding_of(header) == Padding(expected, expected)


def test_padding_that_the_stored_bits_cannot_hold_is_the_negative_one_that_was_meant():
    header = Dataset()
    header.PixelRepresentation, header.BitsStored = 0, 12
    header.add_new("PixelPaddingValue", "US", 63536)
    assert padding_of(header) == Padding(-2000, -2000)
    assert padding_of(header, may_be_signed=False) == Padding(63536, 63536)


def test_padding_value_of_unknown_representation_is_understood():
    header = Dataset()
    header.PixelRepresentation = 1
    header.add_new("PixelPaddingValue", "UN", b"\x30\xf8")
    assert padding_of(header) == Padding(-2000, -2000)


def test_a_mirrored_radiograph_is_stored_as_it_came():
    header = Dataset()
    header.PhotometricInterpretation, header.Modality = "MONOCHROME1", "CR"
    header.BitsAllocated, header.BitsStored, header.PixelRepresentation = 16, 10, 0
    rescale = rescale_of(header)
    # medsynth.images gives (0 + 1023) - stored for it
    assert rescale.stored(np.array([1023.0, 1000.0, 0.0])).tolist() == [0, 23, 1023]


def test_units_that_integers_cannot_tell_apart_are_refused():
    from dataclasses import replace

    from medsynth.domains import IntensityMap

    preset = replace(get("lung_ct"), intensity=IntensityMap((0, 1), (-1, 1)))
    with pytest.raises(ValueError, match="at least 256 units"):
        rescale_without_reference(preset)
