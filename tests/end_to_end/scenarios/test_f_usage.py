"""Scenarios F: tokens, and the final object."""

from __future__ import annotations

import pytest

from tests.end_to_end.provider import chunk, completion, sends_json
from tests.end_to_end.provider import usage as counts
from tests.end_to_end.scenarios.conftest import Driver, Object, Outcome, tells

FINISH = chunk(finish="stop")


def using(ask: Driver, usage: Object, at: str = "generic") -> Outcome:
    """An answer whose provider tells this usage."""
    return ask(tells(chunk({"content": "Hello."}), {**FINISH, "usage": usage}), at=at).completed()


def test_f1_no_usage(ask: Driver) -> None:
    """Agents compact by what they are told: an estimate, marked as one, is more to them than zeros."""
    outcome = ask(tells(chunk({"content": "Hello, how are you?"}), FINISH), input="A question. " * 50).completed()

    usage = outcome.final["usage"]
    assert 50 <= usage["input_tokens"] <= 1000
    assert 1 <= usage["output_tokens"] <= 50
    assert usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}
    assert "usage" in outcome.notes
    assert "estimate" in outcome.notes


def test_f1_no_note_beside_what_is_known(ask: Driver) -> None:
    assert using(ask, {**counts(7, 3)}).notes == ""


@pytest.mark.parametrize(
    "places",
    [
        {"prompt_tokens_details": {"cached_tokens": 5}},
        {"prompt_token_details": {"cached_tokens": 5}},
        {"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 2},
        {"cached_tokens": 5},
        {"num_cached_tokens": 5},
        {"prompt_tokens_details": None, "cached_tokens": 5},
        {"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 5},
    ],
    ids=" and ".join,
)
def test_f2_cached_tokens(ask: Driver, places: Object) -> None:
    outcome = using(ask, {**counts(7, 3), **places})

    assert outcome.final["usage"]["input_tokens_details"]["cached_tokens"] == 5
    assert outcome.tokens == (7, 3, 10)


@pytest.mark.parametrize(
    "places",
    [
        {"completion_tokens_details": {"reasoning_tokens": 2}},
        {"reasoning_tokens": 2},
        {"completion_tokens_details": None, "reasoning_tokens": 2},
    ],
    ids=" and ".join,
)
def test_f3_reasoning_tokens(ask: Driver, places: Object) -> None:
    outcome = using(ask, {**counts(7, 3), **places})

    assert outcome.final["usage"]["output_tokens_details"]["reasoning_tokens"] == 2
    assert outcome.tokens == (7, 3, 10)


EXCLUDED = {
    "prompt_tokens": 307,
    "completion_tokens": 26,
    "total_tokens": 560,
    "completion_tokens_details": {"reasoning_tokens": 227},
}


@pytest.mark.parametrize("at", ["xai", "excluding"])
def test_f3_reasoning_beside_the_completion(ask: Driver, at: str) -> None:
    outcome = using(ask, EXCLUDED, at)

    assert outcome.tokens == (307, 253, 560)
    assert outcome.final["usage"]["output_tokens_details"]["reasoning_tokens"] == 227


def test_f3_reasoning_beside_the_completion_of_an_unknown_server(ask: Driver) -> None:
    """The total tells that it is not contained."""
    assert using(ask, EXCLUDED).tokens == (307, 253, 560)


def test_f3_more_reasoning_than_completion(ask: Driver) -> None:
    outcome = using(ask, {**counts(7, 3), "completion_tokens_details": {"reasoning_tokens": 9}})

    reasoning = outcome.final["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert reasoning <= outcome.tokens[1]


def test_f3_totals_that_do_not_add_up(ask: Driver) -> None:
    into, out, total = using(ask, {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 4}).tokens

    assert (into, out, total) == (7, 3, 10)


@pytest.mark.parametrize("finish", ["stop", "end", "end_turn", "eos", "tool_calls", "function_call"])
def test_f4_the_end(ask: Driver, finish: str) -> None:
    outcome = ask(tells(chunk({"content": "Hello."}), {**chunk(finish=finish), "usage": counts()})).completed()

    assert outcome.notes == ""


@pytest.mark.parametrize("finish", ["length", "max_tokens", "model_length", "model_context_window_exceeded"])
def test_f4_the_limit(ask: Driver, finish: str) -> None:
    assert ask(tells(chunk({"content": "Hel"}), chunk(finish=finish))).incomplete("max_output_tokens").text == "Hel"


@pytest.mark.parametrize("finish", ["content_filter", "sensitive"])
def test_f4_the_filter(ask: Driver, finish: str) -> None:
    assert ask(tells(chunk({"content": "Hel"}), chunk(finish=finish))).incomplete("content_filter").text == "Hel"


@pytest.mark.parametrize("finish", ["error", "network_error", "insufficient_system_resource"])
def test_f4_a_failure(ask: Driver, finish: str) -> None:
    assert ask(tells(chunk({"content": "Hel"}), chunk(finish=finish))).failed(finish).text == "Hel"


def test_f4_an_unknown_end(ask: Driver) -> None:
    outcome = ask(tells(chunk({"content": "Hello."}), chunk(finish="ausgeredet"))).completed()

    assert "ausgeredet" in outcome.notes


@pytest.mark.parametrize(
    "oddity",
    [
        pytest.param({"service_tier": "on_demand"}, id="tier-of-groq"),
        pytest.param({"service_tier": "standard"}, id="tier-of-openrouter"),
        pytest.param({"service_tier": None}, id="no-tier"),
        pytest.param({"created": 0}, id="created"),
        pytest.param({"created": None}, id="no-time"),
        pytest.param({"model": "another-model-20260101"}, id="model"),
        pytest.param({"system_fingerprint": None, "timings": {"prompt_ms": 1.5}, "nvext": {}}, id="unknown-fields"),
    ],
)
@pytest.mark.parametrize("form", ["stream", "completion"])
def test_f5_oddities(ask: Driver, form: str, oddity: Object) -> None:
    chunks = [{**chunk({"content": "Hello."}), **oddity}, {**FINISH, **oddity}]

    outcome = ask(tells(*chunks) if form == "stream" else sends_json({**completion("Hello."), **oddity})).completed()

    assert outcome.text == "Hello."
    assert outcome.final["service_tier"] == "default"
    assert outcome.final["created_at"] > 1_700_000_000
    assert outcome.final["model"] == outcome.sent["model"]
