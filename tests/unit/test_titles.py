"""Everything that can be asked for by name has a title, in one place."""

from medsynth import domains as presets
from medsynth.diffusion import samplers
from medsynth.domains.lesion_kinds import titled
from medsynth.request import model


def test_titles_are_words_and_no_two_kinds_of_a_domain_share_one():
    for preset in presets.PRESETS.values():
        titles = [titled(kind) for kind in preset.lesion_kinds]
        assert len(set(titles)) == len(titles)
        assert not [t for t in titles if "_" in t or not t[0].isupper()]


def test_every_sampler_has_a_title():
    assert set(model.SAMPLERS) == set(samplers.SAMPLERS)
    assert all(model.SAMPLERS.titles.values())


def test_info_shows_the_titles(capsys):
    from medsynth.cli.app import main

    main(["info"])
    said = capsys.readouterr().out
    assert "part_solid (Part-solid nodule)" in said
    assert f"dpmpp_2m_sde: {model.SAMPLERS.titles['dpmpp_2m_sde']}" in said
