"""What the server refuses: strangers, uploads that lie, requests for its own files, too much of anything."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
import requests
from job_server import REQUEST, JobServer, bundle


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with JobServer(folder, "--upload", "1") as running:
        running.folder = folder
        yield running


def kept(server):
    """Everything of jobs that the server's folder holds."""
    return [path for path in server.folder.glob(".medsynth-serve-*.partial-*/*")]


def refused(server, answer, status, words):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert words in error, error
    assert "\n" not in error
    assert str(server.folder) not in error  # the server's folders are nobody's business
    assert kept(server) == []  # nothing of a refused upload stays
    assert server.call("GET", "/v1/jobs").json() == []


def archive(**entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("token", ["", "wrong", "\xe9"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/server"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("DELETE", "/v1/jobs/x"),
        ("GET", "/v1/jobs/x/result.zip"),
        ("GET", "/v1/jobs/x/files/image.nrrd"),
    ],
)
def test_every_call_needs_the_token(server, method, path, token):
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    answer = requests.request(method, server.address + path, headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert requests.request(method, server.address + path, timeout=60).status_code == 401


def test_every_route_is_in_the_list_above(server):
    """A route that is added later must be guarded too."""
    schema = requests.get(server.address + "/openapi.json", timeout=60).json()
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            url = server.address + path.replace("{job}", "x").replace("{name}", "y")
            assert requests.request(method, url, timeout=60).status_code == 401, (method, path)
            assert said["security"], path


def test_the_page_says_what_it_takes_and_loads_nothing_from_elsewhere(server):
    answer = requests.get(server.address + "/docs", timeout=60)
    assert "/v1/jobs/{job}/result.zip" in answer.text
    assert "http" not in answer.text.replace("http-equiv", "").lower().split("<body>")[1]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "image",
    [
        *("/etc/passwd", "../film.png", "a/../../film.png", "~/film.png", "~root/film.png"),
        *("C:\\film.png", "\\\\server\\film.png", "a\\..\\..\\film.png"),
    ],
)
def test_a_request_cannot_name_files_of_the_server(server, tmp_path, image):
    anatomy = {**REQUEST["anatomy"], "image": image}
    body = bundle(tmp_path, {**REQUEST, "anatomy": anatomy})
    refused(server, server.submit(body), 422, "leads out of the upload")


@pytest.mark.parametrize("key", ["weights", "roi", "labels"])
def test_nor_by_another_key(server, tmp_path, key):
    request = json.loads(json.dumps(REQUEST))
    if key == "weights":
        request["weights"] = "/etc/passwd"
    elif key == "roi":
        request["pathologies"] = [{"roi": "/etc/passwd", "source": {"procedural": {}}}]
    else:
        request["anatomy"]["labels"] = [{"file": "/etc/passwd"}]
    refused(server, server.submit(bundle(tmp_path, request)), 422, "leads out of the upload")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:\\x", "~/x"])
def test_a_zip_entry_cannot_leave_its_folder(server, tmp_path, name):
    body = bundle(tmp_path, **{name: b"x"})
    refused(server, server.submit(body), 422, "leads elsewhere")


def test_a_zip_entry_cannot_be_a_link(server, tmp_path):
    link = zipfile.ZipInfo("film2.png")
    link.external_attr = 0o120777 << 16
    packed = io.BytesIO(bundle(tmp_path))
    with zipfile.ZipFile(packed, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    refused(server, server.submit(packed.getvalue()), 422, "a link or device")


@pytest.mark.slow
def test_a_bomb_is_stopped_while_it_unpacks(server, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("request.json", json.dumps(REQUEST))
        opened.writestr("zeros", bytes(50_000_000))
    assert len(packed.getvalue()) < 1_000_000
    refused(server, server.submit(packed.getvalue()), 413, "unpacks to more than 1,000,000 bytes")


@pytest.mark.slow
def test_a_bomb_that_lies_about_its_size_is_no_file_that_can_be_read(server):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("request.json", json.dumps(REQUEST))
        opened.writestr("zeros", bytes(50_000_000))
    said = (50_000_000).to_bytes(4, "little")
    lies = packed.getvalue().replace(said, (10).to_bytes(4, "little"))
    assert server.submit(lies).status_code in (413, 422)
    assert kept(server) == []


def test_an_upload_above_the_limit_is_refused_however_it_comes(server):
    body = bytes(1_500_000)
    refused(server, server.submit(body), 413, "more than 1,000,000 bytes")
    blocks = (body[i : i + 65536] for i in range(0, len(body), 65536))  # without a length
    refused(server, server.submit(blocks), 413, "more than 1,000,000 bytes")


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"no zip", "application/zip", 422, "no zip file"),
        (archive(**{"a.txt": "x"}), "application/zip", 422, "must hold one of request.yaml"),
        (b"preset: [", "application/yaml", 422, "not valid YAML"),
        (b"preset: lung", "application/yaml", 422, "preset"),
        (b"{}", "text/plain", 415, "expected Content-Type"),
        (b"\x00\xff", "application/json", 422, "not a text file"),
        (b"[" * 100_000, "application/json", 422, "request.json"),
        (b"a: &a [x]\nb: [*a, *a]\n" * 2, "application/yaml", 422, "request.yaml"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(server, body, kind, status, words):
    refused(server, server.submit(body, kind), status, words)


@pytest.mark.slow
def test_an_entry_that_comes_twice_is_refused(server, tmp_path):
    packed = io.BytesIO(bundle(tmp_path))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(packed, "a") as opened:
        opened.writestr("film.png", b"x")
    refused(server, server.submit(packed.getvalue()), 422, "twice")


def serve(*options, env=None):
    command = [sys.executable, "-m", "medsynth", "serve", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.slow
def test_other_computers_only_with_a_token_of_ones_own(tmp_path):
    said = serve("--host", "0.0.0.0")
    assert said.returncode == 2
    assert "give a token" in said.stderr
    (tmp_path / "token").write_text("short\n")
    said = serve("--host", "0.0.0.0", "--token-file", str(tmp_path / "token"))
    assert said.returncode == 2
    assert "at least 16" in said.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--jobs", "0"), "--jobs must be above 0"),
        (("--certificate", "a.pem"), "belong together"),
        (("--certificate", "a.pem", "--key", "b.pem"), "no such file: a.pem"),
        (("--folder", "nowhere"), "is no folder"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    said = serve(*options)
    assert said.returncode == 2
    assert words in said.stderr
    assert "Traceback" not in said.stderr
