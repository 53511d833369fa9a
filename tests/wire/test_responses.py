"""Reading a client's request: what is absent, unknown or wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.responses import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ApplyPatchTool,
    CustomTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    InvalidRequest,
    ItemReference,
    LocalShellCall,
    LocalShellCallOutput,
    LocalShellTool,
    Message,
    NamespaceTool,
    OtherTool,
    Reasoning,
    ResponsesRequest,
    ShellCall,
    ShellCallOutput,
    ShellTool,
    TextPart,
    ToolSearchTool,
    UnknownItem,
    UnknownPart,
    read_request,
)
from tests.wire.test_json import JSON_VALUES


def read(body: object) -> ResponsesRequest:
    return read_request(body if isinstance(body, bytes) else json.dumps(body).encode())


def test_an_empty_request() -> None:
    request = read({})

    assert (request.model, request.input, request.stream, request.tools) == (None, "", None, None)


@pytest.mark.parametrize("name", sorted(set(ResponsesRequest.model_fields) - {"input"}))
def test_null_is_absent(name: str) -> None:
    assert getattr(read({name: None}), name) == getattr(read({}), name)


def test_a_string_is_the_users_message() -> None:
    (message,) = read({"input": "Hi"}).items()

    assert isinstance(message, Message)
    assert (message.role, message.content) == ("user", "Hi")


@pytest.mark.parametrize("body", [{}, {"input": None}])
def test_no_input_is_an_empty_message(body: object) -> None:
    (message,) = read(body).items()

    assert isinstance(message, Message)
    assert message.content == ""


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"type": "message", "role": "user", "content": "x"}, Message),
        ({"role": "user", "content": "x"}, Message),
        ({"type": None, "role": "user"}, Message),
        ({"id": "msg_1"}, ItemReference),
        ({"type": None, "id": "msg_1"}, ItemReference),
        ({"type": "item_reference", "id": "msg_1"}, ItemReference),
        ({"type": "function_call", "call_id": "a", "name": "f", "arguments": {"a": 1}}, FunctionCall),
        ({"type": "function_call_output", "call_id": "a", "output": None}, FunctionCallOutput),
        ({"type": "reasoning", "summary": None, "content": None}, Reasoning),
        ({"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"], "timeout_ms": None}}, ShellCall),
        ({"type": "shell_call_output", "call_id": "a", "output": [{"stdout": None, "outcome": None}]}, ShellCallOutput),
        ({"type": "shell_call_output", "call_id": "a", "output": "text"}, ShellCallOutput),
        ({"type": "local_shell_call", "call_id": "a", "action": {"command": ["ls"], "env": None}}, LocalShellCall),
        ({"type": "local_shell_call_output", "id": "a", "output": "{}"}, LocalShellCallOutput),
        ({"type": "apply_patch_call", "call_id": "a", "operation": {"type": "delete_file"}}, ApplyPatchCall),
        ({"type": "apply_patch_call_output", "call_id": "a", "status": "failed"}, ApplyPatchCallOutput),
        ({"type": "tomorrow", "id": "x", "what": 1}, UnknownItem),
    ],
)
def test_items(item: object, kind: type) -> None:
    assert type(read({"input": [item]}).items()[0]) is kind


def test_arguments_become_json_text() -> None:
    (call,) = read({"input": [{"type": "function_call", "arguments": {"a": 1}}]}).items()

    assert isinstance(call, FunctionCall)
    assert call.arguments == '{"a":1}'


def test_parts() -> None:
    parts = [
        {"type": "input_text", "text": "x"},
        {"type": "text", "text": None},
        {"type": "input_image", "image_url": "http://a"},
        {"type": "tomorrow", "x": 1},
    ]
    (message,) = read({"input": [{"role": "user", "content": parts}]}).items()

    assert isinstance(message, Message)
    assert [type(part) for part in message.content] == [TextPart, TextPart, ImagePart, UnknownPart]


def test_tools() -> None:
    tools = [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "c", "format": {"type": "text"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
        {"type": "tool_search", "execution": "client"},
        {"type": "shell", "environment": None},
        {"type": "local_shell"},
        {"type": "apply_patch"},
        {"type": "web_search"},
    ]
    read_tools = read({"tools": tools}).tools or []

    assert [type(tool) for tool in read_tools] == [
        FunctionTool, CustomTool, NamespaceTool, ToolSearchTool, ShellTool, LocalShellTool, ApplyPatchTool, OtherTool,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "local"),
    [(None, True), ({"type": "local"}, True), ({"type": "container_auto"}, False), ({}, False)],
)
def test_where_a_shell_runs(environment: object, local: bool) -> None:
    (tool,) = read({"tools": [{"type": "shell", "environment": environment}]}).tools or []

    assert isinstance(tool, ShellTool)
    assert tool.is_local == local


def test_unknown_keys_are_kept() -> None:
    request = read({"tomorrow": [1], "input": [{"role": "user", "content": "x", "later": 1}]})

    assert request.model_extra == {"tomorrow": [1]}
    assert request.items()[0].model_extra == {"later": 1}


def test_half_surrogates_are_mended() -> None:
    request = read(b'{"input":[{"role":"user","content":"a\\ud83d"}],"tomorrow":"\\udc00"}')

    assert request.items()[0].content == "a�"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": {}}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{}]}, "input[0]"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": 5, "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": "x", "tools": {}}, "tools"),
        ({"tools": [None]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        ({"tools": [{"type": "shell", "environment": "local"}]}, "tools[0].environment"),
        ({"input": [{"type": "shell_call", "action": {"commands": "ls"}}]}, "input[0].action.commands"),
        ({"input": [{"type": {"a": 1}, "role": "user"}]}, "input[0].type"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        (b'{"temperature":NaN}', "temperature"),
        (b'{"top_p":1e999}', "top_p"),
        ({"text": {"format": {"type": "json_schema", "schema": 5}}}, "text.format.schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"metadata": [1]}, "metadata"),
        ({"stream": "perhaps"}, "stream"),
        (b'{"tomorrow":"\\ud83d","input":5}', "input"),
    ],
)
def test_what_is_wrong_is_named(body: object, param: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid value for") as raised:
        read(body)

    assert raised.value.param == param
    assert f"'{param}'" in str(raised.value)
    assert "discriminator" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
    ],
)
def test_what_is_no_request(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as raised:
        read(body)

    assert raised.value.param is None


@pytest.mark.parametrize("depth", [150, 300, 900, 5000])
def test_deep_nesting_is_borne_or_refused(depth: int) -> None:
    body = b'{"input":[{"role":"user","content":"x"}],"metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}"

    with suppress(InvalidRequest):
        read(body)


NAMES = st.sampled_from([*ResponsesRequest.model_fields, "tomorrow"])
TYPES = [
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "custom",
    "namespace",
    "input_text",
    "tomorrow",
]
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(TYPES) | JSON_VALUES,
        **dict.fromkeys(("role", "id", "content", "call_id", "output", "tools", "name", "summary"), JSON_VALUES),
    },
)


@given(st.dictionaries(NAMES, JSON_VALUES | OBJECTS | st.lists(OBJECTS, max_size=3), max_size=6))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        assert read(body).items() is not None
