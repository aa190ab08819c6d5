"""nnU-Net itself checks the layout, takes its fingerprint and plans an experiment on it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from made_sets import make_set

from medsynth.factory.finish import finish
from medsynth.factory.store import open_set
from medsynth.marking import WORD

pytestmark = pytest.mark.slow

CHECK = """
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
verify_dataset_integrity({home!r}, num_processes=1)
"""
PLAN = """
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments
if __name__ == "__main__":
    extract_fingerprints([900], num_processes=1, check_dataset_integrity=True)
    plan_experiments([900])
"""


def laid_out(folder, **options):
    make_set(folder, **options)
    finish(folder, type("Plan", (), {"write": ("nnunet",)})())
    return folder / "layouts" / "nnunet" / "Dataset900_set"


def nnunet(script, raw, results):
    pytest.importorskip("nnunetv2", reason="needs nnunetv2")
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    places = dict(zip(names, (raw, results, results), strict=True))
    file = results / "script.py"
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, str(file)],
        env=os.environ
        | {name: str(path) for name, path in places.items()}
        | {"nnUNet_n_proc_DA": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_train_and_validation_are_training_cases_and_test_is_apart(tmp_path):
    home = laid_out(tmp_path / "set")
    assert sorted(f.name for f in (home / "imagesTr").iterdir()) == [
        f"ms_00000{n}_0000.nii.gz" for n in range(3)
    ]
    assert [f.name for f in (home / "labelsTs").iterdir()] == ["ms_000003.nii.gz"]
    about = json.loads((home / "dataset.json").read_text())
    assert about["numTraining"] == 3
    assert about["channel_names"] == {"0": "CT"}
    assert about["labels"] == {
        "background": 0,
        "lesion_solid": 1,
        "lesion_spiculated": 2,
        "existing_old_nodule": 3,
    }
    assert WORD in about["description"]
    # The lesion lies partly on the old label: there the lesion counts, and how often is said.
    item = list(open_set(tmp_path / "set").items())[1]
    both = item.annotations[2].voxels() & (
        item.annotations[0].voxels() | item.annotations[1].voxels()
    )
    assert both.any()
    assert about["voxels_of_two_classes"] == both.sum()
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(home / "labelsTr" / "ms_000001.nii.gz")))
    assert set(np.unique(labels[both])) <= {1, 2}
    split = json.loads((home / "splits_final.json").read_text())
    assert split == [{"train": ["ms_000000", "ms_000001"], "val": ["ms_000002"]}]


def test_a_set_without_any_mask_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the set has no mask at all, and nnU-Net needs a class"):
        laid_out(tmp_path / "set", lesions=0, label=False)


@pytest.mark.parametrize(
    ("shape", "preset", "configurations"),
    [
        ((1, 64, 80), "lung_ct", {"2d"}),
        ((1, 64, 80), "mammography", {"2d"}),
        ((12, 64, 80), "lung_ct", {"2d", "3d_fullres"}),
    ],
)
def test_nnunet_accepts_and_plans_it(tmp_path, shape, preset, configurations):
    home = laid_out(tmp_path / "set", count=8, shape=shape, preset=preset)
    results = tmp_path / "preprocessed"
    results.mkdir()
    assert "verify_dataset_integrity Done" in nnunet(PLAN, home.parent, results)
    plans = json.loads((results / home.name / "nnUNetPlans.json").read_text())
    assert set(plans["configurations"]) == configurations


def test_nnunet_sees_a_mask_that_is_of_another_grid(tmp_path):
    """The check that the layout passes is one that can fail."""
    home = laid_out(tmp_path / "set")
    labels = home / "labelsTr" / "ms_000001.nii.gz"
    sitk.WriteImage(sitk.Image(8, 8, 1, sitk.sitkUInt8), str(labels))
    with pytest.raises(AssertionError, match="Shape mismatch"):
        nnunet(
            f"if __name__ == '__main__':\n    {CHECK.strip().replace(chr(10), chr(10) + '    ')}".format(
                home=str(home)
            ),
            home.parent,
            tmp_path,
        )
