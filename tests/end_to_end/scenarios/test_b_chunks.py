"""Scenarios B: what is in the chunks, and the text they amount to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.provider import chunk, completion, sends_json, text_chunks, usage
from tests.end_to_end.scenarios.conftest import Driver, Object, piece, tells

FINISH = chunk(finish="stop")
USAGE: Object = {**chunk(), "choices": [], "usage": usage(7, 3)}


def raw_delta(delta: object) -> Object:
    """A chunk with whatever as its delta."""
    return {**chunk(), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def test_b1_usage_without_choices(ask: Driver) -> None:
    without = ask(tells(chunk({"content": "Hello."}), FINISH)).completed()
    outcome = ask(tells(chunk({"content": "Hello."}), FINISH, USAGE)).completed()

    assert outcome.tokens == (7, 3, 10)
    assert [event["type"] for event in outcome.events] == [event["type"] for event in without.events]


def test_b2_the_first_chunk_of_azure(ask: Driver) -> None:
    filters = {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    first = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [filters]}

    outcome = ask(tells(first, *text_chunks("Hello."))).completed()

    assert outcome.text == "Hello."
    assert all(event["response"]["id"] for event in outcome.events if "response" in event)
    assert len({event["response"]["id"] for event in outcome.events if "response" in event}) == 1


def test_b3_usage_with_the_finish(ask: Driver) -> None:
    said = [{**chunk({"content": text}), "usage": None} for text in ("Hel", "lo.")]

    outcome = ask(tells(*said, {**FINISH, "usage": usage(7, 3)})).completed()

    assert outcome.text == "Hello."
    assert outcome.tokens == (7, 3, 10)


def in_the_choice(usage: Object) -> Object:
    return {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]}


def beside_the_choices(usage: Object) -> Object:
    return {**FINISH, "x_groq": {"id": "req_1", "usage": usage}}


def in_both(usage: Object) -> Object:
    return {**beside_the_choices(usage), "usage": usage}


def test_b4_usage_that_grows(ask: Driver) -> None:
    said = [{**chunk({"content": text}), "usage": usage(7, number)} for number, text in enumerate(("Hel", "lo."), 1)]

    assert ask(tells(*said, {**FINISH, "usage": usage(7, 3)})).completed().tokens == (7, 3, 10)


@pytest.mark.parametrize("place", [in_the_choice, beside_the_choices, in_both])
def test_b4_usage_in_another_place(ask: Driver, place: Any) -> None:
    assert ask(tells(chunk({"content": "Hello."}), place(usage(7, 3)))).completed().tokens == (7, 3, 10)


@pytest.mark.parametrize(
    "empty",
    [
        pytest.param(raw_delta(None), id="null"),
        pytest.param({**chunk(), "choices": [{"index": 0, "finish_reason": None}]}, id="missing"),
        pytest.param(raw_delta({}), id="empty"),
        pytest.param(raw_delta({"role": ""}), id="no-role"),
        pytest.param(raw_delta({"role": None}), id="null-role"),
        pytest.param(raw_delta({"role": "assistant"}), id="role"),
    ],
)
def test_b5_empty_deltas(ask: Driver, empty: Object) -> None:
    said = [chunk({"role": "assistant", "content": text}) for text in ("Hel", "lo.")]

    outcome = ask(tells(empty, said[0], empty, said[1], empty, FINISH, empty)).completed()

    assert outcome.deltas("response.output_text.delta") == ["Hel", "lo."]
    assert outcome.kinds == ["message"]


def test_b6_nulls(ask: Driver) -> None:
    nulls = {"role": None, "content": None, "tool_calls": None, "reasoning_content": None, "refusal": None}

    outcome = ask(tells(chunk(nulls), chunk({**nulls, "content": "Hello."}), chunk(nulls), FINISH)).completed()

    assert [event["type"] for event in outcome.events] == [
        event["type"] for event in ask(tells(chunk({"content": "Hello."}), FINISH)).events
    ]


@pytest.mark.parametrize("delta", [{"content": ""}, {"role": "assistant", "content": ""}, {"content": []}])
def test_b7_an_empty_first_content(ask: Driver, delta: Object) -> None:
    calls = chunk(piece(id="call_1", name="ls", arguments="{}"))

    outcome = ask(tells(chunk(delta), calls, chunk({"content": ""}), chunk(finish="tool_calls"))).completed()

    assert outcome.kinds == ["function_call"]


def test_b8_content_as_parts_then_as_text(ask: Driver) -> None:
    """As Magistral sends it: thinking in parts, and a plain string from some point on."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}
    chunks = [
        chunk({"role": "assistant", "content": [thinking]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": " Yes."}]}]}),
        chunk({"content": [{"type": "text", "text": "Hel"}]}),
        chunk({"content": "lo."}),
        FINISH,
    ]

    outcome = ask(tells(*chunks), at="mistral").completed()

    assert outcome.kinds == ["reasoning", "message"]
    assert (outcome.thoughts, outcome.text) == (["Let me see. Yes."], "Hello.")


def test_b8_content_as_parts_in_a_whole_answer(ask: Driver) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}
    answer = completion(content=[thinking, {"type": "text", "text": "Hello."}])

    outcome = ask(sends_json(answer), at="mistral").completed()

    assert (outcome.thoughts, outcome.text) == (["Let me see."], "Hello.")


def test_b9_content_with_the_finish(ask: Driver) -> None:
    outcome = ask(tells(chunk({"content": "Hel"}), chunk({"content": "lo."}, finish="stop"))).completed()

    assert outcome.text == "Hello."


def test_b10_other_choices(ask: Driver) -> None:
    other = {"index": 1, "delta": {"content": "Nobody asked."}, "finish_reason": "length"}
    mine = chunk({"content": "Hello."})
    chunks = [{**chunk(), "choices": [other]}, {**mine, "choices": [other, *mine["choices"]]}, FINISH]

    outcome = ask(tells(*chunks, {**chunk(), "choices": [other]})).completed()

    assert outcome.text == "Hello."


def test_b10_other_choices_of_a_whole_answer(ask: Driver) -> None:
    answer = completion("Hello.")
    other = {"index": 1, "message": {"role": "assistant", "content": "Nobody asked."}, "finish_reason": "length"}

    assert ask(sends_json({**answer, "choices": [other, *answer["choices"]]})).completed().text == "Hello."


def test_b11_a_refusal(ask: Driver) -> None:
    chunks = [chunk({"role": "assistant", "refusal": None}), chunk({"refusal": "I can"}), chunk({"refusal": "not."})]

    outcome = ask(tells(*chunks, FINISH)).completed()

    assert outcome.output[0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]
    assert outcome.deltas("response.refusal.delta") == ["I can", "not."]


def test_b11_a_refusal_in_a_whole_answer(ask: Driver) -> None:
    outcome = ask(sends_json(completion(content=None, refusal="I cannot."))).completed()

    assert outcome.output[0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([{"reasoning_content": "Let me see."}, {"content": "\n\n"}, {"content": "Hello."}], id="field"),
        pytest.param([{"content": "<think>Let me see.</think>"}, {"content": "\n\nHello."}], id="tags"),
        pytest.param([{"content": "<think>Let me see.</think>\n"}, {"content": "\n"}, {"content": "Hello."}], id="cut"),
    ],
)
def test_b12_blank_lines_after_thinking(ask: Driver, said: list[Object]) -> None:
    outcome = ask(tells(*map(chunk, said), FINISH)).completed()

    assert outcome.kinds == ["reasoning", "message"]
    assert outcome.text == "Hello."


def test_b12_another_name_of_the_object(ask: Driver) -> None:
    """Perplexity's last chunk repeats the whole message beside its delta."""
    said = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "delta": {"content": ""}}
    last = {**chunk(), "object": "chat.completion.done", "choices": [{**said, "finish_reason": "stop"}]}

    assert ask(tells(chunk({"content": "Hello."}), last)).completed().text == "Hello."


def test_b12_another_name_of_the_object_of_a_whole_answer(ask: Driver) -> None:
    answer = json.loads(json.dumps(completion("Hello."))) | {"object": "chat.completion.done"}

    assert ask(sends_json(answer)).completed().text == "Hello."
