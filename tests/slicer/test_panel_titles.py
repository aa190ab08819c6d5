"""What is offered, and how it is called: of the chosen domain only, in a radiologist's words."""

import pytest
from harness.user import choose, click, entries

from medsynth.domains import PRESETS
from medsynth.domains.lesion_kinds import titled


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
def test_only_the_kinds_of_the_domain_are_offered(panel, preset):
    choose(panel.ui.presetComboBox, preset.title)
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    card = panel.widget.cards.cards[0]
    offered = entries(card.ui.kindComboBox)
    assert offered == [*map(titled, preset.lesion_kinds), "From another volume"]
    for title, kind in zip(offered, preset.lesion_kinds, strict=False):
        choose(card.ui.kindComboBox, title)
        assert card.parameters.kind == kind
        assert card.ui.cardButton.text == f"Pathology 1: {title}"


def test_a_card_follows_the_domain(panel):
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    card = panel.widget.cards.cards[0]
    choose(card.ui.kindComboBox, "Part-solid nodule")
    panel.screenshot("titles")
    choose(panel.ui.presetComboBox, "Brain CT")
    assert card.ui.kindComboBox.currentText == "Hemorrhage"
    assert entries(card.ui.kindComboBox) == ["Hemorrhage", "From another volume"]
    choose(panel.ui.presetComboBox, "Lung CT")
    choose(card.ui.kindComboBox, "From another volume")
    choose(panel.ui.presetComboBox, "Mammography")  # a lesion that is taken stays what it is
    assert card.ui.kindComboBox.currentText == "From another volume"


def test_nothing_is_offered_by_its_internal_name(panel):
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    ui = panel.widget.cards.cards[0].ui
    assert entries(panel.ui.presetComboBox) == [p.title for p in PRESETS.values()]
    assert "DDIM, deterministic" in entries(panel.ui.samplerComboBox)
    from medsynth.scene.vocabulary import SAMPLERS

    assert len(entries(panel.ui.samplerComboBox)) == len(SAMPLERS)
    assert not set(entries(panel.ui.samplerComboBox)) & set(SAMPLERS)
    words = entries(panel.ui.presetComboBox) + entries(ui.kindComboBox)
    words += entries(panel.ui.samplerComboBox)
    assert not [word for word in words if "_" in word]


def test_a_box_follows_the_scene_and_ignores_what_is_set_by_it(panel):
    panel.widget._parameters.sampler = "ddim"
    assert panel.ui.samplerComboBox.currentText == "DDIM, deterministic"
    assert panel.widget._parameters.sampler == "ddim"
    panel.widget._parameters.preset = "mammography"  # as a scene that is loaded would
    assert panel.ui.presetComboBox.currentText == "Mammography"
    assert panel.widget._parameters.factor == PRESETS["lung_ct"].anatomy_factor
