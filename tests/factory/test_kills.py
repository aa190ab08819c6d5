"""SIGKILL of workers and of the run itself: nothing lost, nothing twice, the bytes of a quiet run.

MEDSYNTH_KILLS is how many (20 takes minutes), MEDSYNTH_KILL_IMAGES how large the set is.
"""

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from made_plans import contents, write_plan

from medsynth.factory import engine
from medsynth.factory.parse import load_plan
from medsynth.factory.rows import read_rows

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MEDSYNTH_KILLS", "3"))
IMAGES = int(os.environ.get("MEDSYNTH_KILL_IMAGES", "16"))
WORKER = "medsynth.factory.worker"
NO_PROGRESS_SECONDS = 400


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The plan, and the set as one undisturbed process makes it."""
    folder = tmp_path_factory.mktemp("kills")
    plan = write_plan(folder, count=IMAGES)
    assert engine.make(load_plan(plan), folder / "quiet").there == IMAGES
    return plan, folder / "quiet"


def begin(plan, out, *options):
    words = [sys.executable, "-m", "medsynth", "dataset", plan, "-o", out, *options]
    return subprocess.Popen(
        list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def makers(run):
    """The processes of a run that make images."""
    try:
        below = psutil.Process(run.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for process in below:
        try:
            words = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if WORKER in words or words.startswith("ray::MapWorker"):
            found.append(process)
    return found


def made(out):
    items = out / "items"
    return len([p for p in items.iterdir() if p.name.isdigit()]) if items.is_dir() else 0


def until_complete(plan, out, *options):
    """Kill a worker or the whole run now and then; begin again; return how many died of us."""
    chance, killed, runs = random.Random(0), 0, 1
    run = begin(plan, out, *options)
    try:
        while True:
            wait_for_progress(run, out, to_the_end=killed >= KILLS)
            time.sleep(chance.uniform(0, 0.1))
            if run.poll() is None:
                victims = makers(run)
                if killed % 3 == 2 or not victims:
                    run.kill()
                    run.wait()
                else:
                    chance.choice(victims).send_signal(signal.SIGKILL)
                killed += 1
            elif run.returncode == 0:
                return killed
            else:
                assert runs <= KILLS + 2, run.stderr.read()
                runs += 1
                run = begin(plan, out, *options)
    finally:
        run.kill()
        run.wait()


def wait_for_progress(run, out, *, to_the_end):
    """Until one more image is there (or the run has ended): no particular moment of an image."""
    before, since = made(out), time.monotonic()
    while run.poll() is None:
        if (now := made(out)) > before:
            if not to_the_end:
                return
            before, since = now, time.monotonic()
        assert time.monotonic() - since < NO_PROGRESS_SECONDS, "no progress"
        time.sleep(0.02)


def check_same(out, quiet):
    assert contents(out / "items") == contents(quiet / "items")
    assert (out / "plan.jsonl").read_bytes() == (quiet / "plan.jsonl").read_bytes()
    assert not list((out / "quarantine").iterdir())
    ids = [row.id for row in read_rows(out)]
    assert sorted(path.name for path in (out / "items").iterdir()) == ids


def test_local_workers_and_the_run_itself_are_killed(quiet, tmp_path):
    plan, undisturbed = quiet
    assert until_complete(plan, tmp_path / "set", "--workers", 2) == KILLS
    check_same(tmp_path / "set", undisturbed)


def test_ray_actors_and_the_driver_are_killed(quiet, tmp_path):
    pytest.importorskip("ray", reason="needs the extra: pip install medsynth-slicer[scale]")
    plan, undisturbed = quiet
    until_complete(plan, tmp_path / "set", "--ray", "auto")
    check_same(tmp_path / "set", undisturbed)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_ends_its_workers_and_goes_on(quiet, tmp_path, stop):
    plan, undisturbed = quiet
    out = tmp_path / "set"
    run = begin(plan, out, "--workers", 2)
    while made(out) < 2:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    workers = makers(run)
    assert len(workers) == 2
    run.send_signal(stop)
    assert run.wait(60) == 130
    assert "the same command goes on" in run.stderr.read()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert not [p for p in (out / "items").iterdir() if not p.name.isdigit()]
    assert engine.make(load_plan(plan), out).there == IMAGES
    check_same(out, undisturbed)


def test_ray_that_is_not_there_is_said(quiet, tmp_path):
    pytest.importorskip("ray", reason="needs the extra: pip install medsynth-slicer[scale]")
    plan, _ = quiet
    run = begin(plan, tmp_path / "set", "--ray", "127.0.0.1:1")
    assert run.wait(120) == 2
    assert "--ray: no Ray at 127.0.0.1:1" in run.stderr.read()
