"""Custom tools at a provider that has them itself: there, in the history, and back."""

from __future__ import annotations

import json

from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.translate.request import ChatCall, to_chat
from addon.translate.stream import StreamConverter
from addon.wire.responses import read_request
from tests.grammar import check_stream

PROFILE = Profile(custom_tools="custom", tool_choice_values=("none", "auto", "required", "named", "allowed"))
GRAMMAR = {"type": "grammar", "syntax": "regex", "definition": r"\d+"}
TOOLS = [
    {"type": "custom", "name": "count", "description": "Counts", "format": GRAMMAR},
    {"type": "namespace", "name": "fs", "description": "Files", "tools": [{"type": "custom", "name": "write"}]},
    {"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}},
]
HISTORY = [
    {"role": "user", "content": "Count."},
    {"type": "custom_tool_call", "call_id": "c1", "name": "count", "input": 'raw "7"'},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
]


def chat(**more: object) -> ChatCall:
    body = {"model": "m", "input": HISTORY, "tools": TOOLS, **more}
    request = read_request(json.dumps(body).encode())
    return to_chat(request, PROFILE, model="m", origin="p/m", lookup=lambda _: None, notes=Notes())


def test_they_are_declared_with_their_grammar() -> None:
    tools = chat().body["tools"]
    assert isinstance(tools, list)
    assert tools[0] == {
        "type": "custom",
        "custom": {
            "name": "count",
            "description": "Counts",
            "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": r"\d+"}},
        },
    }
    assert tools[1]["type"] == "custom"  # type: ignore[index]
    assert tools[2]["type"] == "function"  # type: ignore[index]


def test_their_calls_in_the_history_have_the_same_form() -> None:
    messages = chat().body["messages"]
    assert messages == [
        {"role": "user", "content": "Count."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "count", "input": 'raw "7"'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]


def test_they_can_be_chosen() -> None:
    named = chat(tool_choice={"type": "custom", "name": "count"}).body["tool_choice"]
    assert named == {"type": "custom", "custom": {"name": "count"}}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "count"}]}
    assert chat(tool_choice=allowed).body["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "count"}}]},
    }


def test_a_call_comes_back_as_it_is() -> None:
    ids = iter(range(100))
    request = read_request(json.dumps({"model": "m", "input": "x", "tools": TOOLS}).encode())
    builder = ResponseBuilder(
        request, ids=lambda prefix: f"{prefix}_{next(ids)}", now=lambda: 0.0, seal=lambda *_: None
    )
    converter = StreamConverter(builder, PROFILE, chat().tools, provider="p", notes=Notes())
    pieces = [{"id": "c2", "type": "custom", "custom": {"name": "fs__write", "input": ""}}]
    pieces += [{"custom": {"input": text}} for text in ('{"a"', ": 1}\n", "é")]  # type: ignore[dict-item]
    chunks = [{"choices": [{"delta": {"tool_calls": [{"index": 0, **piece}]}}]} for piece in pieces]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})  # type: ignore[dict-item,list-item]
    data = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    events = [event.payload() for event in [*converter.feed(data.encode()), *converter.end()]]
    check_stream(events)
    (item,) = builder.response["output"]
    assert item == {
        "id": item["id"],
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "c2",
        "namespace": "fs",
        "name": "write",
        "input": '{"a": 1}\né',
    }
