"""C2PA manifests: the picture stays, the manifest says synthetic, a change is noticed, nothing leaves."""

import http.server
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from medsynth.marking import TEXT, jpeg_comment, manifest, png_chunks
from medsynth.marking.manifest import WEIGHTS, check_signing, read_manifest, sign_picture
from medsynth.marking.signing_key import make_signing_key, own_signing_key, self_made

c2pa = pytest.importorskip("c2pa")


@pytest.fixture(autouse=True)
def no_key(tmp_path, monkeypatch):
    """No key of whoever runs the tests; where one would be made."""
    monkeypatch.delenv("MEDSYNTH_SIGNING_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path / "settings" / "medsynth" / "signing.pem"


@pytest.fixture(params=["8.png", "16.png", "color.png", "gray.jpg"])
def picture(request, tmp_path):
    values = np.random.default_rng(1).integers(0, 255, (60, 80)).astype(np.uint8)
    pixels = {"16.png": values.astype(np.uint16) * 257, "color.png": np.stack([values] * 3, -1)}
    path = tmp_path / request.param
    marks = {"comment": jpeg_comment()} if path.suffix == ".jpg" else {"pnginfo": png_chunks()}
    Image.fromarray(pixels.get(request.param, values)).save(path, **marks)
    return path


def test_the_picture_stays_and_says_that_it_is_synthetic(picture):
    before = np.asarray(Image.open(picture))
    size = picture.stat().st_size
    assert read_manifest(picture) is None
    sign_picture(picture, weights="ab" * 32)
    with Image.open(picture) as after:
        assert np.array_equal(np.asarray(after), before)
        kept = after.info.get("comment") or after.info.get("SYNTHETIC")
    assert (kept.decode() if isinstance(kept, bytes) else kept) == TEXT
    found = read_manifest(picture)
    assert (found.valid, found.synthetic, found.trusted) == (True, True, False)
    assert found.weights == "ab" * 32
    assert "self-made" in found.signer
    assert picture.stat().st_size < size + 6000  # no copy of the picture inside


def test_what_c2pa_itself_reads(picture):
    sign_picture(picture, composed=True)
    read = json.loads(c2pa.Reader(picture).json())
    active = read["manifests"][read["active_manifest"]]
    (action,) = active["assertions"][0]["data"]["actions"]
    assert action["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert WEIGHTS not in action.get("parameters", {})
    assert picture.name not in json.dumps(read)  # a file's name may be a patient's


def test_one_changed_byte_is_noticed(picture):
    sign_picture(picture)
    data = bytearray(picture.read_bytes())
    data[-40 if picture.suffix == ".png" else -10] ^= 1
    picture.write_bytes(data)
    found = read_manifest(picture)
    assert not found.valid
    assert "assertion.dataHash.mismatch" in found.why_not


def test_a_manifest_of_something_else_is_not_taken_for_synthetic(tmp_path):
    path = tmp_path / "a.png"
    source, target = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(source, "PNG")
    claim = {
        "claim_generator_info": [{"name": "camera", "version": "1"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": manifest.SOURCE_TYPES + "digitalCapture",
                        }
                    ]
                },
            }
        ],
    }
    signer = manifest._signer(manifest.signing_key())
    c2pa.Builder(claim).sign(signer, "image/png", io.BytesIO(source.getvalue()), target)
    path.write_bytes(target.getvalue())
    found = read_manifest(path)
    assert (found.valid, found.synthetic, found.generator) == (True, False, "camera 1")


@pytest.mark.slow
def test_a_key_of_the_users_own_signs_and_its_name_is_said(picture, no_key):
    make_signing_key("Radiology, Example Hospital")
    assert no_key.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError, match="is there already"):
        make_signing_key("another")
    sign_picture(picture)
    found = read_manifest(picture)
    assert (found.valid, found.signer) == (True, "Radiology, Example Hospital")


def test_keys_of_elliptic_curves_sign_too(picture, no_key):
    from cryptography.hazmat.primitives.asymmetric import ec

    no_key.parent.mkdir(parents=True)
    for curve in (ec.SECP256R1(), ec.SECP384R1()):
        key = self_made(lambda curve=curve: ec.generate_private_key(curve), "curve", own=True)
        no_key.write_bytes(key.pem() + key.certificates())
        sign_picture(picture)
        assert read_manifest(picture).valid


@pytest.fixture
def server():
    """Its address, and the paths that were asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/", asked
        made.shutdown()
        thread.join()


def test_a_manifest_elsewhere_is_not_fetched(picture, server):
    address, asked = server
    target = io.BytesIO()
    with c2pa.Context.from_dict(manifest.SETTINGS) as context:
        builder = c2pa.Builder(manifest._claim("", manifest.MADE), context)
        builder.set_no_embed()
        builder.set_remote_url(address + "manifest")
        signer = manifest._signer(manifest.signing_key())
        mime = manifest.MIME[picture.suffix]
        builder.sign(signer, mime, io.BytesIO(picture.read_bytes()), target)
    picture.write_bytes(target.getvalue())
    found = read_manifest(picture)
    assert found is None or not found.valid
    assert asked == []


def bad_keys():
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    def curve():
        return ec.generate_private_key(ec.SECP256R1())

    one, other = self_made(curve, "one", own=True), self_made(curve, "other", own=True)
    short = self_made(lambda: rsa.generate_private_key(65537, 1024), "short", own=True)
    return {
        "expected a private key and its certificate": one.certificates(),
        "is not that of the private key": one.pem() + other.certificates(),
        "has 1024 bits": short.pem() + short.certificates(),
    }


def test_a_key_that_cannot_sign_is_refused_before_any_work(no_key, monkeypatch, tmp_path):
    no_key.parent.mkdir(parents=True)
    for words, data in bad_keys().items():
        no_key.write_bytes(data)
        with pytest.raises(ValueError, match=words) as error:
            check_signing()
        assert "medsynth sign --new-key" in str(error.value)
    monkeypatch.setenv("MEDSYNTH_SIGNING_KEY", str(tmp_path / "none.pem"))
    with pytest.raises(FileNotFoundError, match=r"none\.pem"):
        own_signing_key()
