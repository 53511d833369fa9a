"""Chunks of a chat stream, folded to the completion that a client without a stream gets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from addon.providers.profile import Profile
from addon.translate.chat_fold import ChatFold
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.wire.json import Json, JsonObject

HEAD: JsonObject = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def chunk(delta: JsonObject, finish: str | None = None, *, index: int = 0, **more: Json) -> JsonObject:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def call(index: int | None, call_id: str | None, name: str | None, arguments: str, **more: Json) -> JsonObject:
    named: JsonObject = {"name": name} if name else {}
    place: JsonObject = {} if index is None else {"index": index}
    ident: JsonObject = {"id": call_id, "type": "function"} if call_id else {}
    return {"tool_calls": [{**place, **ident, "function": {**named, "arguments": arguments}, **more}]}


def stream(*chunks: Json, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(each)}\n\n" for each in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def folded(body: bytes, profile: Profile | None = None, notes: Notes | None = None) -> JsonObject | ApiError:
    fold = ChatFold(profile or Profile(), provider="acme", notes=notes if notes is not None else Notes())
    fold.feed(body)
    return fold.end()


def answer(body: bytes, profile: Profile | None = None, notes: Notes | None = None) -> JsonObject:
    result = folded(body, profile, notes)
    assert not isinstance(result, ApiError), result.message
    ChatCompletion.model_validate(result)
    return result


def choice(body: bytes, profile: Profile | None = None) -> JsonObject:
    choices = answer(body, profile)["choices"]
    assert isinstance(choices, list)
    (only,) = choices
    assert isinstance(only, dict)
    return only


def messages_of(completion: JsonObject) -> list[Json]:
    choices = completion["choices"]
    assert isinstance(choices, list)
    return [each["message"] for each in choices if isinstance(each, dict)]


STOP = chunk({}, "stop")
TEXT = stream(
    {"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}, system_fingerprint="fp"),
    chunk({"content": "lo \U0001f600"}),
    STOP,
    {**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
)


def test_a_text_with_all_that_stands_around_it() -> None:
    assert answer(TEXT) == {
        "id": "c-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "system_fingerprint": "fp",
        "prompt_filter_results": [{"prompt_index": 0}],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello \U0001f600"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


@dataclass
class Case:
    id: str
    deltas: list[JsonObject]
    message: JsonObject
    """What it says, besides its role."""
    profile: Profile = field(default_factory=Profile)


CASES = [
    Case(
        "reasoning",
        [{"reasoning_content": "Hm"}, {"reasoning_content": "m."}, {"content": "Yes"}],
        {"reasoning_content": "Hmm.", "content": "Yes"},
    ),
    Case(
        "reasoning that is repeated",
        [{"reasoning_content": "Hm"}, {"reasoning_content": "Hmm."}, {"content": "Yes"}],
        {"reasoning_content": "Hmm.", "content": "Yes"},
        Profile(reasoning_cumulative=True),
    ),
    Case(
        "details",
        [
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "a"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "b", "signature": "s"}]},
        ],
        {
            "content": None,
            "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"}],
        },
    ),
    Case("refusal", [{"refusal": "I "}, {"refusal": "won't"}], {"content": None, "refusal": "I won't"}),
    Case(
        "thinking in parts",
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "H"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]},
            {"content": "Y"},
            {"content": "es"},
        ],
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                {"type": "text", "text": "Yes"},
            ]
        },
    ),
    Case(
        "annotations",
        [
            {"content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "http://a"}}]},
            {"annotations": [{"type": "url_citation", "url_citation": {"url": "http://b"}}]},
        ],
        {
            "content": "a",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "http://a"}},
                {"type": "url_citation", "url_citation": {"url": "http://b"}},
            ],
        },
    ),
    Case("audio", [{"audio": {"id": "a", "data": "AA"}}, {"audio": {"data": "BB"}}], {
        "content": None, "audio": {"id": "a", "data": "AABB"}
    }),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_said_is_kept_under_its_key(case: Case) -> None:
    body = stream(chunk({"role": "assistant"}), *map(chunk, case.deltas), STOP)
    result = folded(body, case.profile)
    assert not isinstance(result, ApiError)
    assert messages_of(result) == [{"role": "assistant", **case.message}]


def function(call_id: str, name: str, arguments: str, **more: Json) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [call(0, "a", "f", '{"x"'), call(1, "b", "g", "{}"), call(0, None, None, ":1}")],
            [function("a", "f", '{"x":1}'), function("b", "g", "{}")],
            id="by index",
        ),
        pytest.param(
            [call(None, "a", "f", '{"x"'), call(None, "a", None, ":1}"), call(None, "b", "g", "{}")],
            [function("a", "f", '{"x":1}'), function("b", "g", "{}")],
            id="by id",
        ),
        pytest.param(
            [call(0, "a", "f", "{}"), call(0, "b", "f", '{"y":2}')],
            [function("a", "f", "{}"), function("b", "f", '{"y":2}')],
            id="two calls of one index",
        ),
        pytest.param(
            [call(0, "a", "f", "{}"), call(0, None, None, '{"x":1}')], [function("a", "f", '{"x":1}')], id="{}"
        ),
        pytest.param([call(0, None, "f", "{}")], [function("call_0", "f", "{}")], id="without an id"),
        pytest.param(
            [call(0, "a", "f", "{}", extra_content={"google": {"thought_signature": "s"}})],
            [function("a", "f", "{}", extra_content={"google": {"thought_signature": "s"}})],
            id="with a signature",
        ),
        pytest.param(
            [
                {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "p", "input": "x "}}]},
                {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]},
            ],
            [{"id": "a", "type": "custom", "custom": {"name": "p", "input": "x y"}}],
            id="custom",
        ),
    ],
)
def test_calls_are_put_together(deltas: list[JsonObject], calls: list[Json]) -> None:
    only = choice(stream(*map(chunk, deltas), chunk({}, "tool_calls")))
    assert only["message"] == {"role": "assistant", "content": None, "tool_calls": calls}
    assert only["finish_reason"] == "tool_calls"


def test_several_choices_grow_side_by_side() -> None:
    body = stream(
        chunk({"content": "a"}),
        chunk({"content": "x"}, index=1),
        chunk({"content": "b"}, "stop"),
        chunk({}, "length", index=1),
    )
    choices = answer(body)["choices"]
    assert isinstance(choices, list)
    said = [(each["message"]["content"], each["finish_reason"]) for each in choices]  # type: ignore[index, call-overload]
    assert said == [("ab", "stop"), ("x", "length")]


def test_probabilities_go_on() -> None:
    def told(token: str) -> JsonObject:
        entry: JsonObject = {"token": token, "logprob": -1.0, "bytes": None, "top_logprobs": []}
        place: JsonObject = {"index": 0, "delta": {"content": token}, "logprobs": {"content": [entry]}}
        return {**HEAD, "choices": [place]}

    logprobs = choice(stream(told("a"), told("b"), STOP))["logprobs"]
    assert isinstance(logprobs, dict)
    assert [entry["token"] for entry in logprobs["content"]] == ["a", "b"]  # type: ignore[index, call-overload, union-attr]


def test_usage_may_stand_in_the_choice() -> None:
    end: JsonObject = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"total_tokens": 9}}
    result = folded(stream(chunk({"content": "a"}), {**HEAD, "choices": [end]}))
    assert isinstance(result, dict)
    assert result["usage"] == {"total_tokens": 9}


def test_a_message_beside_a_delta_repeats_it() -> None:
    said: JsonObject = {"index": 0, "delta": {"content": "b"}, "message": {"content": "ab"}, "finish_reason": "stop"}
    only = choice(stream(chunk({"content": "a"}), {**HEAD, "choices": [said]}))
    assert only["message"] == {"role": "assistant", "content": "ab"}


def test_a_whole_answer_is_taken_as_it_is() -> None:
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop", "odd": 1}
    ]}  # fmt: skip
    assert answer(json.dumps(whole).encode()) == whole


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_any_cut_gives_the_same_answer(cuts: list[int]) -> None:
    fold = ChatFold(Profile(), provider="acme", notes=Notes())
    places = [0, *sorted(cuts), len(TEXT)]
    for start, end in pairwise(places):
        fold.feed(TEXT[start:end])
    assert fold.end() == answer(TEXT)


# --- ends that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "profile", "finish", "note"),
    [
        pytest.param(stream(chunk({"content": "a"})), Profile(), "stop", False, id="done"),
        pytest.param(stream(chunk(call(0, "a", "f", "{}"))), Profile(), "tool_calls", False, id="done with a call"),
        pytest.param(stream(chunk({"content": "a"}), done=False), Profile(), "length", True, id="cut off"),
        pytest.param(
            stream(chunk({"content": "a"})), Profile(missing_finish="incomplete"), "length", True, id="incomplete"
        ),
    ],
)
def test_an_end_without_a_reason(body: bytes, profile: Profile, finish: str, note: bool) -> None:
    notes = Notes()
    result = answer(body, profile, notes)
    assert result["choices"][0]["finish_reason"] == finish  # type: ignore[index, call-overload]
    assert [each.what for each in notes] == ["finish_reason"] * note


ERROR: JsonObject = {"error": {"message": "overloaded", "code": "503"}}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        pytest.param(stream(ERROR), 503, "overloaded", id="at once"),
        pytest.param(
            stream(chunk({"content": "a"}), ERROR, chunk({"content": "b"}, "stop")), 503, "overloaded", id="late"
        ),
        pytest.param(stream({"choices": [{"index": 0, "delta": {}, **ERROR}]}), 502, "overloaded", id="in a choice"),
        pytest.param(b"event: error\ndata: out of order\n\n", 502, "out of order", id="event"),
        pytest.param(b": ping\n\ndata: [DONE]\n\n", 502, "ended its stream without an answer", id="nothing"),
        pytest.param(json.dumps(ERROR).encode(), 503, "overloaded", id="whole"),
        pytest.param(b"", 502, "sent an empty answer", id="empty"),
        pytest.param(b"<html>Bad gateway</html>", 502, "not JSON", id="page"),
    ],
)
def test_an_error_is_one(body: bytes, status: int, told: str) -> None:
    result = folded(body)
    assert isinstance(result, ApiError)
    assert result.status == status
    assert told in result.message


def test_a_stream_that_must_say_how_it_ends() -> None:
    result = folded(stream(chunk({"content": "a"})), Profile(missing_finish="fail"))
    assert isinstance(result, ApiError)
    assert "before the end of the answer" in result.message


def test_an_event_that_is_too_large() -> None:
    fold = ChatFold(Profile(), provider="acme", notes=Notes(), event_chars=100)
    fold.feed(stream(chunk({"content": "a" * 200})))
    assert fold.error is not None
    assert "sent too much" in fold.error.message
    assert not fold.is_complete


def test_what_comes_after_the_end_is_nothing() -> None:
    assert choice(TEXT + stream(chunk({"content": "more"})))["message"] == {
        "role": "assistant",
        "content": "Hello \U0001f600",
    }


def test_a_call_without_a_name_is_dropped() -> None:
    notes = Notes()
    result = answer(stream(chunk({"content": "a"}), chunk(call(0, "a", None, "{}")), STOP), notes=notes)
    assert result["choices"][0]["message"] == {"role": "assistant", "content": "a"}  # type: ignore[index, call-overload]
    assert [each.what for each in notes] == ["tool call"]


def test_it_is_complete_once_every_choice_has_said_why_it_ended() -> None:
    fold = ChatFold(Profile(), provider="acme", notes=Notes())
    assert not fold.is_complete
    fold.feed(stream(chunk({"content": "a"}), done=False))
    assert not fold.is_complete
    fold.feed(stream(STOP, done=False))
    assert fold.is_complete
