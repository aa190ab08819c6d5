"""Old names of lesion kinds and options stay readable; the new ones are what is written."""

import pytest

from medsynth import domains
from medsynth.dicom.lesion_codes import label_codes, property_type
from medsynth.lesions import KINDS
from medsynth.lesions.options import kind_named
from medsynth.request import aliases
from medsynth.request.parse import parse


def request(preset, **procedural):
    place = {"center_mm": [0, 0, 0], "diameter_mm": 12, "source": {"procedural": procedural}}
    return {"preset": preset, "anatomy": {"image": "."}, "pathologies": [place]}


def drawn(raw, folder):
    return parse(raw, folder).pathologies[0].source.procedural


def test_every_alias_names_something_that_is_there():
    assert set(aliases.LESION_KINDS.values()) <= set(KINDS)
    options = {option for kind in KINDS.values() for option in kind.options}
    assert set(aliases.LESION_OPTIONS.values()) <= options
    assert not set(aliases.LESION_KINDS) & set(KINDS)
    assert not set(aliases.LESION_OPTIONS) & options


@pytest.mark.parametrize(("old", "new"), aliases.LESION_KINDS.items())
def test_an_old_kind_is_read_as_the_new(tmp_path, old, new):
    preset = next(p.name for p in domains.PRESETS.values() if new in p.lesion_kinds)
    assert drawn(request(preset, kind=old), tmp_path)["kind"] == new
    assert kind_named(old) is KINDS[new]


@pytest.mark.parametrize(("old", "new"), aliases.LESION_OPTIONS.items())
def test_an_old_option_is_read_as_the_new(tmp_path, old, new):
    read = drawn(request("brain_mri", kind="enhancing_mass", **{old: 0.9}), tmp_path)
    assert read == {"kind": "enhancing_mass", new: 0.9}
    both = request("brain_mri", kind="enhancing_mass", **{old: 0.9, new: 0.8})
    with pytest.raises(ValueError, match=rf"procedural: {old} is the old name of {new}"):
        parse(both, tmp_path)


@pytest.mark.parametrize("word", ["hemorrhage", "haemorrhage"])
def test_blood_is_coded_by_either_spelling(word):
    assert label_codes(word, (None, None), "CT")[1] == property_type("hemorrhage", "CT")
    assert property_type("hemorrhage", "CT").value == "50960005"
