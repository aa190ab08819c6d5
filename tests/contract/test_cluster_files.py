"""The files for a cluster: what can be checked without one."""

import re
import shlex

import pytest
import yaml

from medsynth.cli import app as cli
from medsynth.factory.parse import load_plan


@pytest.fixture(scope="module")
def job(repo_root):
    return yaml.safe_load((repo_root / "packaging/ray/rayjob.yaml").read_text())


def pods(job):
    cluster = job["spec"]["rayClusterSpec"]
    yield cluster["headGroupSpec"]["template"]["spec"]
    yield from (group["template"]["spec"] for group in cluster["workerGroupSpecs"])


def test_the_job_runs_a_command_that_there_is(job):
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[0] == "medsynth"
    args = cli.parser().parse_args(words[1:])
    assert (args.command, args.action, args.ray) == ("dataset", "make", "auto")


def test_every_pod_mounts_the_folder_of_the_set(job):
    out = shlex.split(job["spec"]["entrypoint"])[4]
    for pod in pods(job):
        (container,) = pod["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert out.startswith(mounts["data"] + "/")
        assert "data" in {volume["name"] for volume in pod["volumes"]}
        assert {"name": "OMP_NUM_THREADS", "value": "1"} in container["env"]


def test_rays_version_is_one_that_the_extra_allows(job, repo_root):
    least = re.search(r'"ray\[data\]>=([\d.]+)"', (repo_root / "setup.py").read_text()).group(1)
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert [int(n) for n in version.split(".")] >= [int(n) for n in least.split(".")]


def test_what_the_container_copies_is_there(repo_root):
    lines = (repo_root / "packaging/ray/Containerfile").read_text().splitlines()
    copied = [words for line in lines if line.startswith("COPY ") for words in [line.split()[1:-1]]]
    assert copied
    for names in copied:
        for name in names:
            assert (repo_root / name).exists(), name


@pytest.mark.parametrize(
    "domain", ["lung_ct", "mammography", "chest_xray", "brain_mri", "brain_ct"]
)
def test_plans_are_read(repo_root, domain, tmp_path, monkeypatch):
    assert load_plan(repo_root / f"examples/plans/{domain}.yaml").preset == domain
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dataset", "init", domain, "--progress", "none"]) == 0
    plan = load_plan(tmp_path / f"{domain}_plan.yaml")
    assert (plan.preset, plan.threads) == (domain, 1)
