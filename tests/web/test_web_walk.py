"""The whole job in a real browser, by mouse and keyboard, seen in the pixels of the views and in what comes out."""

import io
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from job_server import JobServer
from served_page import until
from web_visitor import center, differ, marked, roughness

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_whole_job(visit, server, chest, tmp_path):
    visitor = visit(server)
    page = visitor.page
    assert page.is_disabled(".run")
    said = visitor.sayings()
    visitor.open(chest)
    assert any(words.startswith("Reading the image") for words in said())
    plain = visitor.settle()

    page.click(".preview input")
    soft = visitor.changed(plain)
    assert roughness(soft) < 0.6 * roughness(plain)
    page.click(".preview input")
    visitor.back_to(plain)

    visitor.lesion_at(0.27, 0.5)
    placed = visitor.changed(plain)
    assert np.allclose(center(placed), (0.27, 0.5), atol=0.03)
    visitor.picture("placed")

    visitor.draft()
    page.click(".run")
    page.wait_for_selector(".cancel:not([disabled])")
    page.click(".cancel")
    visitor.said("Canceled")
    assert not page.query_selector(".result")
    page.click(".run")
    visitor.said("Done: 1 synthetic image")
    synthetic = visitor.changed(placed)
    assert differ(synthetic, plain)
    visitor.picture("result")

    page.keyboard.press("m")
    bare = visitor.changed(synthetic)
    assert marked(synthetic).sum() > marked(bare).sum()
    page.keyboard.press("b")
    real = visitor.changed(bare)
    page.keyboard.press("b")
    visitor.back_to(bare)
    page.click(".fade")
    faded = visitor.changed(bare)
    assert differ(faded, real)
    page.click(".difference")
    visitor.changed(faded)
    visitor.picture("difference")
    assert page.get_attribute(".result img", "src").startswith("data:image/png")

    with visitor.download("all") as archive:
        archive.extractall(tmp_path / "page")
    with visitor.download("dicom") as archive:
        assert any(name.endswith(".dcm") for name in archive.namelist())
    with visitor.download("nifti") as archive:
        assert {"image.nii.gz"} <= set(archive.namelist())
    assert not visitor.errors
    assert not visitor.elsewhere
    every_door_makes_the_same(tmp_path, chest)


def every_door_makes_the_same(tmp_path, chest):
    """One request, one result: voxel for voxel what command, server and bundle make of what the page asked."""
    request = yaml.safe_load((tmp_path / "page" / "request.yaml").read_text())
    assert request["steps"] == 2
    x, y, _ = request["pathologies"][0]["center_mm"]
    assert x < -20  # clicked at the left of the screen: the patient's right
    request["anatomy"]["image"] = "chest.nrrd"
    request["output"].pop("paths", None)
    request["device"] = "cpu"
    asked = tmp_path / "asked"
    asked.mkdir()
    shutil.copy(chest, asked / "chest.nrrd")
    (asked / "request.yaml").write_text(yaml.safe_dump(request))
    doors = (by_command, by_server, by_bundle)
    with ThreadPoolExecutor() as together:
        outs = together.map(lambda door: door(asked, tmp_path / door.__name__), doors)
    for door, out in zip(doors, outs, strict=True):
        names = sorted(path.name for path in out.glob("*.nrrd"))
        assert names == ["image.nrrd", "pathology_01.nrrd"]
        for name in names:
            ours, theirs = (
                sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
                for folder in (tmp_path / "page", out)
            )
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{door.__name__} {name}")


def by_command(asked, out):
    command = [sys.executable, "-m", "medsynth", "synthesize", asked / "request.yaml", "-o", out]
    subprocess.run([str(word) for word in (*command, "--threads", 1)], check=True)
    return out


def by_server(asked, out):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in asked.iterdir():
            archive.write(file, file.name)
    folder = out.with_name("server")
    folder.mkdir()
    with JobServer(folder, "--threads", "1") as server:
        job = server.submit(packed.getvalue()).json()["id"]
        assert server.wait(job)["state"] == "done"
        result = server.call("GET", f"/v1/jobs/{job}/result.zip").content
    zipfile.ZipFile(io.BytesIO(result)).extractall(out)
    return out


def by_bundle(asked, out):
    config = Path(__file__).parents[2] / "monai_bundle" / "configs" / "inference.json"
    words = ["--config_file", config, "--request", asked / "request.yaml", "--out", out]
    command = [sys.executable, "-m", "monai.bundle", "run", *words, "--threads", 1]
    subprocess.run([str(word) for word in command], check=True, cwd=config.parents[1])
    return out


def test_box_brush_and_somewhere(visit, server, chest):
    visitor = visit(server, (1920, 1080))
    page = visitor.page
    visitor.open(chest)
    plain = visitor.settle()
    page.click(".add")
    page.wait_for_selector(".lesion")
    assert page.is_disabled(".run")  # it has no place yet

    page.click(".lesion .click")
    page.wait_for_selector(".lesion .done")
    page.keyboard.press("Escape")
    page.wait_for_selector("text=No place yet.")

    page.click(".lesion .box")
    page.wait_for_selector(".lesion .done")
    visitor.click(0.25, 0.42)
    visitor.click(0.31, 0.5)
    page.wait_for_selector("text=Placed by a box.")
    boxed = visitor.changed(plain)
    assert marked(boxed).any()
    assert page.is_enabled(".run")

    page.click(".lesion .brush")
    page.wait_for_selector(".lesion .done")
    gone = visitor.changed(boxed)  # the box, whose place the region takes
    visitor.click(0.72, 0.5)
    visitor.changed(gone)
    page.click(".lesion .done")
    page.wait_for_selector("text=Painted.")
    page.mouse.move(5, 5)  # the brush itself is drawn too
    visitor.picture("painted")
    until(lambda: marked(visitor.axial()).any())  # outlined, no longer filled
    assert abs(center(visitor.settle())[0] - 0.72) < 0.05

    page.click(".lesion .somewhere")
    page.wait_for_selector("text=Placed by a click.")
    assert "wrong" not in page.get_attribute(".lesion .note", "class")
    assert not visitor.errors


def test_two_visitors_see_nothing_of_each_other(visit, server, chest):
    first, second = visit(server), visit(server)
    first.open(chest)
    first.page.click(".add")
    first.page.wait_for_selector(".lesion")
    assert first.page.url != second.page.url
    assert not second.page.query_selector(".lesion")
    assert second.page.is_disabled(".preview input")
    assert second.axial().max() < 40  # its views are empty
    assert first.axial().max() > 100
