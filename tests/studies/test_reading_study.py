"""A reading study from its folder to its answers: the draw, the design, and what is kept."""

import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import run
from made_studies import answer_all, make_pictures, make_study
from PIL import Image

from medsynth.studies.reading import draw, leaks, pixels
from medsynth.studies.reading.candidates import ImageSource, find_candidates
from medsynth.studies.reading.create import StudyOptions, create_study
from medsynth.studies.reading.design import load_design
from medsynth.studies.reading.session import ClosedStudy, OutOfTurn, StudySession


def test_a_study_draws_half_of_each_and_keeps_the_draw(study):
    design, hashed = load_design(study)
    assert len(hashed) == 64
    assert sum(item.synthetic for item in design.items) == 6
    assert len(design.items) == 12
    drawn = {s["name"]: s["drawn"] for s in design.draw["sources"]}
    assert drawn == {"real": 6, "made0": 6}
    origins = [o["path"] for item in design.items for o in item.origin]
    assert len({(i.source, o) for i, o in zip(design.items, origins, strict=True)}) == 12


def test_every_file_of_a_study_has_the_same_size_and_a_name_that_says_nothing(study):
    files = list((study / "items").iterdir())
    assert len({f.stat().st_size for f in files}) == 1
    assert all(re.fullmatch("[0-9a-f]{16}", f.name) for f in files)


@pytest.mark.slow
def test_the_same_seed_draws_the_same_and_orders_differ_by_reader(tmp_path):
    for name in ("a", "b"):
        make_study(tmp_path / name, items=12)
    a, b = (load_design(tmp_path / name)[0] for name in ("a", "b"))
    assert [i.origin for i in a.items] == [i.origin for i in b.items]
    first, second = (tuple(s.item for s in r.orders[0]) for r in a.readers)
    assert first != second
    assert set(first) == set(second)


def test_a_design_that_was_changed_is_refused(study):
    text = (study / "design.json").read_text()
    (study / "design.json").write_text(text.replace('"synthetic": true', '"synthetic": false', 1))
    with pytest.raises(ValueError, match="was changed after the study had been created"):
        load_design(study)


def test_a_design_that_was_changed_with_its_hash_does_not_fit_the_answers(study):
    from medsynth.studies.reading.design import digest

    text = (study / "design.json").read_text().replace('"title": "Image', '"title": "My')
    (study / "design.json").write_text(text)
    (study / "design.sha256").write_text(f"{digest(text)}  design.json\n")
    with pytest.raises(ValueError, match="answers belong to another design"):
        StudySession(study)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": 1}, "--items must be at least 2"),
        ({"items": 400}, "400|images are needed"),
        ({"kind": "which"}, "--ask: expected one of"),
        ({"readers": ("Ana", "Ana")}, "different names"),
        ({"depth": 3}, "has 1 slices, stacks of 3"),
        ({"side": 8}, "--side must be from 32"),
        ({"repeats": 99}, "--repeats must be from 0"),
    ],
)
def test_studies_that_are_refused(tmp_path, change, message):
    sources = [
        ImageSource("real", make_pictures(tmp_path / "r", 9, seed=1), False),
        ImageSource("made", make_pictures(tmp_path / "s", 9, seed=2), True),
    ]
    options = StudyOptions(**{"readers": ("Ana",), "items": 8, **change})
    with pytest.raises(ValueError, match=message):
        create_study(tmp_path / "study", sources, options)
    assert not (tmp_path / "study").exists()


def test_images_of_one_kind_make_no_study(tmp_path):
    made = ImageSource("made", make_pictures(tmp_path / "s", 9, seed=2), True)
    with pytest.raises(ValueError, match="needs real and synthetic images"):
        create_study(tmp_path / "study", [made], StudyOptions(readers=("Ana",)))


def test_a_generator_that_is_shown_beside_another_gets_its_share(tmp_path):
    make_study(tmp_path / "study", items=12, generators=2)
    design, _ = load_design(tmp_path / "study")
    counts = [sum(i.source == name for i in design.items) for name in ("real", "made0", "made1")]
    assert counts == [6, 3, 3]


def test_repeats_come_later_and_warmup_first():
    rng = np.random.default_rng(0)
    items = [str(k) for k in range(30)]
    order = draw.order_for(items, ["w1", "w2"], repeats=5, blocks=None, rng=rng)
    assert [s.warmup for s in order[:3]] == [True, True, False]
    again = [s.item for s in order if s.repeat]
    assert len(again) == len(set(again)) == 5
    places = [s.item for s in order]
    for item in again:
        first = places.index(item)
        assert order[first].repeat is False
        assert places.index(item, first + 1) - first >= draw.REPEAT_GAP
    assert len(order) == 37


def test_blocks_are_read_one_after_the_other():
    rng = np.random.default_rng(0)
    blocks = [["a1", "a2", "a3"], ["b1", "b2"]]
    order = draw.order_for([], [], repeats=0, blocks=blocks, rng=rng)
    assert len({"".join(s.item[0] for s in order)} & {"aaabb", "bbaaa"}) == 1


def test_of_a_volume_slices_are_drawn_over_its_middle():
    from medsynth.studies.reading.candidates import Candidate

    volumes = [Candidate(f"v{k}", 100, f"p{k}") for k in range(4)]
    drawn = draw.draw_slices(volumes, 20, np.random.default_rng(0), what="real")
    assert len({(d.candidate.path, d.k) for d in drawn}) == 20
    for volume in volumes:
        ks = sorted(d.k for d in drawn if d.candidate is volume)
        assert len(ks) == 5
        assert 15 <= ks[0] < 29
        assert 71 <= ks[-1] < 85


def test_a_pair_of_evaluate_is_never_shown_beside_its_reference(tmp_path):
    """Each synthetic slice was guided by a real one: who sees both has seen the answer."""
    rng = np.random.default_rng(0)
    real = rng.normal(0, 300, (12, 40, 40)).astype(np.float32)
    arrays = {"real": real, "synthetic": real + 1, "patients": np.array(["a"] * 12)}
    np.savez(tmp_path / "pairs.npz", **arrays)
    sources = [
        ImageSource("real", tmp_path / "pairs.npz", False),
        ImageSource("made", tmp_path / "pairs.npz", True),
    ]
    create_study(tmp_path / "study", sources, StudyOptions(readers=("Ana",), items=12, seed=1))
    design, _ = load_design(tmp_path / "study")
    assert design.units == "HU"
    ks = [o["slice"] for item in design.items for o in item.origin]
    assert sorted(ks) == list(range(12))


def test_hounsfield_units_stay_hounsfield_units(tmp_path):
    values = np.full((6, 40, 40), -850, np.int16)
    values[:, 10:20, 10:20] = 60
    for name in ("real", "made"):
        (tmp_path / name).mkdir()
        for k in range(4):
            image = sitk.GetImageFromArray(values)
            suffix = "nrrd" if name == "real" else "nii.gz"
            sitk.WriteImage(image, str(tmp_path / name / f"{k}.{suffix}"))
    sources = [ImageSource(n, tmp_path / n, n == "made") for n in ("real", "made")]
    options = StudyOptions(readers=("Ana",), items=8, side=40, depth=3)
    create_study(tmp_path / "study", sources, options)
    design, _ = load_design(tmp_path / "study")
    assert (design.units, design.grid) == ("HU", (3, 40))
    assert [w.name for w in design.windows] == ["lung", "soft tissue", "bone"]
    for file in (tmp_path / "study" / "items").iterdir():
        shown = pixels.from_bytes(file.read_bytes(), design.grid)
        assert set(np.unique(shown)) == {-850, 60}


def test_of_our_results_only_what_was_synthesized_is_drawn(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 8, 8), np.int16)), str(out / "image.nrrd"))
    sitk.WriteImage(
        sitk.GetImageFromArray(np.ones((9, 8, 8), np.uint8)), str(out / "pathology_01.nrrd")
    )
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(out / "preview.png")
    (out / "result.json").write_text(json.dumps({"slices": [3, 5]}))
    (found,) = find_candidates(ImageSource("ours", tmp_path, True))
    assert (found.path, found.first, found.slices) == ("out/image.nrrd", 3, 3)


def test_a_giveaway_is_named():
    real = [
        leaks.trace(np.full((1, 8, 8), k, np.int16), native=(8, 8), synthetic=False)
        for k in range(9)
    ]
    made = [
        leaks.trace(np.full((1, 8, 8), k, np.int16), native=(16, 16), synthetic=True)
        for k in range(9)
    ]
    (found,) = leaks.giveaways([*real, *made])
    assert found.startswith("the size in pixels of the file alone tells synthetic from real")


@pytest.mark.slow
def test_an_answer_is_kept_once_and_in_turn(study):
    session = StudySession(study)
    reader = session.design.readers[0]
    session.sign_in(reader, {"role": "other", "experience_years": "2", "ai_knowledge": "nothing"})
    given = {"phase": 0, "position": 0, "nonce": "n" * 12, "answer": "real"}
    session.answer(reader, given)
    session.answer(reader, given)  # the browser did not hear that it had arrived
    assert len(session.store.all()) == 1
    for wrong in ({"position": 0}, {"position": 5}, {"phase": 1}):
        with pytest.raises(OutOfTurn):
            session.answer(reader, {**given, "position": 1, "nonce": "m" * 12, **wrong})
    for key, value in (("answer", "maybe"), ("sure", 9), ("seconds", "nan"), ("nonce", "x")):
        with pytest.raises(ValueError, match=key):
            session.answer(reader, {**given, "position": 1, "nonce": "m" * 12, key: value})
    assert len(session.store.all()) == 1


@pytest.mark.slow
def test_an_answer_that_was_taken_back_stays_in_the_file(study):
    session = answer_all(study, 0.5, until=3)
    reader = session.design.readers[0]
    assert session.undo(reader)
    assert session.place(reader)[:2] == (0, 2)
    assert len(session.store.all()) == 5
    assert len(session.store.all(withdrawn=True)) == 6


@pytest.mark.slow
def test_a_second_part_waits_for_its_washout(tmp_path):
    make_study(tmp_path / "study", items=4, again_days=28, readers=("Ana",))
    session = answer_all(tmp_path / "study", 0.5)
    state = session.state(session.design.readers[0])
    assert state["status"] == "wait"
    assert "question" not in state
    assert session.image(session.design.readers[0], 1, 0, 0) is None


@pytest.mark.slow
def test_only_the_present_image_and_the_next_can_be_fetched(study):
    session = answer_all(study, 0.5, until=2)
    reader = session.design.readers[0]
    there = [session.image(reader, 0, k, 0) is not None for k in range(12)]
    assert there == [False, False, True, True, *[False] * 8]


@pytest.mark.slow
def test_feedback_is_given_for_practice_and_in_the_arm_with_clues_alone(tmp_path):
    make_study(tmp_path / "study", items=4, warmup=2, arms=("plain", "clues"))
    session = StudySession(tmp_path / "study")
    fields = {"role": "other", "experience_years": "2", "ai_knowledge": "nothing"}
    for reader in session.design.readers:
        session.sign_in(reader, fields)
        shown = session.state(reader)["question"]["clues"]
        assert (shown is not None) == (reader.arm == "clues")
        for k in range(6):
            given = {"phase": 0, "position": k, "nonce": f"{reader.name}-{k:08}", "answer": "real"}
            feedback = session.answer(reader, given)
            assert (feedback is not None) == (k < 2 or reader.arm == "clues")
            if k == 3:  # who has seen the truth cannot answer again
                assert session.undo(reader) is (feedback is None)
                if feedback is None:
                    session.answer(reader, {**given, "nonce": f"{reader.name}-again"})
        assert session.state(reader)["status"] == "done"


@pytest.mark.slow
def test_a_closed_study_takes_nothing_and_an_open_one_tells_nothing(study, tmp_path, capsys):
    answer_all(study, 0.6, until=5)
    assert run("study", "report", study, "-o", tmp_path / "figures") == 2
    assert "is still open" in capsys.readouterr().err
    assert run("study", "close", study) == 2
    assert "readers have images left (Ana 7, Ben 7)" in capsys.readouterr().err
    assert run("study", "close", study, "--even-if-unfinished") == 0
    session = StudySession(study)
    with pytest.raises(ClosedStudy):
        session.answer(session.design.readers[0], {"nonce": "n" * 9})
    assert session.state(session.design.readers[0]) == {"status": "closed"}
