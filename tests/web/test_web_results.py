"""What becomes of results and marks: kept, renamed, discarded, made again, taken back, seen side by side."""

import numpy as np
import pytest
import yaml
from web_visitor import center, differ, marked

pytestmark = [pytest.mark.browser, pytest.mark.slow]
A, B, C = (0.27, 0.5), (0.33, 0.4), (0.27, 0.42)


@pytest.fixture(scope="module")
def done(visit, server, chest):
    """A visitor with one result."""
    visitor = visit(server)
    visitor.open(chest)
    visitor.lesion_at(*A)
    visitor.draft()
    visitor.page.click(".run")
    visitor.said("Done: 1 synthetic image")
    visitor.settle()
    return visitor


def names(visitor, count):
    found = visitor.until("results", lambda results: len(results) == count)
    return [result["name"] for result in found]


def test_results_are_renamed_kept_made_again_and_discarded(done):
    page = done.page
    page.fill(".result .title", "Clear nodule")
    page.keyboard.press("Enter")
    done.until("results", lambda results: results[0]["name"] == "Clear nodule")
    page.click(".result .keep")
    done.until("results", lambda results: results[0]["kept"])

    page.click(".result .more")
    done.said("Done: 4 synthetic images")
    assert names(done, 5) == ["Clear nodule", "Seed 8", "Seed 9", "Seed 10", "Seed 11"]
    done.picture("results")
    page.keyboard.press("n")
    done.until("shown", lambda shown: shown == 3)
    third = done.settle()
    page.keyboard.press("x")
    assert "Seed 9" not in names(done, 4)
    back = done.changed(third)
    page.keyboard.press("Control+z")
    assert "Seed 9" in names(done, 5)
    done.said("Undone: discard Seed 9.")
    again = done.changed(back)
    assert not differ(again, third)

    page.click(".discard-others")
    assert names(done, 1) == ["Clear nodule"]
    page.keyboard.press("Control+z")
    names(done, 5)
    with done.download("kept") as archive:
        first = yaml.safe_load(archive.read("01_Clear_nodule/request.yaml"))
        assert {n.split("/")[0] for n in archive.namelist()} == {"01_Clear_nodule"}
    with page.expect_download() as found:
        page.locator(".result").nth(4).locator(".get-all").click()
    assert found.value.suggested_filename == "synthetic_Seed_11_all.zip"
    last = yaml.safe_load(done.archive(found.value).read("request.yaml"))
    assert (first.pop("seed"), last.pop("seed")) == (7, 11)
    assert first == last

    page.keyboard.press("Control+z")
    done.said("Undone: 4 more.")
    assert names(done, 1) == ["Clear nodule"]
    page.keyboard.press("Control+Shift+z")
    names(done, 5)
    assert not done.errors


def test_two_views_beside_each_other_move_and_zoom_as_one(done):
    page = done.page
    page.locator(".result img").first.click()
    done.until("shown", lambda shown: shown == 1)
    page.keyboard.press("b")
    done.until("compare", lambda mode: mode == "real")
    page.keyboard.press("s")
    page.wait_for_selector(".sides")
    left = done.same_halves()  # real beside real, at one place and zoom
    page.keyboard.press("b")
    done.until("compare", lambda mode: mode == "synthetic")
    left, synthetic = done.settle_halves()
    assert differ(left, synthetic)
    assert left[:, :3].max() < 120 > left[:, -3:].max()  # nothing of the body is cut off
    done.picture("beside")
    page.keyboard.press("m")  # no outlines: what differs is the image
    page.mouse.move(*done.at(0.2, 0.5))
    for _ in range(8):  # to slices that were not synthesized
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(150)
    done.until_halves(lambda _, right: differ(right, synthetic))
    done.same_halves()
    page.keyboard.press("b")
    done.until("compare", lambda mode: mode == "real")
    before, _ = done.settle_halves()
    for act in (
        lambda: done.drag((0.2, 0.5), (0.2, 0.65), "right"),
        lambda: done.drag((0.2, 0.5), (0.3, 0.6), "middle"),
    ):
        page.mouse.move(*done.at(0.2, 0.5))
        act()
        done.until_halves(lambda one, _, was=before: differ(one, was))
        before = done.same_halves()
    page.keyboard.press("s")
    page.wait_for_selector(".sides", state="detached")
    done.settle()
    assert not done.errors


def test_marks_are_taken_back_and_made_again(visit, server, chest):
    visitor = visit(server)
    page = visitor.page
    visitor.open(chest)
    plain = visitor.settle()
    assert page.is_disabled(".undo")
    visitor.lesion_at(*A)
    at_a = visitor.changed(plain)
    page.click(".lesion .click")
    visitor.click(*B)
    at_b = visitor.changed(at_a)
    assert np.allclose(center(at_b), B, atol=0.03)
    page.keyboard.press("Control+z")
    visitor.said("Undone: place of pathology 1.")
    assert np.allclose(center(visitor.changed(at_b)), A, atol=0.03)
    page.keyboard.press("Control+y")
    visitor.until("undoes", lambda title: title == "place of pathology 1")
    undone = visitor.settle()
    assert np.allclose(center(undone), B, atol=0.03)

    visitor.drag(B, C)
    assert visitor.until("undoes", lambda title: title == "move of a mark")
    dragged = visitor.settle()
    assert np.allclose(center(dragged), C, atol=0.03)
    page.click(".undo")
    assert np.allclose(center(visitor.changed(dragged)), B, atol=0.03)

    page.click(".lesion .brush")
    page.wait_for_selector(".lesion .done")
    for place in (A, C):
        visitor.click(*place)
    page.click(".lesion .done")
    page.wait_for_selector("text=Painted.")
    page.mouse.move(5, 5)
    both = visitor.settle()
    page.keyboard.press("Control+z")
    visitor.said("Undone: stroke of the brush.")
    one = visitor.changed(both)
    assert 0 < marked(one).sum() < marked(both).sum()
    assert np.allclose(center(one), A, atol=0.04)

    page.click(".lesion [title='Remove this pathology']")
    none = visitor.changed(one)
    assert not marked(none).any()
    page.keyboard.press("Control+z")
    page.wait_for_selector("text=Painted.")
    assert np.allclose(center(visitor.changed(none)), A, atol=0.04)
    while visitor.state("undoes"):
        page.click(".undo")
        page.wait_for_timeout(400)
    assert not visitor.state("lesions")
    assert not marked(visitor.settle()).any()
    assert not visitor.errors
