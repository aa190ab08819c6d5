"""Pictures of the kinds of lesion for galleries: of every kind, and drawn once."""

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth.domains import PRESETS
from medsynth.domains.lesion_kinds import KINDS
from medsynth.lesions import thumbnail

# Of the lungs, whose volumes take seconds, one.
DRAWN = [
    (kind, preset.name)
    for preset in PRESETS.values()
    for kind in preset.lesion_kinds
    if preset.name != "lung_ct" or kind == "solid"
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "preset"), DRAWN)
def test_the_lesion_is_seen_on_its_even_background(kind, preset):
    picture = thumbnail.draw(kind, PRESETS[preset]).astype(float)
    assert picture.shape == (thumbnail.SIDE, thumbnail.SIDE)
    rim = np.concatenate([picture[:6].ravel(), picture[-6:].ravel()])
    middle = picture[30:66, 30:66]
    assert np.abs(middle - rim.mean()).max() > 25
    assert rim.std() < 8


def test_it_is_drawn_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path))
    preset = PRESETS["chest_xray"]
    file = thumbnail.ensure("nodule", preset)
    drawn = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    np.testing.assert_array_equal(drawn, thumbnail.draw("nodule", preset))
    monkeypatch.setattr(thumbnail, "draw", lambda *_: pytest.fail("drawn again"))
    assert thumbnail.ensure("nodule", preset) == file


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_radiologist_describes_every_shipped_kind(kind):
    reading = KINDS[kind].reading
    assert all((reading.size, reading.margin, reading.density, KINDS[kind].words))
