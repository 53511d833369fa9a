"""Which target serves: the healthy ones in their order, the one that knows the conversation before them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from logging import INFO, WARNING
from random import Random
from typing import Literal

import pytest

from addon.health import FIRST_REST_S, Health
from addon.providers.profile import Profile
from addon.routing import Route, Target
from addon.selection import Selection
from addon.translate.errors import ApiError, UpstreamError, from_response
from tests.test_health import Clock


def target(name: str, key: str = "1", host: str | None = None) -> Target:
    url = f"https://{host or name}.test/v1/chat/completions"
    return Target(name, "m", Profile(), url, headers={}, credential=None, key_name=f"{name}#{key}")


A, B, C = target("a"), target("b"), target("c")


def route(*targets: Target, weights: tuple[int, ...] = (), balance: Literal["order", "weighted"] = "order") -> Route:
    return Route("gpt-5", targets, weights or (1,) * len(targets), balance)


def error(status: int, code: str = "x", **headers: str) -> ApiError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiError(
        status, "no", code, headers=named, said=UpstreamError(status, "no", retry_after=named.get("retry-after", ""))
    )


LOST = ApiError.upstream("connection refused")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def selection(clock: Clock) -> Selection:
    return Selection(Health(clock), Random(1).random)


def test_targets_come_in_their_order(selection: Selection) -> None:
    assert selection.candidates(route(A, B, C), None) == [A, B, C]


@pytest.mark.parametrize("failure", [LOST, error(503), error(429), error(401), error(404)])
def test_a_target_that_failed_is_left_alone_for_a_while(selection: Selection, clock: Clock, failure: ApiError) -> None:
    assert selection.failed(A, failure)
    assert selection.candidates(route(A, B), None) == [B]
    clock.time += FIRST_REST_S
    assert selection.candidates(route(A, B), None) == [A, B]


@pytest.mark.parametrize(
    "failure",
    [
        error(400),
        error(413),
        error(422),
        error(400, "context_length_exceeded"),
        error(429, "context_length_exceeded"),
        error(403, "content_filter"),
        error(502, "content_filter"),
    ],
)
def test_what_the_client_has_to_change_is_no_reason_to_go_elsewhere(selection: Selection, failure: ApiError) -> None:
    assert not selection.failed(A, failure)
    assert selection.candidates(route(A, B), None) == [A, B]


def test_while_none_is_well_only_the_first_to_recover_is_tried(selection: Selection) -> None:
    selection.failed(A, error(429, retry_after="60"))
    selection.failed(B, error(429, retry_after="20"))
    assert selection.candidates(route(A, B), None) == [B]
    assert selection.rest([A, B]) == 20


def test_a_bad_key_takes_no_other_key_with_it(selection: Selection) -> None:
    second = target("a", key="2")
    selection.failed(A, error(401))
    assert selection.candidates(route(A, second), None) == [second]


@pytest.mark.parametrize(
    ("status", "body", "rests"),
    [
        pytest.param(400, b'{"code": "Arrearage", "message": "Access denied"}', "a#1", id="an empty account as 400"),
        pytest.param(400, b'{"error": {"message": "no such model"}}', "a/m", id="an unknown model as 400"),
        pytest.param(302, b"", "a/m", id="a redirect"),
        pytest.param(402, b"", "a#1", id="an empty account"),
    ],
)
def test_what_a_failure_means_counts_and_not_its_status(clock: Clock, status: int, body: bytes, rests: str) -> None:
    health = Health(clock)
    failure = from_response(status, {}, body, provider="a", profile=Profile())
    assert Selection(health, Random(1).random).failed(A, failure)
    assert list(health.ill()) == [rests]


def test_keys_of_one_provider_take_turns(selection: Selection) -> None:
    keys = route(*(target("a", key=str(number)) for number in (1, 2, 3)), B)
    used = []
    for _ in range(6):
        first, *others = selection.candidates(keys, None)
        assert others[-1] == B, "another target comes after all keys of the one before"
        selection.begins(first)
        used.append(first.key_name)
    assert used == ["a#1", "a#2", "a#3"] * 2


def test_a_conversation_keeps_its_key_out_of_turn(selection: Selection) -> None:
    first, second = target("a", key="1"), target("a", key="2")
    selection.served(second, "talk")
    for _ in range(3):
        assert selection.candidates(route(first, second), "talk") == [second, first]
        selection.begins(second)
    assert selection.candidates(route(first, second), None) == [first, second]


def test_what_fails_and_recovers_is_told_with_its_cause(clock: Clock) -> None:
    told: list[tuple[int, str]] = []
    selection = Selection(Health(clock, lambda level, message: told.append((level, message))), Random(1).random)
    selection.failed(A, error(429, "rate_limit_exceeded", retry_after="60"))
    selection.failed(A, LOST)
    selection.served(A)
    assert told == [
        (WARNING, "a#1 rests for 60 s (429 rate_limit_exceeded)"),
        (WARNING, "a.test rests for 5 s (server_error)"),
        (INFO, "a.test is well again"),
        (INFO, "a#1 is well again"),
    ]


def test_a_model_that_fails_takes_its_keys_with_it(selection: Selection) -> None:
    second = target("a", key="2")
    selection.failed(A, error(500))
    assert selection.candidates(route(A, second, B), None) == [B]


def test_a_server_out_of_reach_takes_all_its_models_with_it(selection: Selection) -> None:
    other = replace(target("a"), model="n")
    selection.failed(A, LOST)
    assert selection.candidates(route(A, other, B), None) == [B]


def test_a_conversation_stays_where_it_was_served(selection: Selection) -> None:
    selection.served(B, "talk")
    assert selection.candidates(route(A, B), "talk") == [B, A]
    assert selection.candidates(route(A, B), "other") == [A, B]


def test_a_conversation_leaves_a_target_that_fails_and_stays_with_the_next(selection: Selection, clock: Clock) -> None:
    selection.served(A, "talk")
    selection.failed(A, error(503))
    assert selection.candidates(route(A, B), "talk") == [B]
    selection.served(B, "talk")
    clock.time += FIRST_REST_S
    assert selection.candidates(route(A, B), "talk") == [B, A]


def test_weights_are_shares(selection: Selection) -> None:
    weighted = route(A, B, C, weights=(6, 3, 1), balance="weighted")
    first = Counter(selection.candidates(weighted, None)[0].provider for _ in range(2000))
    assert first["a"] > first["b"] > first["c"] > 100
    assert abs(first["a"] / 2000 - 0.6) < 0.05


def test_a_weight_of_nothing_only_stands_by(selection: Selection) -> None:
    weighted = route(A, B, weights=(0, 1), balance="weighted")
    assert all(selection.candidates(weighted, None) == [B, A] for _ in range(50))
    nothing = route(A, B, weights=(0, 0), balance="weighted")
    assert {each.provider for each in selection.candidates(nothing, None)} == {"a", "b"}
