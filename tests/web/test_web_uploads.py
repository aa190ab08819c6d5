"""Uploads that lie about their size, type or names, and what is left of them: nothing."""

import io
import json
import zipfile

import pytest
from served_page import begin, complaint, get, until

from medsynth.web.transfer import ending_of

pytestmark = [pytest.mark.slow]
BOUNDARY = "----medsynth"
MOST = 2_000_000


@pytest.fixture(scope="module")
def session(serve):
    server = serve("--upload", MOST / 1e6, "--gone-minutes", 30)
    return server, begin(server)


def post(session, files):
    """(status, what it says) of an upload of (name, content)."""
    server, address = session
    body = b""
    for name, content in files:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        body += f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    status, _, said = get(f"{address}upload", cookie=server.token, data=body, headers=headers)
    return status, said


def packed(entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def detached(name):
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nendian: little\n"
    return (head + f"data file: {name}\n\n").encode()


LIES = {
    "too large": ([("a.nrrd", b"x" * (MOST + 1))], "more than"),
    "a bomb": ([("a.zip", packed([("a.nrrd", b"\0" * (20 * MOST))]))], "unpacks to more than"),
    "out of the folder": ([("a.zip", packed([("../../a.nrrd", b"x")]))], "leads elsewhere"),
    "a program": ([("a.exe", b"MZ")], "none of the kinds"),
    "a text": ([("a.nrrd", b"not an image at all")], ""),
    "another's file": ([("a.nrrd", detached("/etc/passwd"))], ""),
    "no zip": ([("a.zip", b"PK not really")], "no zip file"),
    "nothing": ([], "nothing was uploaded"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_and_leaves_no_file(session, lie):
    files, words = LIES[lie]
    status, said = post(session, files)
    assert status == 422
    assert words in complaint(said)
    assert str(session[0].folder) not in said  # the server's folders are nobody's business
    until(lambda: not [f for f in session[0].files() if "upload_" in str(f)], 10)
    assert "root:" not in said


def test_an_honest_image_is_opened_under_a_name_of_ours(session, chest):
    status, said = post(session, [("../../../etc/cron.d/chest.nrrd", chest.read_bytes())])
    assert (status, json.loads(said)) == (200, {})
    assert not [f for f in session[0].files() if "cron" in str(f) or f.name == "chest.nrrd"]


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("CT.NII.GZ", ".nii.gz"),
        ("a b.png", ".png"),
        ("IM000001", ""),
        ("1.2.840.113619.2.55", ""),
        (r"C:\images\a.dcm", ".dcm"),
        ("../a.nrrd", ".nrrd"),
    ],
)
def test_of_a_name_only_its_ending_counts(name, ending):
    assert ending_of(name) == ending


@pytest.mark.parametrize("name", ["a.exe", "a.nrrd.sh", "a.html", ".htaccess", "a.nhdr"])
def test_other_endings_are_refused(name):
    with pytest.raises(ValueError, match="none of the kinds"):
        ending_of(name)
