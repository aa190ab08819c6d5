"""Steps back and forth over whatever can be taken a snapshot of."""

import pytest

from medsynth.scene.history import History, UndoSteps


class Words:
    """A list of words that can be undone."""

    def __init__(self, **options):
        self.all = []
        self.history = History(lambda: tuple(self.all), self.restore, **options)

    def restore(self, found):
        self.all = list(found)

    def say(self, word, title="word", **how):
        self.all.append(word)
        self.history.commit(title, **how)


def test_a_step_is_taken_back_and_made_again():
    words = Words()
    words.say("a", "first")
    words.say("b", "second")
    assert (words.history.undoes, words.history.redoes) == ("second", "")
    words.history.undo()
    assert (words.all, words.history.undoes, words.history.redoes) == (["a"], "first", "second")
    words.history.undo()
    words.history.undo()  # nothing is left
    assert words.all == []
    words.history.redo()
    words.history.redo()
    words.history.redo()
    assert words.all == ["a", "b"]


def test_what_changes_nothing_is_no_step():
    words = Words()
    words.history.commit("nothing")
    assert words.history.undoes == ""


def test_a_new_step_ends_what_could_be_made_again():
    words = Words()
    words.say("a")
    words.history.undo()
    words.say("b")
    words.history.redo()
    assert words.all == ["b"]


@pytest.mark.parametrize(("merge", "left"), [(True, []), (False, ["a", "b"])])
def test_a_slider_that_moves_in_many_steps_is_taken_back_in_one(merge, left):
    words = Words()
    for word in "abc":
        words.say(word, "size", merge=merge)
    words.history.undo()
    assert words.all == left


def test_a_slider_moved_after_a_step_back_is_a_step_of_its_own():
    words = Words()
    words.say("a", "size", merge=True)
    words.say("b", "other")
    words.history.undo()
    words.say("c", "size", merge=True)
    words.history.undo()
    assert words.all == ["a"]


def test_no_more_steps_are_kept_than_said_and_what_cannot_come_back_is_not_reachable():
    words = Words(most=2)
    for word in "abcd":
        words.say(word)
    assert set(words.history.reachable()) == {tuple("ab"), tuple("abc"), tuple("abcd")}
    words.history.clear()
    assert list(words.history.reachable()) == [tuple("abcd")]
    words.history.undo()
    assert words.all == list("abcd")


def test_steps_that_are_functions_are_taken_back_and_one_that_fails_is_not_in_the_way():
    done = []

    def broken():
        raise ValueError("gone")

    steps = UndoSteps(lambda back: back(), most=2)
    for title, back in (("far", broken), ("first", lambda: done.append(1)), ("second", broken)):
        steps.add(title, back)
    with pytest.raises(ValueError, match="gone"):
        steps.undo()
    assert steps.undoes == "first"
    steps.undo()
    assert (done, steps.undoes, steps.redoes) == ([1], "", "")
