"""The command line before and after the work: what it imports, how it fails, how it is stopped."""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from numpy._core._exceptions import _ArrayMemoryError as NumpyMemoryError

from medsynth.cli import app as cli
from medsynth.cli import progress
from medsynth.errors import CheckpointError, GeometryError, MissingExtra
from medsynth.events import Event, Stage

MEDSYNTH = [sys.executable, "-m", "medsynth"]


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from medsynth.cli.app import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    told, loaded = out.split("LOADED")
    for name in cli.COMMANDS:
        assert f"\n    {name}" in told
    heavy = {
        "numpy",
        "torch",
        "SimpleITK",
        "pydicom",
        "monai",
        "scipy",
        "yaml",
        "PIL",
        "matplotlib",
    }
    assert heavy & set(loaded.split()) == set()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_and_the_common_options(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert name in capsys.readouterr().out
    leaves = list(cli._leaves(_subparsers()[name]))
    assert all({"--progress", "--debug"} <= set(leaf._option_string_actions) for leaf in leaves)


def _subparsers():
    (action,) = (a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


def test_version_and_no_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("medsynth ")
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line", [["synthesise"], ["synthesize"], ["synthesize", "r.yaml"], ["demo", "--sed", "x"]]
)
def test_a_wrong_command_line_is_one_line_and_2(line, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(line)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("medsynth: error: ")
    assert err.count("\n") == 1


@pytest.fixture
def command(monkeypatch):
    """A command `try` that does what the test says: `command(action)`."""

    def install(action):
        module = types.ModuleType("medsynth.cli.try")
        module.add_parser = lambda subparsers: subparsers.add_parser("try", help="try")
        module.run = lambda args, listener: action(listener)
        monkeypatch.setitem(sys.modules, "medsynth.cli.try", module)
        monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, "try"))

    return install


def raising(error):
    def action(listener):
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("factor must be\n  at least 1"), "factor must be at least 1"),
        (GeometryError("the mask is 12 mm away"), "the mask is 12 mm away"),
        (CheckpointError("damaged"), "damaged"),
        (
            MissingExtra('pip install "medsynth-slicer[pacs]"'),
            'pip install "medsynth-slicer[pacs]"',
        ),
        (FileNotFoundError(2, "No such file or directory", "ct"), "No such file or directory: ct"),
        (PermissionError("cannot make /out"), "cannot make /out"),
        (OSError(28, "the disk is full for out"), "the disk is full for out"),
        (MemoryError(), "not enough memory; "),
        (MemoryError("this job needs about 99 GB"), "this job needs about 99 GB"),
        (NumpyMemoryError((9,) * 9, np.dtype(float)), "not enough memory; "),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory; "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory; "),
    ],
)
def test_what_the_user_can_cure_is_one_line_and_2(command, capsys, error, line):
    command(raising(error))
    assert cli.main(["try"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"medsynth: error: {line}")
    assert (said.err.count("\n"), said.out) == (1, "")


def test_a_bug_is_one_line_and_1_and_debug_shows_the_traceback(command, capsys):
    command(raising(KeyError("x0")))
    assert cli.main(["try"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "this is a bug (KeyError: 'x0'); run again with --debug" in err
    with pytest.raises(KeyError):
        cli.main(["try", "--debug"])


def test_ctrl_c_is_one_line_and_130(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(["try"]) == 130
    assert capsys.readouterr().err == "medsynth: stopped; nothing was left behind\n"


def test_sigterm_is_a_ctrl_c_and_the_handler_is_put_back(command, capsys):
    cleared = []

    def action(listener):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # a second one while clearing up
            cleared.append(True)

    before = signal.getsignal(signal.SIGTERM)
    command(action)
    assert cli.main(["try"]) == 130
    assert cleared == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_error_reaches_a_program_as_json_too(command, capsys):
    command(raising(ValueError("no")))
    assert cli.main(["try", "--progress", "json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out) == {"kind": "error", "message": "no", "data": {"exit_code": 2}}
    assert said.err == "medsynth: error: no\n"


def job(listener):
    listener(Event("estimate", message="about 8 s"))
    with Stage("sampling", total=3, listener=listener) as stage:
        for _ in range(3):
            stage.advance(message="slice 4")
    listener(Event("warning", message="2 voxels were clipped"))
    listener(Event("result", message="wrote out", data={"out": "out"}))
    return 0


def test_json_progress_is_one_event_per_line_and_nothing_else(command, capsys):
    command(job)
    assert cli.main(["try", "--progress", "json"]) == 0
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [e["kind"] for e in events] == [
        "estimate",
        "stage",
        *["progress"] * 3,
        "warning",
        "result",
    ]
    assert [(e["done"], e["total"]) for e in events[2:5]] == [(1, 3), (2, 3), (3, 3)]
    assert said.err == ""


def test_without_a_terminal_there_are_plain_lines_and_the_result_on_stdout(command, capsys):
    command(job)
    assert cli.main(["try"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "about 8 s",
        "sampling ...",
        "medsynth: warning: 2 voxels were clipped",
    ]
    assert said.out == "wrote out\n"


def test_none_leaves_warnings_and_the_result(command, capsys):
    command(job)
    assert cli.main(["try", "--progress", "none"]) == 0
    said = capsys.readouterr()
    assert said.err == "medsynth: warning: 2 voxels were clipped\n"
    assert said.out == "wrote out\n"


def test_plain_lines_come_every_few_seconds(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines()
    lines(Event("stage", "sampling", total=20))
    for done in range(1, 13):
        now[0] += 1
        lines(Event("progress", "sampling", done, 20, 20.0 - done))
    assert capsys.readouterr().err.splitlines() == [
        "sampling ...",
        "sampling 5/20 15 s left",
        "sampling 10/20 10 s left",
    ]


def test_the_bar_fills_fits_the_terminal_and_leaves_the_time_it_took(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((60, 24)))
    bar = progress.Bar(stream)
    bar(Event("stage", "sampling", total=4))
    for done in (1, 2, 3, 4):
        now[0] += 20
        bar(Event("progress", "sampling", done, 4, 80.0 - 20 * done, "x" * 100 * (done == 3)))
    bar(Event("result"))
    drawn = [line.removesuffix("\x1b[K").rstrip() for line in stream.getvalue().split("\r")[1:]]
    assert all(len(line) < 60 for line in drawn)
    half = drawn[2].split("  ")
    bar_half = next(part for part in drawn[2].split() if "#" in part)
    assert abs(bar_half.count("#") - bar_half.count("-")) <= 1
    assert len(bar_half) > 10
    assert "2/4" in drawn[2]
    assert "40 s left" in half
    assert drawn[-1].split("\x1b")[0].split() == ["sampling", "1", "min", "20", "s"]
    assert stream.getvalue().endswith("\n")


def test_a_clock_people_read():
    times = (0.2, 8.4, 59.6, 125, 3599, 12_000)
    assert [progress.clock(t) for t in times] == [
        *("< 1 s", "8 s", "1 min 00 s", "2 min 05 s", "59 min 59 s", "3 h 20 min")
    ]


# Real processes: a long drawing is stopped, and a reader goes away.
LONG = ("phantom", "--slices", 400, "--progress", "json", "-o")


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_process_says_so_and_leaves_nothing(tmp_path, signum):
    process = subprocess.Popen(
        [*MEDSYNTH, *map(str, LONG), str(tmp_path / "thorax.nrrd")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while json.loads(process.stdout.readline())["kind"] != "progress":
        pass
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "medsynth: stopped; nothing was left behind\n"
    assert everything(tmp_path) == []


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_job_without_a_traceback(tmp_path):
    process = subprocess.Popen(
        [*MEDSYNTH, *map(str, LONG), str(tmp_path / "thorax.nrrd")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
    assert everything(tmp_path) == []
