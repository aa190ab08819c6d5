"""`medsynth compare`: every system's figures beside the floor, on one page; what cannot be compared."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_systems import film_table

from medsynth.cli import app as cli
from medsynth.datasets.data import Slices
from medsynth.evaluation import comparison
from medsynth.evaluation.metrics import two_sample
from medsynth.evaluation.metrics.two_sample import TrainingBudget
from medsynth.training.recipe import load_recipe


def made_by(folder, images, *, system="latent_diffusion", preset="chest_xray"):
    """A folder as `medsynth generate` leaves it."""
    (folder / "images").mkdir(parents=True)
    records = []
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"images/{index:06d}.png")
        records.append(
            {"file": f"images/{index:06d}.png", "seconds": 0.5 + index % 2, "memory_mb": 100}
        )
    result = {
        "system": {"name": system, "license": f"license of {system}"},
        "request": {"preset": preset},
        "images": records,
    }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return film_table(tmp_path_factory.mktemp("compared") / "chest", count=40)


@pytest.fixture
def systems(films, tmp_path):
    """Films of the same kind, and noise."""
    alike = film_table(tmp_path / "alike-films", count=10, seed=1)
    pictures = [np.asarray(Image.open(f)) for f in sorted(alike.glob("*.png"))]
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64), dtype=np.uint8) for _ in range(10)]
    return made_by(tmp_path / "alike", pictures), made_by(tmp_path / "noise", noise, system="pggan")


def compare(films, out, folders, *more):
    words = ["compare", *folders, "--recipe", "chest_xray", "--data", films, "-o", out]
    return cli.main([str(w) for w in [*words, *more]])


@pytest.mark.slow
def test_a_page_with_every_system_and_its_floor(films, systems, tmp_path):
    held_out = {"data.root": str(films), "data.held_out": ["P1*", "P2*"]}
    recipe = load_recipe("chest_xray", overrides={**held_out, "data.held_out_fraction": 0.0})
    budget = TrainingBudget((8, 16), patch=48, places=4, scored=4, passes=8, batch=8)
    record = comparison.SystemComparison(
        systems,
        recipe,
        tmp_path / "out",
        only=("two_sample", "diversity", "features"),
        settings={"features": 5, "two_sample": budget},
    ).run()
    assert record == json.loads((tmp_path / "out/compare.json").read_text())
    alike, noise = (record["systems"][name] for name in ("alike", "noise"))
    assert alike["seconds_per_image"] == 1.0
    assert noise["pixels"] == 64

    def kid(part):
        return part["figures"]["features"]["sets"]["radiomic"]["windows"]["full"]["kid"]["value"]

    assert kid(noise) > 10 * abs(kid(alike))
    assert abs(kid(record["real"])) < kid(noise)
    auc = noise["figures"]["two_sample"]["windows"]["full"]
    assert auc["auc"] > 0.95 > alike["figures"]["two_sample"]["windows"]["full"]["auc"]
    assert record["real"]["figures"]["two_sample"]["windows"]["full"]["floor"] == auc["floor"]
    page = (tmp_path / "out/compare.html").read_text()
    for words in (
        "AUC of whole slices",
        "alike: the first 10",
        "floor (real)",
        "license of pggan",
        "made at 64 pixels",
    ):
        assert words in page


def test_two_groups_share_nobody():
    people = ("a", "a", "a", "b", "c", "c", "d")
    real = Slices(np.zeros((7, 2, 2), np.int16), people, people)
    first, other = comparison.two_groups(real, seed=3)
    assert sorted([*first, *other]) == list(range(7))
    assert not {people[k] for k in first} & {people[k] for k in other}
    assert abs(len(first) - len(other)) <= 3  # what the largest person has


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused(films, systems, tmp_path, capsys):
    alike, _ = systems
    assert compare(films, tmp_path / "a", [tmp_path / "nowhere"]) == 2
    assert "holds no result.json" in capsys.readouterr().err
    assert compare(films, tmp_path / "b", [alike], "--only", "beauty") == 2
    assert "unknown figure 'beauty'" in capsys.readouterr().err
    few = made_by(tmp_path / "few", [np.zeros((8, 8), np.uint8)] * 3)
    assert compare(films, tmp_path / "c", [few]) == 2
    assert "holds 3 images; at least 8" in capsys.readouterr().err
    other = made_by(tmp_path / "brain", [np.zeros((8, 8), np.uint8)] * 8, preset="brain_mri")
    assert compare(films, tmp_path / "d", [other]) == 2
    assert "holds images of brain_mri" in capsys.readouterr().err
    assert compare(films, tmp_path / "e", [alike], "--only", "diversity") == 2
    assert "at least 8 of each are needed" in capsys.readouterr().err


@pytest.mark.slow
def test_copies_of_training_images_are_counted(films, tmp_path):
    held_out = {"data.root": str(films), "data.held_out": ["P1*", "P2*"]}
    recipe = load_recipe("chest_xray", overrides={**held_out, "data.held_out_fraction": 0.0})
    trained = [f for f in sorted(films.glob("*.png")) if int(f.stem) in (*range(3, 10), 30, 31, 32)]
    copies = made_by(tmp_path / "copies", [np.asarray(Image.open(f)) for f in trained])
    record = comparison.SystemComparison(
        [copies], recipe, tmp_path / "out", only=("memorization",)
    ).run()
    found = record["systems"]["copies"]["figures"]["memorization"]
    assert found["near_copies"] >= 8
    assert (
        0.4 < found["interval"][0] < found["near_copies"] / found["images"] <= found["interval"][1]
    )
    assert {match["training_image"] for match in found["copies"]} & {f.name for f in trained}
    assert "found copies made on purpose" in (tmp_path / "out/compare.html").read_text()


@pytest.mark.slow
def test_a_stopped_comparison_goes_on_and_gives_the_same(films, systems, tmp_path, monkeypatch):
    recipe = load_recipe(
        "chest_xray",
        overrides={
            "data.root": str(films),
            "data.held_out": ["P1*", "P2*"],
            "data.held_out_fraction": 0.0,
        },
    )
    budget = TrainingBudget((8, 16), patch=48, places=4, scored=4, passes=1, batch=8)
    options = {"only": ("two_sample", "diversity"), "settings": {"two_sample": budget}}
    at_once = comparison.SystemComparison(systems, recipe, tmp_path / "at-once", **options).run()
    cross_fit, calls = two_sample._cross_fit, []

    def stopped_in_the_third(*args, **named):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return cross_fit(*args, **named)

    monkeypatch.setattr(two_sample, "_cross_fit", stopped_in_the_third)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="2 parts are measured and kept in .*measured.json"):
        comparison.SystemComparison(systems, recipe, out, **options).run()
    assert not (out / "compare.html").exists()
    events = []
    again = comparison.SystemComparison(systems, recipe, out, **options, listener=events.append)
    assert again.run() == at_once
    assert len(calls) == 5  # the floor and the first system were kept; two were left
    totals = [e.total for e in events if e.kind == "stage" and e.stage == "two-sample test"]
    assert totals == [2 * 3]
    assert comparison.SystemComparison(systems, recipe, out, **options).run() == at_once
    assert len(calls) == 5


def test_a_folder_with_other_files_is_left_alone(films, systems, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("mine")
    recipe = load_recipe("chest_xray", overrides={"data.root": str(films)})
    with pytest.raises(FileExistsError, match="holds thesis.docx"):
        comparison.SystemComparison(systems, recipe, tmp_path / "out")
