"""A provider's Responses events, read: every name, every shape, and what says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.responses_stream import (
    Annotated,
    Begun,
    Broken,
    Delta,
    Ended,
    ItemAdded,
    ItemDone,
    PieceDone,
    StreamEvent,
    Where,
    find_response,
    read_event,
    read_output_item,
    read_response,
)

AT = Where(1, "x")
PLACE: dict[str, Any] = {"output_index": 1, "item_id": "x"}


@pytest.mark.parametrize(
    ("kind", "fields", "event"),
    [
        ("output_text.delta", {"delta": "a", "content_index": 2}, Delta(AT, "text", "a", 2)),
        ("output_text.delta", {"delta": {"text": "a"}}, Delta(AT, "text", "a")),
        (
            "output_text.delta",
            {"delta": None, "logprobs": [{"token": "a"}]},
            Delta(AT, "text", "", 0, ({"token": "a"},)),
        ),
        ("refusal.delta", {"delta": "a"}, Delta(AT, "refusal", "a")),
        ("reasoning_text.delta", {"delta": "a"}, Delta(AT, "reasoning", "a")),
        ("reasoning_summary_text.delta", {"delta": "a", "summary_index": 3}, Delta(AT, "summary", "a", 3)),
        ("function_call_arguments.delta", {"delta": "{"}, Delta(AT, "arguments", "{")),
        ("custom_tool_call_input.delta", {"delta": "x"}, Delta(AT, "arguments", "x")),
        ("output_text.done", {"text": "ab"}, PieceDone(AT, "text", "ab")),
        ("refusal.done", {"refusal": "no"}, PieceDone(AT, "refusal", "no")),
        ("function_call_arguments.done", {"arguments": "{}", "name": "f"}, PieceDone(AT, "arguments", "{}", 0, "f")),
        ("custom_tool_call_input.done", {"input": "x"}, PieceDone(AT, "arguments", "x")),
        ("output_text.annotation.added", {"annotation": {"type": "a"}}, Annotated(AT, {"type": "a"})),
        ("created", {"response": {}}, Begun()),
        ("keepalive", {}, None),
        ("web_search_call.searching", {}, None),
    ],
)
def test_events(kind: str, fields: dict[str, Any], event: StreamEvent | None) -> None:
    body = {"type": f"response.{kind}", **PLACE, **fields}

    assert read_event("", body) == event
    assert read_event(f"response.{kind}", {**PLACE, **fields}) == event, "the name alone says it too"


def test_items_that_begin_and_end() -> None:
    item: dict[str, Any] = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "a"}]}

    assert read_event("", {"type": "response.output_item.added", "item": item}) == ItemAdded(
        Where(None, "m"), read_output_item(item)
    )
    assert read_event("", {"type": "response.output_item.done", "output_index": 0, "item": item}) == ItemDone(
        Where(0, "m"), read_output_item(item)
    )


@pytest.mark.parametrize(
    ("kind", "response", "status"),
    [
        ("completed", {"status": "completed"}, "completed"),
        ("completed", {}, "completed"),
        ("completed", {"status": "incomplete"}, "incomplete"),
        ("failed", {"status": "in_progress"}, "failed"),
    ],
)
def test_how_it_ends(kind: str, response: dict[str, Any], status: str) -> None:
    event = read_event("", {"type": f"response.{kind}", "response": response})

    assert isinstance(event, Ended)
    assert event.response.status == status


@pytest.mark.parametrize(
    "body", [{"type": "error", "message": "x"}, {"type": "odd", "error": {"message": "x"}}], ids=["error", "odd"]
)
def test_errors(body: dict[str, Any]) -> None:
    assert read_event("", body) == Broken(body)


def test_an_item_with_parts() -> None:
    item = read_output_item(
        {
            "type": "reasoning",
            "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}],
            "summary": [{"type": "summary_text", "text": "c"}],
        }
    )
    message = read_output_item({"content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]})

    assert (item.text("reasoning"), item.text("summary")) == ("a\n\nb", "c")
    assert (message.type, message.text("text"), message.text("refusal")) == ("message", "a", "b")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"object": "response", "output": []}, True),
        ({"output": []}, True),
        ({"data": {"output": []}}, True),
        ({"choices": [], "output": []}, False),
        ({"error": {"message": "x"}}, False),
        ([], False),
        (None, False),
    ],
    ids=["response", "without object", "in an envelope", "chat", "error", "list", "null"],
)
def test_a_whole_answer_is_found(body: Any, found: bool) -> None:
    assert (find_response(body) is not None) is found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "id"]), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "delta", "item", "item_id", "output_index", "content_index", "response", "error", "annotation"]
        ),
        JSON,
    ),
    st.sampled_from(["response.output_text.delta", "response.output_item.done", "response.completed", "error", "x"]),
)
def test_whatever_comes_is_read(body: dict[str, Any], name: str) -> None:
    read_event(name, {**body, "type": name})
    read_response(body)
    read_output_item(body)
