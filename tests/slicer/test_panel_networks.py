"""A build without weights: the network is found, or fetched once after the user agreed to its license."""

import hashlib
import json
from pathlib import Path

import pytest
import slicer
from harness.user import click, pick

WEIGHTS = b"not a network, but its bytes count"


@pytest.fixture
def bare(panel, monkeypatch, tmp_path):
    """A library without weights, in Slicer's own Python; `.asked` and `.fetched` say what happened."""
    from MedSynthLib import library, networks

    found = networks.find("lung_ct")
    assert found is not None
    models = tmp_path / "library"
    (models / "monai_bundle" / "models").mkdir(parents=True)
    monkeypatch.setattr(library, "libraryFolder", lambda: models)
    monkeypatch.setattr(library, "configuredPython", lambda: "")
    monkeypatch.setattr(networks, "folder", lambda: tmp_path / "networks")
    monkeypatch.setattr(networks, "ADDRESS", tmp_path / "networks.json")
    panel.answer, panel.asked, panel.bytes = True, [], WEIGHTS

    def confirm(text, windowTitle=None, parent=None, **kwargs):
        panel.asked.append(text)
        return panel.answer

    def downloadFile(url, targetFilePath, checksum=None, reDownloadIfChecksumInvalid=True):
        Path(targetFilePath).write_bytes(panel.bytes)
        return checksum == f"SHA256:{hashlib.sha256(panel.bytes).hexdigest()}"

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.util, "downloadFile", downloadFile)
    return panel


def listNetworks(tmp_path, name, license="Apache-2.0"):
    """The address of the networks, and the library's index with this one in it."""
    sha = hashlib.sha256(WEIGHTS).hexdigest()
    entry = {"size": 29e6, "sha256": sha, "license": license}
    index = tmp_path / "library" / "medsynth" / "networks" / "index.json"
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps({Path(name).stem: entry}))
    (tmp_path / "networks.json").write_text(json.dumps({"address": "https://example.org"}))


def run(panel, monkeypatch):
    """Press Run up to the start of the process; the request that it would have read."""
    from MedSynthLib import library, process

    written = []

    def start(self):
        written.append(json.loads(Path(self.arguments[1]).read_text()))
        raise RuntimeError("far enough")

    monkeypatch.setattr(process.Process, "start", start)
    monkeypatch.setattr(library, "ensureDependencies", lambda *a, **k: None)
    click(panel.ui.runButton)
    return written


def test_a_network_is_fetched_once_after_asking(bare, addReference, tmp_path, monkeypatch):
    pick(bare.ui.referenceSelector, addReference())
    assert run(bare, monkeypatch) == []
    name = "lung_ct_512.safetensors"
    assert f"Put {name} into {tmp_path / 'networks'}" in bare.ui.statusLabel.text

    listNetworks(tmp_path, name)
    bare.answer = False
    assert run(bare, monkeypatch) == []
    assert "was not fetched" in bare.ui.statusLabel.text
    assert not (tmp_path / "networks").exists()

    bare.answer, bare.bytes = True, b"something else"
    assert run(bare, monkeypatch) == []
    assert "is not what it should be" in bare.ui.statusLabel.text
    assert list((tmp_path / "networks").iterdir()) == []

    bare.bytes = WEIGHTS
    (request,) = run(bare, monkeypatch)
    assert request["weights"] == str(tmp_path / "networks" / name)
    assert Path(request["weights"]).read_bytes() == WEIGHTS
    assert len(bare.asked) == 3
    assert "29 MB" in bare.asked[0]
    run(bare, monkeypatch)
    assert len(bare.asked) == 3


def test_the_research_license_is_told_before_anything_is_fetched(bare, tmp_path):
    from MedSynthLib import networks

    listNetworks(
        tmp_path, "mammography_832.safetensors", "for research use, under the MIAS statement"
    )
    bare.answer = False
    with pytest.raises(RuntimeError, match="was not fetched"):
        networks.ensure("mammography")
    assert "License of the weights: for research use" in bare.asked[0]


def test_the_expert_is_fetched_with_its_network(bare, addReference, tmp_path, monkeypatch):
    name, expert = "lung_ct_512.safetensors", "fine.safetensors"
    listNetworks(tmp_path, name)
    index = tmp_path / "library" / "medsynth" / "networks" / "index.json"
    (entry,) = json.loads(index.read_text()).values()
    small = {**entry, "size": 2e6}
    entries = {"lung_ct_512": {**entry, "expert": "fine"}, "fine": small, "lung_ct_four_512": small}
    index.write_text(json.dumps(entries))
    # The network alone, as an earlier version fetched it.
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / name).write_bytes(WEIGHTS)
    pick(bare.ui.referenceSelector, addReference())
    (request,) = run(bare, monkeypatch)
    few = "lung_ct_four_512.safetensors"  # the network of four calls, which is asked for by their number
    wanted = [f"https://example.org/{file}" for file in (expert, few)]
    assert [address in text for address, text in zip(wanted, bare.asked, strict=True)] == [True] * 2
    assert (tmp_path / "networks" / few).read_bytes() == WEIGHTS
    assert request["weights"] == str(tmp_path / "networks" / name)
    assert (tmp_path / "networks" / expert).read_bytes() == WEIGHTS


def test_a_checkout_asks_nothing_and_names_no_weights(panel, addReference, monkeypatch):
    from MedSynthLib import library

    monkeypatch.setattr(library, "configuredPython", lambda: "")
    pick(panel.ui.referenceSelector, addReference())
    (request,) = run(panel, monkeypatch)
    assert "weights" not in request
