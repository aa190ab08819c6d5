"""Kinds of lesion chosen from pictures, places by a curve, and a painted lesion that is saved and put elsewhere."""

import numpy as np
import pytest
import yaml
from web_visitor import center, marked

from medsynth.cli.app import main
from medsynth.storage import saved_lesions

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def visitor(visit, server, chest):
    visitor = visit(server)
    visitor.open(chest)
    return visitor


def test_a_kind_is_chosen_from_its_picture(visitor):
    page = visitor.page
    page.click(".add")
    page.click(".lesion .gallery-button")
    page.wait_for_selector(".kind-card")
    # Drawn in a process apart; the page goes on meanwhile.
    visitor.until("kind_cards", lambda cards: all(card["picture"] for card in cards))
    cards = visitor.state("kind_cards")
    assert len(cards) == 5
    assert all(card["margin"] and card["density"] and card["words"] for card in cards)
    assert len({card["picture"] for card in cards}) == 5
    page.wait_for_timeout(1000)
    visitor.picture("gallery")
    page.click(".kind-card:has-text('Spiculated')")
    (lesion,) = visitor.until("lesions", lambda found: found[0]["kind"] == "spiculated")
    assert lesion["picture"] == cards[3]["picture"]


def test_a_place_is_marked_by_a_closed_curve(visitor):
    page, plain = visitor.page, visitor.settle()
    page.click(".lesion .curve")
    page.wait_for_selector(".lesion .done")
    corners = ((0.24, 0.44), (0.3, 0.44), (0.3, 0.54), (0.24, 0.54))
    for (
        corner
    ) in corners:  # as fast as a hand can: none of them may be lost, or count as a double click
        page.mouse.move(*visitor.at(*corner))
        page.wait_for_timeout(60)
        page.mouse.click(*visitor.at(*corner), delay=30)
    visitor.changed(plain)  # the browser may still hold the last clicks back, but not the button
    page.click(".lesion .done")
    page.wait_for_selector("text=Placed by a curve")
    page.mouse.move(5, 5)
    drawn = visitor.changed(plain)
    assert np.allclose(center(drawn), (0.27, 0.49), atol=0.03)
    assert all(visitor.is_marked(drawn, *corner) for corner in corners)
    assert page.is_enabled(".run")
    visitor.picture("curve")


def test_a_painted_lesion_is_saved_and_put_elsewhere(visitor, home, monkeypatch, capsys, tmp_path):
    page = visitor.page
    page.click(".lesion .brush")
    page.wait_for_selector(".lesion .done")
    visitor.click(0.34, 0.38)  # over a vessel
    page.click(".lesion .done")
    page.wait_for_selector("text=Painted.")
    page.click(".lesion .save")
    page.fill(".saving input", "A vessel's end")
    page.click(".do-save")
    visitor.said("a saved lesion's name is")  # an apostrophe is none of its characters
    page.fill(".saving input", "Vessel end")
    page.click(".do-save")
    visitor.said("Saved as 'Vessel end'")

    monkeypatch.setenv("MEDSYNTH_HOME", str(home))
    (kept,) = saved_lesions.saved()
    assert 8 < kept.diameter_mm < 22
    assert kept.origin["note"] == "marked on the page in Image"
    assert main(["lesions"]) == 0  # the command knows it
    assert "Vessel end: lung_ct" in capsys.readouterr().out

    page.click(".lesion .gallery-button")
    page.wait_for_selector(".saved-card")
    page.wait_for_timeout(800)
    visitor.picture("mine")
    page.click(".saved-card")
    visitor.until("lesions", lambda found: found[0]["saved"] == "Vessel end")
    before = visitor.settle()
    page.click(".lesion .click")
    page.wait_for_selector(".lesion .done")
    visitor.click(0.72, 0.42)
    page.wait_for_selector("text=Placed by a click.")
    assert marked(visitor.changed(before)).any()
    visitor.draft()
    page.click(".run")
    visitor.said("Done: 1 synthetic image")
    assert visitor.state("results")[0]["what"] == "Vessel end"
    with visitor.download("all") as archive:
        source = yaml.safe_load(archive.read("request.yaml"))["pathologies"][0]["source"]
        record = yaml.safe_load(archive.read("result.json"))
    assert source["saved"] == "Vessel end"
    assert "marked on the page" in str(record)  # its origin
    assert not visitor.errors
