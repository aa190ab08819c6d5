"""Networks are found by name, the nearest folder first, and a file that is not the shipped one is told."""

import json
from dataclasses import asdict

import pytest

from medsynth import domains
from medsynth.cli import app as cli
from medsynth.errors import CheckpointError
from medsynth.networks import model_store

NAME = "lung_ct_low_64"  # the smallest


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Four places that are searched, all empty: variable, checkout, distribution, cache."""
    places = {name: tmp_path / name for name in ("variable", "checkout", "medsynth_models")}
    for place in places.values():
        place.mkdir()
    (places["medsynth_models"] / "__init__.py").touch()
    places["cache"] = tmp_path / "home" / "medsynth" / "models"
    places["cache"].mkdir(parents=True)
    monkeypatch.setenv("MEDSYNTH_MODELS", str(places["variable"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(model_store, "CHECKOUT", places["checkout"])
    monkeypatch.syspath_prepend(tmp_path)
    return places


def test_the_index_is_that_of_the_shipped_files():
    files = sorted(model_store.CHECKOUT.glob("*.safetensors"))
    written = {file.stem: asdict(model_store.entry(file)) for file in files}
    assert json.loads(model_store.INDEX.read_text()) == written, "run `make model-index`"


def test_every_domain_finds_its_networks_in_the_index():
    for preset in domains.PRESETS.values():
        for file in filter(None, (preset.weights, preset.low_pass_weights, *preset.experts)):
            assert file.removesuffix(".safetensors") in model_store.index()


def test_every_model_card_and_license_text_is_beside_its_network():
    for name, entry in model_store.index().items():
        metadata = (model_store.CHECKOUT / f"{name}.md").read_text()
        assert ("research use" in metadata) == ("research use" in entry.license)
    statement = (model_store.CHECKOUT.parent / "docs" / "data_license.txt").read_text()
    assert all(f"{name}.safetensors" in statement for name in model_store.index())


def test_the_first_folder_that_has_it_wins(store):
    assert model_store.locate(NAME) is None
    for place in reversed(store.values()):
        file = place / f"{NAME}.safetensors"
        file.write_bytes(b"any")
        assert model_store.path(NAME) == file
        assert model_store.path(file.name) == file


@pytest.mark.usefixtures("store")
def test_a_missing_network_says_where_it_was_looked_for_and_how_to_get_it():
    with pytest.raises(CheckpointError, match="no weights .*medsynth-models") as error:
        model_store.path(NAME)
    for word in ("variable", "checkout", "medsynth_models", "home", "medsynth train", "`weights:`"):
        assert word in str(error.value)
    with pytest.raises(CheckpointError, match="did you mean lung_ct_low_64?"):
        model_store.path("lung_ct_low_46")


def test_a_variable_that_names_no_folder_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSYNTH_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(
        CheckpointError, match="MEDSYNTH_MODELS names .*nowhere, which is no folder"
    ):
        model_store.locate(NAME)


def test_a_file_of_other_bytes_is_not_the_shipped_one(store):
    shipped = model_store.INDEX.parents[2] / "monai_bundle/models" / f"{NAME}.safetensors"
    content = bytearray(shipped.read_bytes())
    copy = store["cache"] / shipped.name
    copy.write_bytes(content)
    assert model_store.verify(NAME) == copy
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(
        CheckpointError, match="is not the lung_ct_low_64 that was shipped: SHA-256"
    ):
        model_store.verify(NAME)
    copy.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="bytes, expected"):
        model_store.verify(NAME)
    with pytest.raises(
        CheckpointError, match="no network 'mine' is shipped, expected brain_ct_256"
    ):
        model_store.verify("mine")


def test_the_command_lists_finds_and_verifies(store, capsys):
    (store["cache"] / f"{NAME}.safetensors").write_bytes(b"any")
    assert cli.main(["models", "list", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["networks"]) == set(model_store.index())
    assert facts["networks"][NAME]["file"] == str(store["cache"] / f"{NAME}.safetensors")
    assert facts["networks"]["lung_ct_512"]["file"] is None
    assert facts["folders"] == [str(place) for place in store.values()]
    assert cli.main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert "lung_ct_512 (30 MB): not here: install medsynth-models" in listed
    assert "for research use" in listed
    assert cli.main(["models", "path", NAME]) == 0
    assert capsys.readouterr().out == f"{store['cache'] / NAME}.safetensors\n"
    assert cli.main(["models", "verify", NAME]) == 2
    assert "3 bytes, expected" in capsys.readouterr().err
