"""Chunks and completions of all sorts, read into one shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.chat import CallPiece, Chunk, Fragments, Piece, Reading, Totals, read_chunk
from tests.wire.test_json import JSON_VALUES


def delta(**said: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said}]}


def read(body: Mapping[str, Any]) -> Chunk:
    return read_chunk(dict(body))


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ("Hi", [Piece("text", "Hi")]),
        ("", []),
        (None, []),
        (5, []),
        (["Hi", {"type": "text", "text": "!"}, None, {"type": "image"}], [Piece("text", "Hi"), Piece("text", "!")]),
        ({"type": "text", "text": "Hi"}, [Piece("text", "Hi")]),
        ([{"type": "thinking", "thinking": "Hm"}], [Piece("reasoning", "Hm")]),
        ([{"type": "thinking", "thinking": [{"text": "H"}, {"text": "m"}]}], [Piece("reasoning", "Hm")]),
        ([{"type": "reasoning", "text": "Hm"}], [Piece("reasoning", "Hm")]),
        ("a\0\ud83d", [Piece("text", "a��")]),
    ],
)
def test_content(content: object, pieces: list[Piece]) -> None:
    assert read(delta(content=content)).pieces == pieces


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "Hm"},
        {"reasoning": "Hm"},
        {"reasoning_text": "Hm"},
        {"reasoning_content": "Hm", "reasoning": "Hm"},
        {"reasoning_content": "", "reasoning": "Hm"},
        {"reasoning_content": None, "reasoning_details": [{"text": "H"}, {"summary": "m"}]},
        {"reasoning": "Hm", "reasoning_details": [{"text": "Hm"}]},
    ],
)
def test_reasoning(said: dict[str, object]) -> None:
    assert read(delta(**said, content="Hi")).pieces == [Piece("reasoning", "Hm"), Piece("text", "Hi")]


def test_a_profile_says_where_reasoning_is() -> None:
    body = delta(thoughts="Hm", reasoning="No", reasoning_details=[{"text": "No"}])
    parts = delta(content=[{"type": "thinking", "text": "Hm"}])

    assert read_chunk(body, Reading(reasoning_fields=("thoughts",))).pieces == [Piece("reasoning", "Hm")]
    assert read_chunk(body, Reading(reasoning_fields=(), reasoning_details=False)).pieces == []
    assert read_chunk(parts, Reading(content_parts_thinking=False)).pieces == [Piece("text", "Hm")]


@pytest.mark.parametrize(
    ("call", "piece"),
    [
        ({"index": 1, "id": "a", "function": {"name": "f", "arguments": "{}"}}, CallPiece(1, "a", "f", "{}")),
        ({"function": {"arguments": "{}"}}, CallPiece(None, "", "", "{}")),
        ({"index": None, "id": None, "function": {"name": None, "arguments": None}}, CallPiece(None, "", "", "")),
        ({"index": "0", "id": 5, "function": None}, CallPiece(None, "", "", "")),
        ({"index": 0, "function": {"name": "f", "arguments": {"a": [1]}}}, CallPiece(0, "", "f", '{"a":[1]}')),
        (
            {"index": 0, "type": "custom", "custom": {"name": "f", "input": "x"}},
            CallPiece(0, "", "f", "x", custom=True),
        ),
        (
            {"index": 0, "extra_content": {"google": {"thought_signature": "s"}}, "other": 1},
            CallPiece(0, "", "", "", {"extra_content": {"google": {"thought_signature": "s"}}}),
        ),
        ({"index": 0, "extra_content": None}, CallPiece(0, "", "", "")),
    ],
)
def test_calls(call: object, piece: CallPiece) -> None:
    assert read(delta(tool_calls=[call])).calls == [piece]


def test_the_old_form_of_a_call() -> None:
    body = delta(function_call={"name": "f", "arguments": "{}"})

    assert read(body).calls == [CallPiece(0, "", "f", "{}")]


@pytest.mark.parametrize("choices", [None, [], {}, "x", [None], [{"index": 1, "delta": {"content": "No"}}]])
def test_no_choice(choices: object) -> None:
    chunk = read({"choices": choices})

    assert (chunk.pieces, chunk.finish_reason) == ([], "")


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "Hi"}},
        {"delta": {"content": "Hi"}},
        {"delta": {"content": "Hi"}, "message": {"content": "Oh, Hi"}},
        {"delta": None, "message": {"content": "Hi"}},
        {"text": "Hi"},
    ],
)
def test_where_the_words_are(choice: dict[str, object]) -> None:
    assert read({"choices": [choice]}).pieces == [Piece("text", "Hi")]


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}},
        {"choices": [{"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}]},
        {"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2.0, "total_tokens": 7}}},
        {"usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, "timings": {"prompt_n": 1}},
    ],
)
def test_usage(body: dict[str, object]) -> None:
    assert read(body).usage == Totals(prompt=5, completion=2, total=7)


@pytest.mark.parametrize(
    ("timings", "totals"),
    [
        ({"prompt_n": 3, "cache_n": 2, "predicted_n": 4}, Totals(prompt=5, completion=4, cached=2)),
        ({"prompt_n": 3, "predicted_n": 4}, Totals(completion=4)),
    ],
)
def test_usage_as_llamacpp_measures_it(timings: dict[str, object], totals: Totals) -> None:
    """Without `cache_n` nobody knows how much of the prompt it had to read."""
    assert read({"timings": timings}).usage == totals


@pytest.mark.parametrize("usage", [None, {}, [], "x", 5])
def test_no_usage(usage: object) -> None:
    assert read({"usage": usage}).usage is None


def test_where_a_profile_says_the_counts_are() -> None:
    reading = Reading(cached_paths=("/a/b", "/c"), reasoning_paths=("/d",), reasoning_in_completion=False)
    body = {"usage": {"completion_tokens": 2, "a": {"b": 0}, "c": 3, "d": 4, "cache_creation_input_tokens": 6}}

    assert read_chunk(body, reading).usage == Totals(completion=6, cached=3, reasoning=4, cache_write=6)


def test_fragments_of_details_that_take_turns() -> None:
    fragments = Fragments()
    for piece in (
        {"type": "t", "index": 0, "text": "a"},
        {"type": "t", "index": 1, "text": "b"},
        {"type": "t", "index": 0, "text": "c"},
        {"type": "e", "index": 2, "id": "one", "data": "x"},
        {"type": "e", "index": 2, "id": "two", "data": "y"},
        {"type": "e", "index": 2, "data": "z"},
    ):
        fragments.add([piece])

    assert fragments.details == [
        {"type": "t", "index": 0, "text": "ac"},
        {"type": "t", "index": 1, "text": "b"},
        {"type": "e", "index": 2, "id": "one", "data": "x"},
        {"type": "e", "index": 2, "id": "two", "data": "yz"},
    ]


def test_fragments_of_details_are_merged_by_index() -> None:
    fragments = Fragments()
    fragments.add([{"type": "t", "index": 0, "text": "a", "signature": None}, {"type": "e", "index": 0, "data": "x"}])
    fragments.add([{"type": "e", "index": 0, "data": "y"}, {"type": "t", "index": 1, "text": "b"}])
    fragments.add([{"type": "t", "index": 1, "signature": "s"}, {"type": "t", "text": "c"}, {"type": "t", "text": "d"}])

    assert fragments.details == [
        {"type": "t", "index": 0, "text": "a", "signature": None},
        {"type": "e", "index": 0, "data": "xy"},
        {"type": "t", "index": 1, "text": "b", "signature": "s"},
        {"type": "t", "text": "c"},
        {"type": "t", "text": "d"},
    ]


KEYS = st.sampled_from(
    [
        "choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "id", "index", "usage",
        "reasoning", "reasoning_details", "text", "type", "refusal", "finish_reason", "logprobs", "annotations",
        "error", "prompt_tokens", "completion_tokens_details", "x_groq", "thinking", "function_call",
    ]
)  # fmt: skip
BODIES = st.dictionaries(
    KEYS,
    st.recursive(
        JSON_VALUES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=20,
    ),
    max_size=8,
)


@given(BODIES)
def test_any_object_can_be_read(body: dict[str, Any]) -> None:
    chunk = read(body)

    assert all(isinstance(piece.text, str) and piece.text for piece in chunk.pieces)
    assert all(isinstance(call.arguments, str) for call in chunk.calls)
    assert read(json.loads(json.dumps(body))) == chunk
