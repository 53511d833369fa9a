"""What has failed rests, longer each time, and is probed by one call before it is well again."""

from __future__ import annotations

from dataclasses import dataclass
from logging import INFO, WARNING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.health import (
    FIRST_REST_S,
    FORGOTTEN_AFTER_S,
    LONGEST_ASKED_REST_S,
    LONGEST_REST_S,
    MOST_ILL,
    PROBE_S,
    Health,
    Illness,
)


@dataclass
class Clock:
    time: float = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_what_never_failed_is_well(health: Health) -> None:
    assert health.is_well(["a", "b"])
    assert health.rest("a") == 0


def test_a_failure_is_followed_by_a_rest(health: Health, clock: Clock) -> None:
    health.failed("a")
    assert not health.is_well(["a", "b"])
    assert health.is_well(["b"])
    assert health.rest("a") == FIRST_REST_S
    clock.time += FIRST_REST_S
    assert health.is_well(["a"])


def test_each_further_failure_doubles_the_rest_up_to_a_limit(health: Health, clock: Clock) -> None:
    rests = []
    for _ in range(12):
        health.failed("a")
        rests.append(health.rest("a"))
        clock.time += rests[-1]
    assert rests[:4] == [FIRST_REST_S * factor for factor in (1, 2, 4, 8)]
    assert max(rests) == rests[-1] == LONGEST_REST_S


def test_a_provider_may_ask_for_its_rest(health: Health) -> None:
    health.failed("a", asked_rest=42)
    assert health.rest("a") == 42
    health.failed("a", asked_rest=1e9)
    assert health.rest("a") == LONGEST_ASKED_REST_S


def test_one_call_probes_while_the_others_wait(health: Health, clock: Clock) -> None:
    health.failed("a")
    clock.time += FIRST_REST_S
    assert health.is_well(["a"])
    health.begin(["a"])
    assert not health.is_well(["a"])
    health.succeeded(["a"])
    assert health.is_well(["a"])


def test_a_probe_that_fails_is_followed_by_a_longer_rest(health: Health, clock: Clock) -> None:
    health.failed("a")
    clock.time += FIRST_REST_S
    health.begin(["a"])
    health.failed("a")
    assert health.rest("a") == 2 * FIRST_REST_S


def test_a_probe_that_says_nothing_makes_way_for_another(health: Health, clock: Clock) -> None:
    health.failed("a")
    clock.time += FIRST_REST_S
    health.begin(["a"])
    clock.time += PROBE_S
    assert health.is_well(["a"])


def test_calls_that_fail_together_are_one_failure(health: Health, clock: Clock) -> None:
    for _ in range(20):
        health.failed("a")
    assert health.rest("a") == FIRST_REST_S
    clock.time += FIRST_REST_S
    health.failed("a")
    assert health.rest("a") == 2 * FIRST_REST_S


def test_a_provider_may_ask_for_more_while_it_rests_and_not_for_less(health: Health) -> None:
    health.failed("a", asked_rest=20)
    health.failed("a", asked_rest=40)
    health.failed("a", asked_rest=1)
    assert health.rest("a") == 40


def test_a_call_that_fails_during_a_rest_does_not_count_as_a_probe(health: Health) -> None:
    health.failed("a")
    health.begin(["a"])
    health.failed("a")
    assert health.rest("a") == FIRST_REST_S


def test_each_rest_is_told_once_and_so_is_its_end(clock: Clock) -> None:
    told: list[tuple[int, str]] = []
    health = Health(clock, lambda level, message: told.append((level, message)))
    health.failed("a", why="503 server_error")
    health.failed("a", why="503 server_error")
    clock.time += FIRST_REST_S
    health.failed("a")
    health.succeeded(["a", "b"])
    health.succeeded(["a"])
    assert told == [
        (WARNING, "a rests for 5 s (503 server_error)"),
        (WARNING, "a rests for 10 s"),
        (INFO, "a is well again"),
    ]


def test_what_may_have_been_mended_is_tried_at_once(health: Health) -> None:
    health.failed("a", asked_rest=3600)
    health.forget()
    assert health.is_well(["a"])


def test_there_is_an_end_to_what_is_kept(health: Health) -> None:
    for number in range(MOST_ILL + 5):
        health.failed(f"model {number}")
    assert len(health.ill()) == MOST_ILL
    assert health.is_well(["model 4"])
    assert not health.is_well([f"model {MOST_ILL + 4}"])


def test_old_failures_are_forgotten(health: Health, clock: Clock) -> None:
    for _ in range(4):
        health.failed("a")
    clock.time += FORGOTTEN_AFTER_S + LONGEST_REST_S
    health.failed("a")
    assert health.rest("a") == FIRST_REST_S


def test_what_another_bridge_knows_counts_if_it_is_newer(health: Health, clock: Clock) -> None:
    health.learn("a", Illness(1, clock.time + 30))
    assert health.rest("a") == 30
    health.learn("a", Illness(1, clock.time + 10))
    assert health.rest("a") == 30


@given(
    st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "begin", "wait"]), st.integers(0, 10_000)), max_size=40)
)
def test_no_rest_is_endless(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    health = Health(clock)
    for step, seconds in steps:
        match step:
            case "failed":
                health.failed("a", seconds or None)
            case "succeeded":
                health.succeeded(["a"])
            case "begin":
                health.begin(["a"])
            case _:
                clock.time += seconds
        assert 0 <= health.rest("a") <= LONGEST_ASKED_REST_S
    clock.time += LONGEST_ASKED_REST_S
    assert health.is_well(["a"])
