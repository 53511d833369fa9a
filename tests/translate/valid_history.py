"""What every provider asks of a chat history, and what one profile asks besides, as assertions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise

from addon.providers.profile import Profile
from addon.wire.chat import ChatMessage, CustomCall, ToolCall
from addon.wire.json import dumps

_KEYS = {
    "system": {"role", "content"},
    "developer": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {
        "role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details", "prefix",
    },
    "tool": {"role", "content", "tool_call_id", "name"},
}  # fmt: skip


def assert_valid_history(messages: Sequence[ChatMessage], profile: Profile) -> None:
    assert messages, "no messages at all"
    _assert_plain_json(messages)
    for message in messages:
        assert set(message) <= _KEYS[message["role"]], message
    _assert_instructions(messages, profile)
    _assert_calls(messages, profile)
    assert profile.tools or not any("tool_calls" in message for message in messages)
    for message in messages:
        if message["role"] == "assistant":
            _assert_assistant(message, profile)
        else:
            _assert_content(message["content"], profile, tool=message["role"] == "tool")
    _assert_order(messages, profile)


def _assert_plain_json(messages: Sequence[ChatMessage]) -> None:
    text = dumps(list(messages))
    text.encode()  # no half surrogates
    assert "\\u0000" not in text
    assert json.loads(text) == list(messages)


def _assert_instructions(messages: Sequence[ChatMessage], profile: Profile) -> None:
    places = [index for index, message in enumerate(messages) if message["role"] in ("system", "developer")]
    assert {messages[index]["role"] for index in places} <= {profile.instruction_role}
    assert profile.instruction_role != "user" or not places
    if profile.system_policy != "any":
        assert places == list(range(len(places))), "an instruction after something else"
    if profile.system_policy == "single":
        assert len(places) <= 1


def _assert_calls(messages: Sequence[ChatMessage], profile: Profile) -> None:
    """Each message with calls is followed at once by its results, in the order of the calls; there are no others."""
    seen: set[str] = set()
    expected: list[tuple[str, str]] = []
    for message in messages:
        if message["role"] == "tool":
            assert expected, "a result without a call"
            call_id, name = expected.pop(0)
            assert message["tool_call_id"] == call_id
            assert message.get("name") == (name if profile.tool_result_name else None)
            continue
        assert not expected, f"calls without results before {message}"
        if message["role"] != "assistant":
            continue
        calls = message.get("tool_calls", [])
        assert "tool_calls" not in message or calls
        for call in calls:
            assert call["id"] not in seen, "an id used twice"
            seen.add(call["id"])
            _assert_call_id(call["id"], profile)
        expected = [(call["id"], _assert_call(call, profile)) for call in calls]
    assert not expected, "calls without results at the end"


def _assert_call(call: ToolCall | CustomCall, profile: Profile) -> str:
    """Returns: its name."""
    assert {"id", "type", call["type"]} <= set(call) <= {"id", "type", call["type"], *profile.call_extra}
    if call["type"] == "custom":
        assert profile.custom_tools == "custom"
        assert isinstance(call["custom"]["input"], str)
        name = call["custom"]["name"]
    else:
        assert isinstance(json.loads(call["function"]["arguments"], parse_constant=_no_constant), dict)
        name = call["function"]["name"]
    assert name
    return name


def _assert_call_id(call_id: str, profile: Profile) -> None:
    rule = profile.tool_id
    assert re.fullmatch(f"(?:{rule.charset})+", call_id), call_id
    assert len(call_id) == rule.exact_len if rule.exact_len else len(call_id) <= rule.max_len


def _no_constant(name: str) -> object:
    raise AssertionError(f"{name} is not JSON")


def _assert_assistant(message: ChatMessage, profile: Profile) -> None:
    content = message.get("content")
    if message.get("tool_calls"):
        if not content:
            assert ("content" in message, content) == {
                "null": (True, None), "empty": (True, ""), "omit": (False, None),
            }[profile.assistant_tool_content]  # fmt: skip
    else:
        assert content, "an empty assistant message"
        assert not isinstance(content, str) or content.strip()
    if profile.replay == "never":
        assert not {"reasoning_content", "reasoning", "reasoning_details"} & set(message)


def _assert_content(content: object, profile: Profile, *, tool: bool) -> None:
    if isinstance(content, str):
        assert content.strip(), "an empty message"
        return
    assert isinstance(content, list)
    assert content
    types = [part["type"] for part in content]
    assert set(types) <= {"text", "image_url", "file", "input_audio"}
    assert all(part["text"] for part in content if part["type"] == "text")
    has_media = set(types) != {"text"}
    assert has_media or (profile.content_shape == "auto" and len(content) > 1)
    assert not tool or (has_media and profile.tool_result_media == "array")


def _assert_order(messages: Sequence[ChatMessage], profile: Profile) -> None:
    roles = [message["role"] for message in messages]
    for before, after in pairwise(roles):
        assert (before, after) != ("assistant", "assistant")
        if profile.strict_alternation:
            assert before == "tool" or before != after
        if profile.assistant_between_tool_and_user:
            assert (before, after) != ("tool", "user")
    if profile.require_user_message:
        assert "user" in roles
    if profile.trailing_assistant == "user_stub":
        assert roles[-1] != "assistant"
    trailing = roles[-1] == "assistant" and profile.trailing_assistant == "prefix"
    assert [message for message in messages if "prefix" in message] == ([messages[-1]] if trailing else [])
