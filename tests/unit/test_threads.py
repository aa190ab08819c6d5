"""How many threads compute, and that they sleep while they wait."""

import os
import subprocess
import sys

import psutil
import pytest
import torch

from medsynth import threads
from medsynth.cli import app as cli


@pytest.fixture
def four_threads():
    """A process whose PyTorch computes with four threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def busy(monkeypatch, *percents):
    """A machine of as many cores, so busy."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: list(percents))
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: set(range(len(percents))), raising=False
    )


@pytest.mark.parametrize(
    ("percents", "chosen"),
    [
        ((0, 0, 0, 0), 4),
        ((10, 5, 5, 0), 4),
        ((100, 0, 0, 0), 3),
        ((50, 50, 50, 50), 2),
        ((100, 100, 100, 100), 1),
        ((0,) * 16, 4),  # never more than PyTorch would take
    ],
)
def test_idle_cores_compute(four_threads, monkeypatch, percents, chosen):
    busy(monkeypatch, *percents)
    with threads.using() as count:
        assert count == torch.get_num_threads() == chosen
    assert torch.get_num_threads() == 4


def test_the_users_number_stays(four_threads, monkeypatch):
    busy(monkeypatch, 100, 100)
    with threads.using(2):
        assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with threads.using():
        assert torch.get_num_threads() == 4


def test_cores_that_others_may_use_only_do_not_count(monkeypatch):
    busy(monkeypatch, 0, 100, 0, 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert threads.idle_cores() == pytest.approx(1)


@pytest.mark.parametrize("number", ["0", "-2", "1000"])
def test_a_number_of_threads_that_cannot_be_is_refused(number, capsys, tmp_path):
    words = ["demo", "--preset", "lung_ct", "-o", str(tmp_path / "out"), "--threads", number]
    assert cli.main([*words, "--dry-run"]) == 2
    assert f"threads must be from 1 to 256, got {number}" in capsys.readouterr().err


def test_the_command_sets_passive_waiting_before_pytorch_is_there():
    code = (
        "import os, sys\nfrom medsynth import cli\n"
        "try: cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules\n"
        "print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    active = {**environment, "OMP_WAIT_POLICY": "ACTIVE"}
    for given, expected in ((environment, "PASSIVE"), (active, "ACTIVE")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[-1] == expected
