"""How rows go to workers, and what happens when these die; the workers here only speak as real ones do."""

import sys

import pytest

from medsynth.errors import MissingExtra
from medsynth.factory import local_workers, ray_engine
from medsynth.factory.queue_of_rows import UNIT, RowQueue, in_order, units
from medsynth.factory.rows import PlanRow

# Kills itself at the image that argv names, as often as argv says; counts in a file.
SPEAKER = """
import json, os, pathlib, signal, sys
deadly, times, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
if deadly == "start":
    sys.exit("no such network")
print(json.dumps({"state": "ready"}), flush=True)
for line in sys.stdin:
    identifier = json.loads(line)["id"]
    died = len(list(folder.glob("died-*")))
    if identifier == deadly and died < times:
        (folder / f"died-{died}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    print("noise of a library", file=sys.stderr)
    print(json.dumps({"id": identifier, "state": "made"}), flush=True)
"""


def rows(*anatomies):
    return [PlanRow(f"{n:06d}", n, "train", {"id": name}) for n, name in enumerate(anatomies)]


def run(monkeypatch, folder, deadly="none", times=0, count=8):
    monkeypatch.setattr(
        local_workers, "COMMAND", (sys.executable, "-c", SPEAKER, deadly, str(times))
    )
    asked = rows(*"aabbccdd")[:count]
    return list(local_workers.run(asked, folder, workers=2, threads=1))


def test_every_row_is_made_once(monkeypatch, tmp_path):
    outcomes = run(monkeypatch, tmp_path)
    assert sorted(outcome.id for outcome in outcomes) == [f"{n:06d}" for n in range(8)]
    assert {outcome.state for outcome in outcomes} == {"made"}


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_row_made_by_another(monkeypatch, tmp_path):
    outcomes = run(monkeypatch, tmp_path, "000003", times=local_workers.MOST_DEATHS - 1)
    assert sorted(outcome.id for outcome in outcomes) == [f"{n:06d}" for n in range(8)]
    assert {outcome.state for outcome in outcomes} == {"made"}


@pytest.mark.slow
def test_a_row_at_which_workers_always_die_is_given_up_and_the_rest_is_made(monkeypatch, tmp_path):
    outcomes = {outcome.id: outcome for outcome in run(monkeypatch, tmp_path, "000003", times=99)}
    assert len(outcomes) == 8
    assert outcomes.pop("000003").state == "failed"
    assert {outcome.state for outcome in outcomes.values()} == {"made"}
    assert len(list(tmp_path.glob("died-*"))) == local_workers.MOST_DEATHS


@pytest.mark.slow
def test_why_a_row_is_given_up_is_said(monkeypatch, tmp_path):
    (failed,) = [o for o in run(monkeypatch, tmp_path, "000000", 99) if o.state == "failed"]
    assert failed.error == "4 workers died at it (signal 9; perhaps memory ran out)"


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_with_their_words(monkeypatch, tmp_path):
    with pytest.raises(OSError, match="local workers cannot start: no such network"):
        run(monkeypatch, tmp_path, "start")


def test_rows_of_one_anatomy_go_to_one_worker_while_others_take_theirs():
    queue = RowQueue(rows(*"aaabbc"))
    first = queue.next(None, busy=[])
    assert first.anatomy["id"] == "a"  # of which there are most
    assert queue.next(None, busy=["a"]).anatomy["id"] == "b"
    assert queue.next("a", busy=["b"]).anatomy["id"] == "a"
    queue.put_back(first)
    assert queue.next("a", busy=[]).id == first.id
    left = [queue.next("a", busy=[]).anatomy["id"] for _ in range(len(queue))]
    assert sorted(left) == ["a", "b", "c"]
    assert queue.next("a", busy=[]) is None


def test_units_are_of_one_anatomy_and_not_too_long():
    mixed = rows(*("ab" * 20))
    assert [row.anatomy["id"] for row in in_order(mixed)] == ["a"] * 20 + ["b"] * 20
    found = units(mixed)
    assert [len(unit) for unit in found] == [UNIT, 20 - UNIT] * 2
    assert all(len({row.anatomy["id"] for row in unit}) == 1 for unit in found)


RAY = """
import json, sys
rows = [json.loads(line)["id"] for line in iter(sys.stdin.readline, "\\n")]
what, folder, address = sys.argv[1:]
if what == "refused":
    print(json.dumps({"refused": "--ray: no Ray at " + address}), flush=True)
    sys.exit(1)
for number, identifier in enumerate(rows):
    if what == "gone" and number == 2:
        print("GCS failed to answer", file=sys.stderr)
        sys.exit(134)
    print(json.dumps({"id": identifier, "state": "made"}), flush=True)
"""


def on_ray(monkeypatch, folder, what):
    monkeypatch.setattr(ray_engine, "COMMAND", (sys.executable, "-c", RAY, what))
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: name)
    return ray_engine.run(rows(*"aabb"), folder, address="head:6379")


def test_rays_outcomes_come_back(monkeypatch, tmp_path):
    assert [o.id for o in on_ray(monkeypatch, tmp_path, "fine")] == [f"{n:06d}" for n in range(4)]


def test_a_ray_whose_head_goes_away_is_said_and_what_is_finished_counts(monkeypatch, tmp_path):
    heard = on_ray(monkeypatch, tmp_path, "gone")
    assert [next(heard).id, next(heard).id] == ["000000", "000001"]
    with pytest.raises(OSError, match=r"Ray at head:6379 went away \(GCS failed.*goes on"):
        next(heard)


def test_a_ray_that_is_not_there_is_said(monkeypatch, tmp_path):
    with pytest.raises(OSError, match="--ray: no Ray at head:6379; what is finished stays"):
        list(on_ray(monkeypatch, tmp_path, "refused"))


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'medsynth-slicer\[scale\]'"):
        list(ray_engine.run([], tmp_path, address="auto"))
