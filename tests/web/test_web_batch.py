"""A queue of images on the page becomes a plan that `medsynth dataset` takes."""

import subprocess
import sys

import pytest
import SimpleITK as sitk
import yaml

from medsynth.images import write_image

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_queue_is_downloaded_as_a_plan_that_a_set_is_made_of(visit, server, chest, tmp_path):
    visitor = visit(server, (1920, 1080))
    page = visitor.page
    visitor.open(chest)
    page.click(".no-findings input")
    visitor.lesion_at(0.27, 0.5)
    visitor.draft()
    page.fill(".queue-images input", "3")
    page.click(".queue-add")
    visitor.until("queue", lambda queue: len(queue) == 1)
    drawn = tmp_path / "drawn.nrrd"
    write_image(sitk.ReadImage(str(chest)), drawn)  # with the mark of what is not a patient's
    assert "Not for diagnosis" not in page.inner_text(".stage")
    visitor.open(drawn)  # the queue outlives the image
    assert "Synthetic reference. Not for diagnosis." in page.inner_text(".stage")
    page.fill(".queue-images input", "2")
    page.click(".queue-add")
    first, second = visitor.until("queue", lambda queue: len(queue) == 2)
    assert (first["what"], second["what"]) == ("3 x Solid nodule 14 mm", "2 x no lesion")
    visitor.picture("queue")
    with visitor.download("plan") as archive:
        archive.extractall(tmp_path)
    plan = yaml.safe_load((tmp_path / "plan" / "plan.yaml").read_text())
    assert [a["weight"] for a in plan["anatomies"]] == [3, 2]
    assert (plan["count"], plan["steps"], plan["pathologies"]["share"]) == (5, 2, 0.6)
    assert plan["anatomies"][0]["labels"] == []
    assert "sampler" not in plan  # the preset's own, which four calls may replace
    assert plan["slices"] == "all"
    (source,) = plan["pathologies"]["sources"]
    assert source["factor"] == 4
    command = [sys.executable, "-m", "medsynth", "dataset", "plan.yaml", "-o", "set", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path / "plan", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not visitor.errors
