"""The documentation as a website: no broken link or anchor, no docstring that does not render."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_strictly_and_shows_the_api(tmp_path):
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    # Nothing may be fetched: whatever asks for a proxy meets a closed door.
    closed = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | closed, capture_output=True, text=True, timeout=600
    )
    assert built.returncode == 0, built.stderr
    reference = (tmp_path / "site" / "api" / "index.html").read_text()
    assert 'id="medsynth.pipeline.run"' in reference
    front = (tmp_path / "site" / "index.html").read_text()
    assert 'href="how-to/#use-it-from-python"' in front  # a link of README.md, as the site has it
