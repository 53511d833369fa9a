"""What is tried when a provider fails: the next target, within a budget, and never what the client has to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from addon.health import Health
from addon.routing import Target
from addon.selection import Selection
from addon.store.learned import Learned
from addon.translate.errors import ApiError, UpstreamError
from addon.translate.notes import Notes
from addon.tries import Budget, ChangingTries, Experience, OneTry, ProviderCall
from tests.test_health import Clock
from tests.test_selection import LOST, A, B, C, error

D = replace(A, provider="d", url="https://d.test/v1/chat/completions", key_name="d#1")


def made(target: Target) -> ProviderCall:
    limit = target.profile.max_tokens_field
    return ProviderCall(target, {"model": target.model, limit: 5}, False, Notes())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def experience(clock: Clock) -> Experience:
    return Experience(Learned(None, now=clock), Selection(Health(clock), lambda: 0.0), clock)


def tries(
    experience: Experience,
    *targets: Target,
    make: Callable[[Target], ProviderCall] = made,
    budget: Budget | None = None,
) -> ChangingTries[ProviderCall]:
    return ChangingTries(targets, make, experience, budget or Budget(), ["talk"])


def test_a_target_that_fails_makes_way_for_the_next(experience: Experience) -> None:
    several = tries(experience, A, B)
    assert several.first.target is A
    following = several.after(several.first, LOST)
    assert following is not None
    assert following.target is B
    assert several.after(following, LOST) is None


def test_what_the_client_has_to_change_goes_to_the_client(experience: Experience) -> None:
    several = tries(experience, A, B)
    assert several.after(several.first, error(400)) is None


def test_the_attempts_of_one_call_are_few(experience: Experience) -> None:
    several = tries(experience, A, B, C, D, budget=Budget(attempts=2))
    second = several.after(several.first, LOST)
    assert second is not None
    assert several.after(second, LOST) is None


def test_after_its_time_no_further_target_is_tried(experience: Experience, clock: Clock) -> None:
    several = tries(experience, A, B, budget=Budget(seconds=10))
    clock.time += 10
    assert several.after(several.first, LOST) is None


def test_a_target_that_has_failed_for_others_meanwhile_is_passed_over(experience: Experience) -> None:
    several = tries(experience, A, B, C)
    experience.selection.failed(B, LOST)
    following = several.after(several.first, LOST)
    assert following is not None
    assert following.target is C


def test_a_target_that_cannot_serve_the_request_is_passed_over(experience: Experience) -> None:
    def picky(target: Target) -> ProviderCall:
        if target is B:
            raise ApiError.bad_request("no files there")
        return made(target)

    following = tries(experience, A, B, C, make=picky)
    after = following.after(following.first, LOST)
    assert after is not None
    assert after.target is C


def test_a_first_target_that_cannot_serve_the_request_is_passed_over(experience: Experience) -> None:
    def picky(target: Target) -> ProviderCall:
        if target is not C:
            raise ApiError.bad_request(f"no files at {target.provider}")
        return made(target)

    assert tries(experience, A, B, C, make=picky).first.target is C
    with pytest.raises(ApiError, match="no files at a"):
        tries(experience, A, B, make=picky)


def test_who_answers_is_well_and_keeps_the_conversation(experience: Experience) -> None:
    experience.selection.failed(B, LOST)
    several = tries(experience, B)
    several.begins(several.first)
    several.answered(several.first)
    assert experience.selection.is_well(B)


TOO_NEW = ApiError(
    400,
    "no",
    "invalid_value",
    said=UpstreamError(
        400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'.", param="max_tokens"
    ),
)


def test_a_refused_request_goes_back_changed_and_the_next_call_needs_no_retry(experience: Experience) -> None:
    several = tries(experience, A)
    assert "max_tokens" in several.first.body
    changed = several.after(several.first, TOO_NEW)
    assert changed is not None
    assert "max_tokens" not in changed.body
    assert changed.body["max_completion_tokens"] == 5
    assert changed.notes, "the client is told"
    several.answered(changed)
    assert "max_completion_tokens" in tries(experience, A).first.body


def test_what_has_not_helped_is_not_kept(experience: Experience) -> None:
    several = tries(experience, A)
    changed = several.after(several.first, TOO_NEW)
    assert changed is not None
    assert several.after(changed, TOO_NEW) is None
    assert "max_tokens" in tries(experience, A).first.body


def test_of_several_that_failed_the_client_hears_when_to_come_back(experience: Experience) -> None:
    several = tries(experience, A, B)
    second = several.after(several.first, LOST)
    assert second is not None
    several.after(second, error(503, retry_after="30"))
    told = several.final(error(503, retry_after="30"))
    assert told.headers["retry-after"] == "5", "the first of them recovers sooner"


def test_one_error_of_one_target_is_told_as_it_is(experience: Experience) -> None:
    several = tries(experience, A)
    several.after(several.first, LOST)
    assert several.final(LOST) is LOST


def test_one_try_is_one_try() -> None:
    one = OneTry(made(A))
    one.begins(one.first)
    one.answered(one.first)
    assert one.after(one.first, LOST) is None
    assert one.final(LOST) is LOST
