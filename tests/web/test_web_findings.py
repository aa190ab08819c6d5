"""What an image already shows: painted and named on the page, a mask of its own in every result."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from web_visitor import center

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_an_existing_finding_is_painted_named_and_in_the_masks(visit, server, chest, tmp_path):
    visitor = visit(server)
    page = visitor.page
    visitor.open(chest)
    plain = visitor.settle()
    page.click(".paint-finding")
    page.wait_for_selector(".finding-done")
    visitor.click(0.72, 0.42)
    page.click(".finding-done")
    page.mouse.move(5, 5)
    painted = visitor.changed(plain)
    lavender = (painted[..., 2] - painted[..., 1] > 40) & (painted[..., 2] > 150)
    rows, columns = np.nonzero(lavender)
    assert np.allclose(columns.mean() / plain.shape[1], 0.72, atol=0.04)
    assert np.allclose(rows.mean() / plain.shape[0], 0.42, atol=0.04)
    page.fill(".finding .name", "granuloma")
    page.keyboard.press("Enter")
    visitor.until("findings", lambda found: found[0]["name"] == "granuloma")
    visitor.picture("finding")

    visitor.lesion_at(0.27, 0.5)
    visitor.draft()
    page.click(".run")
    visitor.said("Done: 1 synthetic image")
    with visitor.download("all") as archive:
        archive.extractall(tmp_path)
    (label,) = json.loads((tmp_path / "result.json").read_text())["labels"]
    assert label["name"] == "granuloma"
    mask = sitk.ReadImage(str(tmp_path / label["mask"]))
    k, j, i = np.nonzero(sitk.GetArrayFromImage(mask))
    assert 3 < len(i) < 100  # a ball of 8 mm
    assert abs(i.mean() / mask.GetSize()[0] - 0.72) < 0.05
    lesion = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "pathology_01.nrrd")))
    assert not (lesion[k, j, i]).any()

    page.click(".finding [title='Take this finding away']")
    visitor.until("findings", lambda found: found == [])
    assert not visitor.errors
    assert center(painted)[0] > 0.5
