"""The time left that a stage tells."""

import pytest

from medsynth import events
from medsynth.events import Stage


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until the test moves it."""
    now = [0.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def lefts(clock, seconds, **options):
    """What a stage of as many units says after each of them."""
    said = []
    with Stage("sampling", total=len(seconds), listener=said.append, **options) as stage:
        for took in seconds:
            clock[0] += took
            stage.advance()
    return [event.seconds_left for event in said if event.kind == "progress"]


def test_the_first_unit_warms_up_and_says_nothing(clock):
    said = lefts(clock, [60.0] + [1.0] * 9)
    assert said == [None, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_what_was_expected_steadies_the_first_value(clock):
    """20 s were told; a first step of ten times its share must not make 200 of them."""
    said = lefts(clock, [10.0] + [1.0] * 19, expected=20.0)
    assert said[0] == pytest.approx(19 * (4 * 1 + 10) / 5)
    assert said[9] == pytest.approx(10, rel=0.7)


def test_the_time_left_follows_the_load(clock):
    """Where the machine became ten times slower long ago, the quick beginning is forgotten."""
    said = lefts(clock, [0.1] * 200 + [1.0] * 200, expected=40.0)
    assert said[199] == pytest.approx(20, rel=0.05)
    assert said[350] == pytest.approx(49, rel=0.05)


def test_units_may_come_several_at_once(clock):
    said = []
    with Stage("reading", total=100, expected=50.0, listener=said.append) as stage:
        clock[0] += 25
        stage.advance(50)
        stage.advance(0)
    assert [event.seconds_left for event in said[1:]] == [25.0, 25.0]
