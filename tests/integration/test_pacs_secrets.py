"""No password or token is in any file that is left, nor in anything that is printed."""

import base64

import pytest
from pacs_faults import stow_server
from pacs_objects import make_out
from pacs_servers import DICOMWEB_PLUGIN, medsynth, orthanc
from test_pacs_faults import store_all

pytestmark = pytest.mark.pacs

PASSWORD, TOKEN = "Kastanie-4711-geheim", "tok-Ahornblatt-0815"  # noqa: S105


def leaks(secret, texts, folder):
    """Where `secret` shows: as it is, in base64, or percent-encoded."""
    forms = [secret, base64.b64encode(secret.encode()).decode().rstrip("=")]
    forms.append(base64.b64encode(f"anna:{secret}".encode()).decode())
    places = [text for text in texts if any(form in text for form in forms)]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            places += [str(path) for form in forms if form.encode() in content]
    return places


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def test_basic_credentials_reach_the_server_and_nothing_else(home, tmp_path, needs_tool):
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")
    out = make_out(tmp_path / "out", 3)
    settings = {"AuthenticationEnabled": True, "RegisteredUsers": {"anna": PASSWORD}}
    said = []

    def run(*arguments, password=PASSWORD, code):
        env = {"MEDSYNTH_PACS_WEB_PASSWORD": password} if password else {}
        done = medsynth(home, *arguments, env=env)
        said.extend([done.stdout, done.stderr])
        assert done.returncode == code, done.stderr
        return done

    home.mkdir()
    with orthanc(tmp_path / "server" / "orthanc", **settings) as server:
        options = ["--auth", "basic", "--user", "anna", "--settle", 0]
        run("pacs", "add", "web", "--url", server.url, *options, code=0)
        assert (
            "MEDSYNTH_PACS_WEB_PASSWORD" in run("pacs", "test", "web", password="", code=2).stderr
        )
        wrong = run("send", out, "--to", "web", password="wrong" + PASSWORD, code=3)
        assert "not accepted" in wrong.stderr
        run("send", out, "--to", "web", "--debug", "--progress", "json", code=0)
        run("pacs", "test", "web", code=0)
        run("outbox", "show", "web", code=0)
        run("fetch", "web", "--patient", "SYN", "--modality", "CT", "-o", home / "got", code=0)
    server.kill()
    with_server_gone = run("send", out, "--to", "web", "--attempts", 1, "--debug", code=3)
    assert "no connection" in with_server_gone.stderr
    assert leaks(PASSWORD, said, home) == []


def test_bearer_tokens_reach_the_server_and_nothing_else(home, tmp_path):
    out, said = make_out(tmp_path / "out", 2), []
    home.mkdir()
    with stow_server(store_all) as (url, service):
        for arguments in (
            ["pacs", "add", "cloud", "--url", url, "--auth", "bearer", "--settle", 0],
            ["send", out, "--to", "cloud", "--debug"],
            ["outbox"],
        ):
            done = medsynth(home, *arguments, env={"MEDSYNTH_PACS_CLOUD_TOKEN": TOKEN})
            assert done.returncode == 0, done.stderr
            said.extend([done.stdout, done.stderr])
    assert {headers["Authorization"] for headers in service.headers} == {f"Bearer {TOKEN}"}
    assert leaks(TOKEN, said, home) == []


def test_a_redirect_does_not_carry_the_token_away(home, tmp_path):
    out = make_out(tmp_path / "out", 1, seg=False)
    with stow_server(lambda datasets, request: (302, {}, [])) as (url, _):
        options = ["--auth", "bearer", "--settle", 0]
        medsynth(home, "pacs", "add", "cloud", "--url", url, *options)
        token = {"MEDSYNTH_PACS_CLOUD_TOKEN": TOKEN}
        sent = medsynth(home, "send", out, "--to", "cloud", env=token)
    assert sent.returncode == 3
    assert "redirects are not followed" in sent.stderr


def test_the_search_for_leaks_finds_a_leak(tmp_path):
    """Otherwise the two tests above prove nothing."""
    (tmp_path / "journal").write_text(base64.b64encode(f"anna:{PASSWORD}".encode()).decode())
    assert leaks(PASSWORD, [], tmp_path) == [str(tmp_path / "journal")]
    assert leaks(PASSWORD, [f"Authorization: {PASSWORD}"], tmp_path / "empty") != []
