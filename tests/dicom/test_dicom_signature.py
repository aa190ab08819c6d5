"""Digital signatures: DCMTK's dcmsign is the referee, both ways."""

import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import JOB, SHAPE, reference_headers, write_made

from medsynth.dicom import LesionMask, signature, write_segmentation
from medsynth.dicom.signature import sign, signatures
from medsynth.marking.signing_key import make_signing_key, own_signing_key, self_made

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives.serialization import Encoding  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("keys")
        patch.setenv("MEDSYNTH_SIGNING_KEY", str(folder / "signing.pem"))
        make_signing_key("Dr. Test")
        return own_signing_key()


@pytest.fixture
def files(tmp_path, image):
    """A slice in the reference's character set, and a segmentation with nested sequences."""
    headers = reference_headers(image, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    images = write_made(tmp_path, image, headers=headers, patient="keep").files
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1:3, 2:5, 3:7] = 1
    mask = sitk.GetImageFromArray(voxels)
    mask.CopyInformation(image)
    lesion = LesionMask(mask, "Nodule", "spiculated")
    return [images[0], write_segmentation([lesion], tmp_path / "seg", files=images, job=JOB)]


@pytest.fixture
def dcmsign(needs_tool, key, tmp_path):
    """Runs it with trust in the key's own authority: exit code and words."""
    program = needs_tool("dcmsign", "dcmtk")
    (tmp_path / "root.pem").write_bytes(key.chain[-1].public_bytes(Encoding.PEM))

    def run(*arguments):
        if "+s" not in arguments:
            arguments = ("+cf", tmp_path / "root.pem", *arguments)
        done = subprocess.run(
            [program, "-v", *map(str, arguments)], capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_dcmsign_finds_our_signature_valid_and_of_the_creator_profile(key, files, dcmsign):
    for file in files:
        sign(file, key)
        code, words = dcmsign("--require-creator", file)
        assert code == 0, words
        assert "1 signatures verified in dataset, 0 corrupted" in words


def test_dcmsign_and_we_find_one_changed_value(key, files, dcmsign):
    for file in files:
        sign(file, key)
        dataset = pydicom.dcmread(file)
        dataset.PatientID = "another"
        dataset.save_as(file)
        assert dcmsign(file)[0] != 0
        assert [s.valid for s in signatures(file)] == [False]
        assert "changed since" in signatures(file)[0].why_not


def test_we_find_the_signature_of_dcmsign_valid(key, files, tmp_path, dcmsign):
    (tmp_path / "key.pem").write_bytes(key.pem())
    (tmp_path / "cert.pem").write_bytes(key.certificates())
    for file in files:
        code, words = dcmsign(
            *("+m2", "+pc", "+s", tmp_path / "key.pem", tmp_path / "cert.pem"), file, file
        )
        assert code == 0, words
        (found,) = signatures(file)
        assert (found.valid, found.signer) == (True, "Dr. Test"), found.why_not


def test_pixels_and_header_stay_what_they_were(key, files):
    for file in files:
        before = pydicom.dcmread(file)
        sign(file, key)
        after = pydicom.dcmread(file)
        assert signatures(file)[0].synthetic
        for each in before:
            assert after[each.tag] == each
        del after.MACParametersSequence, after.DigitalSignaturesSequence
        assert after == before


def test_a_second_signature_leaves_the_first_valid(key, files, dcmsign):
    sign(files[0], key)
    sign(files[0], key)
    assert [s.valid for s in signatures(files[0])] == [True, True]
    assert dcmsign(files[0])[0] == 0


def test_a_signature_without_the_pixels_does_not_speak_for_them(key, files, monkeypatch):
    """Another program may sign some attributes alone: the tag Synthetic Data, and somebody's pixels."""
    whole = signature._can_be_signed
    with monkeypatch.context() as patch:
        patch.setattr(
            signature,
            "_can_be_signed",
            lambda dataset, tag: tag != 0x7FE00010 and whole(dataset, tag),
        )
        sign(files[0], key)
    (found,) = signatures(files[0])
    assert (found.valid, found.synthetic) == (True, False)
    sign(files[0], key)
    assert signatures(files[0])[1].synthetic


def test_what_cannot_be_signed_is_refused(key, files):
    from cryptography.hazmat.primitives.asymmetric import ec

    before = files[0].read_bytes()
    curve = self_made(lambda: ec.generate_private_key(ec.SECP256R1()), "curve", own=True)
    with pytest.raises(ValueError, match="RSA keys"):
        sign(files[0], curve)
    assert files[0].read_bytes() == before
    dataset = pydicom.dcmread(files[0])
    del dataset.SyntheticData
    dataset.save_as(files[0])
    with pytest.raises(ValueError, match="not marked as synthetic"):
        sign(files[0], key)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: setattr(d.DigitalSignaturesSequence[0], "CertificateOfSigner", b"no"),
        lambda d: delattr(d, "MACParametersSequence"),
        lambda d: setattr(d.MACParametersSequence[0], "MACAlgorithm", "MD5"),
        lambda d: delattr(d.DigitalSignaturesSequence[0], "Signature"),
        lambda d: setattr(
            d.MACParametersSequence[0], "DataElementsSigned", [0x7FE00010, 0x4FFE0001]
        ),
    ],
)
def test_a_damaged_signature_is_not_valid_and_says_why(key, files, damage):
    sign(files[0], key)
    dataset = pydicom.dcmread(files[0])
    damage(dataset)
    dataset.save_as(files[0])
    (found,) = signatures(files[0])
    assert not found.valid
    assert "cannot be checked" in found.why_not
