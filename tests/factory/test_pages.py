"""Card, Croissant, seven answers and the page say what is in the set, and what nobody knows."""

import base64
import json
import re

import numpy as np
import pydicom
import pytest
import yaml
from made_sets import make_set
from PIL import Image

from medsynth.factory.finish import finish
from medsynth.factory.pages.diversity import similarity
from medsynth.factory.pages.subgroups import subgroups
from medsynth.factory.store import open_set
from medsynth.marking import TEXT
from medsynth.pipeline.existing import UNLABELED
from medsynth.records.audit import Audit, Match, sha256_of_image

PAGES = ("README.md", "card.json", "croissant.json", "fda.md", "index.html", "items.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_set(
        tmp_path_factory.mktemp("pages") / "chests",
        8,
        write=("png8", "monai"),
        patients=[f"Doe {n}" for n in range(8)],
    )
    for number in range(8):
        result = folder / "items" / f"{number:06d}" / "result.json"
        record = json.loads(result.read_text())
        named = f"/nowhere/Doe {number} does not say its pixel size; see /nowhere/Doe/ct/1.dcm: too"
        record["warnings"] = [UNLABELED, named][: 2 if number else 1]
        result.write_text(json.dumps(record))
    near = Match(0, "training/Doe", "correlation", 0.99, 0.9)
    kept = folder / "items" / "000003"
    Audit(sha256_of_image(kept), {}, (near,), 1, {}, "2026-01-01T00:00:00").write(kept)
    for name, note in (
        ("refused", {"reason": "near copy of x", "similarity": 0.97}),
        ("quarantine", {"error": "/nowhere/Doe/ct/1.dcm has no room", "attempts": 2}),
    ):
        (folder / name).mkdir()
        (folder / name / "000009.json").write_text(json.dumps({"id": "000009", **note}))
    finish(folder)
    return folder


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


@pytest.mark.slow
def test_the_card_counts_what_is_there(folder):
    card = card_of(folder)
    assert card["images"] == {
        **{"asked": 8, "finished": 8, "refused": 1, "quarantined": 1, "not_made": 0},
        "near_copies_kept": 1,
    }
    assert {k: v["images"] for k, v in card["splits"].items()} == {
        **{"train": 4, "validation": 2, "test": 2}
    }
    items = list(open_set(folder).items())
    new = [a.class_name for i in items for a in i.annotations if not a.existing]
    assert card["lesions"]["total"] == len(new) == 10
    assert card["lesions"]["kinds_drawn"] == {k: new.count(k) for k in set(new)}
    assert card["lesions"]["existing"] == {"existing_old_nodule": 1}
    assert card["diversity"]["unique_anatomies"] == 8
    assert card["weights"][0]["sha256"] == items[0].record["checkpoint"]["sha256"]
    assert card["licenses"][0] == {"what": "references", "license": "CC BY 4.0", "images": 8}
    assert card["layouts"] == ["monai", "png8"]
    assert card["mark"] == TEXT


def test_what_images_were_warned_of_is_a_warning_of_the_set(folder):
    card = card_of(folder)
    assert card["warnings_of_images"] == {
        UNLABELED: 8,
        "the reference does not say its pixel size; see a file: too": 7,
    }
    assert "in 8 of 8 images findings that the reference already has" in card["warnings"][0]
    assert card["warnings"][1].endswith("(audit.near_copies): 1")
    assert "near copies refused: 1, kept: 1." in (folder / "README.md").read_text()
    assert "findings that the reference already has" in (folder / "index.html").read_text()


def test_the_readme_is_a_hugging_face_card(folder):
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["license"] == "other"
    assert head["license_details"].startswith("CC BY 4.0 (references); Images CC BY")
    assert head["size_categories"] == ["n<1K"]
    assert "synthetic" in head["tags"]
    titles = re.findall(r"^## (.+)$", body, flags=re.M)
    for title in ("Intended use", "Known failures", "License", "Subgroups", "Lesion sources"):
        assert title in titles
    assert "Nothing is known of: age, sex, density, side, vendor." in body
    assert TEXT in body


def test_seven_questions_are_answered_and_what_is_not_known_is_said(folder):
    text = (folder / "fda.md").read_text()
    parts = re.split(r"^## \d\. ", text, flags=re.M)[1:]
    assert [part.split(":")[0] for part in parts] == [
        *("Congruence", "Coverage", "Constraint", "Completeness", "Compliance", "Comprehension"),
        "Consistency",
    ]
    assert sum("**Not known:**" in part for part in parts) == 6  # the other says how it was made
    assert "no guidance of the agency" in text


def test_no_page_names_a_patient_or_a_folder(folder):
    for name in (*PAGES, "report/records.jsonl", "report/layout.json"):
        text = (folder / name).read_text()
        assert "Doe" not in text, name
        assert "/nowhere" not in text, name


def test_the_page_shows_every_image_and_what_was_refused(folder):
    text = (folder / "index.html").read_text()
    shown = re.findall(r'<figure data-tags="([^"]+)"><img loading="lazy" src="([^"]+)"', text)
    assert [src for _, src in shown] == [f"report/thumbnails/{n:06d}.jpg" for n in range(8)]
    assert shown[1][0] == "train lesion_spiculated lesion_solid existing_old_nodule"
    assert shown[7][0] == "test none"
    assert "near copy of x" in text
    assert ".../1.dcm has no room" in text
    assert "{{" not in text


def test_a_thumbnail_is_marked_and_has_the_outline_of_its_lesion(folder):
    picture = Image.open(folder / "report" / "thumbnails" / "000000.jpg")
    assert TEXT.encode() in picture.info["comment"]
    color = np.asarray(picture.convert("HSV"))[..., 1]
    assert (color > 100).any()
    plain = Image.open(folder / "report" / "thumbnails" / "000007.jpg")  # has no lesion
    assert not (np.asarray(plain.convert("HSV"))[..., 1] > 100).any()


def test_finishing_again_changes_nothing(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    finish(folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_mlcroissant_validates_it_and_reads_its_records(folder):
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    about = dataset.metadata
    assert "Diagnosis" in about.data_use_cases[1]
    assert about.data_limitations
    assert about.data_biases
    assert about.personal_sensitive_information
    records = list(dataset.records("items"))
    items = [record["items/item"].decode() for record in records]
    assert items == [f"items/{n:06d}" for n in range(8)]
    assert [record["items/lesions"] for record in records] == [1, 2, 1, 2, 1, 2, 1, 0]


def change_rows(folder, change):
    rows = [json.loads(line) for line in (folder / "plan.jsonl").read_text().splitlines()]
    for row in rows:
        change(row)
    (folder / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.slow
def test_one_lesion_in_too_many_images_is_warned_of(tmp_path, monkeypatch):
    from medsynth.factory.pages import facts

    monkeypatch.setattr(facts, "MOST_USES", 4)
    folder = make_set(tmp_path / "set", 8)

    def from_one_study(row):
        for lesion in row["lesions"]:
            lesion.update(source="Doe's nodule", patient="Doe", license="CC0")

    change_rows(folder, from_one_study)
    change_rows(folder, lambda row: row.update(split="train"))
    finish(folder)
    card = card_of(folder)
    assert card["lesion_sources"] == [
        {"source": "study 1", "drawn_anew": False, "images": 7, "lesions": 10, "share": 0.875}
    ]
    assert any(
        w.startswith("over-use: the lesion of study 1 is in 7 images") for w in card["warnings"]
    )
    assert {"what": "lesions", "license": "CC0", "images": 7} in card["licenses"]


@pytest.mark.slow
def test_slices_that_were_not_synthesized_are_warned_of_and_are_no_pictures(tmp_path):
    folder = make_set(tmp_path / "set", shape=(5, 24, 32), write=("png8",))
    for path in (folder / "items").glob("*/result.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"slices": [1, 3]}))
    finish(folder)
    assert card_of(folder)["real_slices"] == 4 * 2
    assert any("8 slices of volumes were not synthesized" in w for w in card_of(folder)["warnings"])
    pictures = sorted(p.name for p in (folder / "layouts" / "png8" / "images").iterdir())
    assert pictures[:4] == [*(f"000000_000{k}.png" for k in (1, 2, 3)), "000001_0001.png"]


def test_subgroups_come_from_the_headers_of_references(tmp_path):
    folder = make_set(tmp_path / "set")
    said = (("F", "067Y", "ACME"), ("M", "009Y", "ACME"), ("", "", ""))
    for number, (sex, age, vendor) in enumerate(said):
        header = pydicom.Dataset()
        header.PatientSex, header.PatientAge, header.Manufacturer = sex, age, vendor
        header.SOPClassUID = pydicom.uid.CTImageStorage
        header.SOPInstanceUID = pydicom.uid.generate_uid()
        header.Rows = header.Columns = 1
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)

    def there(row):
        row["anatomy"]["image"] = str(tmp_path / f"{int(row['id'])}.dcm")
        row["request"]["anatomy"]["view"] = None

    change_rows(folder, there)
    found = subgroups(open_set(folder))
    assert found["sex"] == {"female": 1, "male": 1, "not stated": 2}
    assert found["age"] == {"60 to 69": 1, "not stated": 2, "under 10": 1}
    assert found["vendor"] == {"ACME": 2, "not stated": 2}


def entry(name, group, split, values):
    small = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    return {"id": name, "group": group, "split": split, "small": small}


def test_the_nearest_pairs_are_found_within_and_across_splits():
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (30, 1024))
    pictures[7] = pictures[3]  # another anatomy, same split
    pictures[20] = np.clip(pictures[11] + draw.integers(0, 20, 1024), 0, 255)  # another split
    pictures[5] = pictures[4]  # the same anatomy
    entries = [
        entry(f"{n:02d}", "g4" if n == 5 else f"g{n}", "train" if n < 15 else "test", picture)
        for n, picture in enumerate(pictures)
    ]
    found = similarity(entries)
    assert found["pairs"][0] == {"similarity": 1.0, "images": ["03", "07"]}
    assert found["across_splits"][0]["images"] == ["11", "20"]
    assert found["across_splits"][0]["similarity"] > 0.95
    assert all(set(pair["images"]) != {"04", "05"} for pair in found["pairs"])
    assert found["nearest_of_the_same_anatomy"]["highest"] == 1.0
    assert similarity(entries[:1])["pairs"] == []
