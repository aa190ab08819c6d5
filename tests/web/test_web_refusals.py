"""What `medsynth web` refuses before anything is served; needs no page."""

from importlib.util import find_spec

import pytest

from medsynth.cli.app import main


def refused(capsys, *options):
    assert main(["web", *options]) == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_elsewhere_needs_a_token_and_a_certificate(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSYNTH_WEB_TOKEN", raising=False)
    token = tmp_path / "token"
    token.write_text("a token that is long enough")
    pem = tmp_path / "a.pem"
    pem.write_text("")
    everywhere = ("--host", "0.0.0.0")
    for options in (
        (),
        ("--token-file", str(token)),
        ("--certificate", str(pem), "--key", str(pem)),
    ):
        said = refused(capsys, *everywhere, *options)
        assert "can be reached from other computers" in said


def test_a_certificate_needs_its_key(capsys, tmp_path):
    pem = tmp_path / "a.pem"
    pem.write_text("")
    assert "belong together" in refused(capsys, "--certificate", str(pem))


@pytest.mark.skipif(find_spec("trame_slicer") is not None, reason="trame-slicer is installed")
def test_missing_packages_are_named_with_their_cure(capsys):
    assert 'pip install "medsynth-slicer[web]"' in refused(capsys)


@pytest.mark.skipif(
    find_spec("trame_slicer") is None, reason="needs trame-slicer: sh tests/web/run.sh"
)
def test_the_page_can_be_tested_here():
    assert find_spec("aiohttp") is not None


@pytest.mark.parametrize("option", ["--sessions", "--session-memory", "--upload", "--idle-minutes"])
@pytest.mark.skipif(find_spec("trame_slicer") is None, reason="needs trame-slicer")
def test_limits_are_above_zero(capsys, option):
    assert f"{option} must be above 0" in refused(capsys, option, "0")
