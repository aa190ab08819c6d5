"""Training by several real processes: torchrun, two on the loopback, against one alone."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from made_up_network import TINY
from safetensors.torch import load_file

from medsynth import domains as presets
from medsynth.bundle import check_processes
from medsynth.cli import app as cli
from medsynth.dicom import ExportJob, write_series
from medsynth.networks import PatchUNet, PatchUNetConfig
from medsynth.training.distributed import DistributedContext, joined

CONFIGS = Path(__file__).resolve().parents[2] / "monai_bundle" / "configs"
RECIPE = {
    "preset": "lung_ct",
    "network": TINY
    | {"image_size": [512, 512], "learned_variance": True, "reference_conditioned": True},
    "schedule": {"kind": "cosine", "num_train_timesteps": 100},
    "prediction_type": "epsilon",
    "timestep_sampler": {"kind": "loss_second_moment", "history": 2, "bins": 2},
    # 3 samples for 2 processes: shares of different size.
    "phases": [{"crop": 32, "batch_size": 3, "steps": 5000}],
    "optimizer": {"lr": 1e-3, "warmup": 1},
    "samples": {"every": 0},
    "precision": "float32",
    "workers": 0,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the recipe and images of one patient."""
    folder = tmp_path_factory.mktemp("processes")
    values = np.random.default_rng(0).integers(-1000, 400, (2, 512, 512)).astype(np.float32)
    write_series(
        sitk.GetImageFromArray(values),
        folder / "data/P1/ct",
        preset=presets.get("lung_ct"),
        job=ExportJob("test-job", title="made up"),
        derivation="Made for a test.",
    )
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder


def torchrun(*arguments):
    """Two processes on this machine, on a free port."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        + ["-m", *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def command(made, run, *more):
    recipe, data = made / "recipe.yaml", made / "data"
    return ["train", str(recipe), "--data", str(data), "-o", str(run), "--device", "cpu", *more]


def alone(made, run, stop):
    assert cli.main([*command(made, run, "--stop-at", str(stop)), "--progress", "none"]) == 0


def tensors(run):
    (file,) = run.glob("checkpoint-*.safetensors")
    return load_file(file)


def flat(tensors, part):
    """All tensors of a part of the checkpoint as one vector."""
    chosen = [v.flatten() for k, v in sorted(tensors.items()) if part in k]
    return torch.cat(chosen).double()


def beginning():
    """The network's parameters before the first step."""
    torch.manual_seed(0)
    state = PatchUNet(PatchUNetConfig.from_dict(RECIPE["network"])).state_dict()
    return flat({f"network.{k}": v for k, v in state.items()}, "network.")


def assert_same_run(run, expected):
    """Sums in another order round differently, and Adam enlarges that where gradients are tiny.

    So each part is held as a whole: gradient averages, and how far the weights have moved.
    """
    ours, theirs = tensors(run), tensors(expected)
    assert ours.keys() == theirs.keys()
    for part, zero in (("network.", beginning()), ("ema.", beginning()), (".exp_avg", 0.0)):
        one, other = flat(ours, part) - zero, flat(theirs, part) - zero
        assert (one - other).norm() < 2e-3 * other.norm(), part
    assert torch.equal(ours["timestep_sampler.counts"], theirs["timestep_sampler.counts"])
    tables = [csv.reader((r / "losses.csv").read_text().splitlines()) for r in (run, expected)]
    np.testing.assert_allclose(*(np.array(list(rows)[1:], float) for rows in tables), rtol=1e-4)


@pytest.fixture(scope="module")
def expected(made):
    """Six steps by one process."""
    alone(made, made / "alone", 6)
    return made / "alone"


@pytest.fixture(scope="module")
def two(made):
    """Four steps by two processes, and what they said."""
    options = ("--stop-at", "4", "--progress", "json")
    process = torchrun("medsynth", *command(made, made / "two", *options))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return made / "two", output


def test_two_processes_train_what_one_does_and_it_goes_on_alone(made, expected, two):
    run, _ = two
    moved = tensors(expected)
    assert moved["timestep_sampler.counts"].sum() == 4  # the histories are full, and have mattered
    alone(made, run, 6)
    assert_same_run(run, expected)


def test_only_the_first_process_writes_and_speaks(two):
    run, output = two
    assert output.count('"result"') == 1
    assert output.count('"done": 4') == 1
    assert not [p.name for p in run.iterdir() if "partial" in p.name]


def test_two_processes_of_the_bundle_go_on_where_one_stopped(made, expected):
    run = made / "begun_alone"
    alone(made, run, 3)
    configs = [str(CONFIGS / name) for name in ("train.json", "multi_gpu_train.json")]
    process = torchrun(
        *("monai.bundle", "run", "--config_file", str(configs)),
        *("--recipe", made / "recipe.yaml", "--dataset_dir", made / "data", "--out", run),
        *("--stop_at", "6", "--device", "cpu"),
    )
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_same_run(run, expected)


def test_sigterm_stops_all_after_one_step_with_one_checkpoint(made):
    run = made / "stopped"
    process = torchrun("medsynth", *command(made, run, "--set", "checkpoint_every=1"))
    try:
        wait_for_checkpoint(process, run)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert output.count("stopped at step") == 1, output
    (file,) = run.glob("checkpoint-*.safetensors")
    step = int(file.stem.split("-")[1])
    assert f"stopped at step {step};" in output
    assert 1 <= step < 5000
    assert not list(run.glob(".*partial*"))
    straight = made / "straight"
    alone(made, straight, step)
    assert_same_run(run, straight)


def wait_for_checkpoint(process, run):
    """Until the first checkpoint is there; a process that ends before says why."""
    while not (run / "checkpoint.json").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_sigterm_to_the_whole_group_stops_with_one_checkpoint(made):
    """`timeout` and schedulers signal the process, and its group with the workers: it comes twice."""
    run = made / "group"
    process = subprocess.Popen(
        [sys.executable, "-m", "medsynth"]
        + command(made, run, "--set", "checkpoint_every=1", "--set", "workers=2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for_checkpoint(process, run)
        process.send_signal(signal.SIGTERM)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, output
    assert "bug" not in output
    (file,) = run.glob("checkpoint-*.safetensors")
    assert f"stopped at step {int(file.stem.split('-')[1])};" in output
    assert not list(run.glob(".*partial*"))


def test_the_bundles_second_config_needs_torchrun():
    with pytest.raises(ValueError, match="torchrun --nproc_per_node"):
        check_processes({})
    check_processes({"WORLD_SIZE": "2"})


def test_a_batch_must_have_a_sample_for_every_process():
    shares = [DistributedContext(rank, 3).share(7) for rank in range(3)]
    assert [i for share in shares for i in range(7)[share]] == list(range(7))
    with pytest.raises(ValueError, match="batch of 2 cannot be shared by 3 processes"):
        DistributedContext(0, 3).share(2)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ValueError, match="finds 1 CUDA devices; use --nproc_per_node 1"),
        joined("cuda", {"WORLD_SIZE": "2", "LOCAL_RANK": "1"}),
    ):
        pass


def test_without_torchrun_one_is_alone():
    with joined("cpu", {}) as (context, device):
        assert (context, device) == (DistributedContext(), "cpu")
        assert context.first
