"""Who runs, who waits, and who is turned away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.proxy.turns import Turn, Turns


@pytest.fixture
def turns() -> Turns:
    return Turns()


def asked(turns: Turns, provider: str, most: int | None = None, *, again: bool = False) -> Turn:
    turn = turns.ask(provider, most, again=again)
    assert turn is not None
    return turn


def test_the_first_come_is_the_first_served(turns: Turns) -> None:
    first, second, third = (asked(turns, "acme", 1) for _ in range(3))
    assert [each.waits for each in (first, second, third)] == [False, True, True]
    turns.give_back(first)
    assert [each.waits for each in (second, third)] == [False, True]


def test_a_provider_without_room_holds_up_nobody_else(turns: Turns) -> None:
    asked(turns, "acme", 1), asked(turns, "acme", 1)
    assert not asked(turns, "other", 1).waits
    assert not asked(turns, "unlimited").waits


def test_all_together_have_a_limit(turns: Turns) -> None:
    turns.most_running = 2
    first, _, waiting = (asked(turns, name) for name in ("a", "b", "c"))
    assert waiting.waits
    turns.give_back(first)
    assert not waiting.waits


def test_the_line_has_an_end(turns: Turns) -> None:
    turns.most_waiting = 1
    asked(turns, "acme", 1), asked(turns, "acme", 1)
    assert turns.ask("acme", 1) is None


def test_another_try_of_a_call_goes_to_the_head_of_the_line(turns: Turns) -> None:
    turns.most_waiting = 1
    first, second = asked(turns, "acme", 1), asked(turns, "acme", 1)
    again = asked(turns, "acme", 1, again=True)
    turns.give_back(first)
    assert (again.waits, second.waits) == (False, True)


def test_who_leaves_the_line_lets_the_next_one_up(turns: Turns) -> None:
    first, second, third = (asked(turns, "acme", 1) for _ in range(3))
    turns.give_back(second)
    assert second.gone.is_set()
    turns.give_back(first)
    assert not third.waits


def test_room_that_was_made_by_a_new_configuration_is_used(turns: Turns) -> None:
    turns.most_running = 1
    first, second, third = (asked(turns, "acme") for _ in range(3))
    turns.most_running = 3
    turns.give_back(first)
    assert not second.waits
    assert not third.waits


@dataclass(frozen=True)
class Step:
    provider: str
    back: int | None
    """Which of the turns that are out is given back; None: one is asked for."""


STEPS = st.builds(Step, st.sampled_from(["a", "b", "c"]), st.none() | st.integers(0, 30))
MOST = {"a": 1, "b": 3, "c": None}


@given(st.lists(STEPS, max_size=60))
def test_always(steps: Sequence[Step]) -> None:
    """No limit is passed, nobody waits for no reason, and in the end nothing is left."""
    turns = Turns()
    turns.most_running, turns.most_waiting = 5, 4
    out: list[Turn] = []
    for step in steps:
        if step.back is None:
            turn = turns.ask(step.provider, MOST[step.provider])
            out += [turn] if turn is not None else []
        elif out:
            turns.give_back(out.pop(step.back % len(out)))
        running = [turn.provider for turn in out if not turn.waits]
        waiting = [turn for turn in out if turn.waits]
        assert (turns.running, turns.waiting) == (len(running), len(waiting))
        assert len(running) <= 5
        assert len(waiting) <= 4
        assert running.count("a") <= 1
        assert running.count("b") <= 3
        assert all(
            len(running) == 5 or (turn.most is not None and running.count(turn.provider) == turn.most)
            for turn in waiting
        )
    for turn in out:
        turns.give_back(turn)
    assert (turns.running, turns.waiting) == (0, 0)
