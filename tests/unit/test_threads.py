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


def test_the_number_is_given_for_a_while(four_threads):
    with threads.using(2) as count:
        assert count == torch.get_num_threads() == 2
    assert torch.get_num_threads() == 4


def test_a_busy_machine_changes_no_bits(four_threads, monkeypatch):
    """Results differ in the last bits between numbers of threads: the load must not choose them."""
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval=None, percpu=False: [100] * 4)
    with threads.using() as count:
        assert count == torch.get_num_threads() == 4


@pytest.mark.parametrize("number", ["0", "-2", "1000"])
def test_a_number_of_threads_that_cannot_be_is_refused(number, capsys, tmp_path):
    words = ["demo", "--preset", "lung_ct", "-o", str(tmp_path / "out"), "--threads", number]
    assert cli.main([*words, "--dry-run"]) == 2
    assert f"threads must be from 1 to 256, got {number}" in capsys.readouterr().err


def test_numpy_takes_one_thread_and_what_is_started_takes_its_own():
    code = (
        "import os; from medsynth import threads\n"
        "with threads.one_for_numpy(): import numpy\n"
        "import psutil; print(psutil.Process().num_threads(), os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    for given, after in ({"OPENBLAS_NUM_THREADS": "3"}, "3"), ({}, "None"):
        environment = {k: v for k, v in os.environ.items() if k not in threads.NUMPY_THREADS}
        done = subprocess.run(
            *([sys.executable, "-c", code],),
            **{"env": {**environment, **given}, "capture_output": True, "text": True},
            check=True,
        )
        assert done.stdout.split() == ["1", after]


@pytest.mark.slow
def test_the_command_sets_passive_waiting_before_pytorch_is_there():
    code = (
        "import os, sys\nfrom medsynth.cli import app as cli\n"
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
