"""UIDs are fixed per job, differ between jobs, and are legal."""

from dataclasses import replace
from datetime import datetime

import pytest
from made_dicom import JOB
from pydicom.uid import UID

from medsynth.dicom import ExportJob


def test_uids_are_the_same_every_time_and_differ_by_role():
    again = ExportJob(JOB.identifier, JOB.created)
    assert JOB.uid("image", 3) == again.uid("image", 3)
    uids = {JOB.uid("image", k) for k in range(500)} | {JOB.uid("series", "image")}
    assert len(uids) == 501
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids)


@pytest.mark.parametrize(
    "other",
    [replace(JOB, identifier="other"), replace(JOB, created=datetime(2026, 3, 4, 5, 6, 8))],
    ids=["identifier", "time"],
)
def test_another_job_has_other_uids(other):
    assert other.uid("image", 0) != JOB.uid("image", 0)
    assert other.remapped("1.2.3") != JOB.remapped("1.2.3")
    assert other.short_id != JOB.short_id


def test_a_remapped_uid_is_consistent_and_is_not_the_original():
    assert JOB.remapped("1.2.3") == JOB.remapped("1.2.3")
    assert JOB.remapped("1.2.3") not in ("1.2.3", JOB.remapped("1.2.4"))


def test_a_job_without_identity_is_refused():
    with pytest.raises(ValueError, match="non-empty identifier"):
        ExportJob("  ")
