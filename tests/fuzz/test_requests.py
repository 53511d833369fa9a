"""Whatever a client sends: a request that providers take, or an error that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.compaction import Summary
from addon.translate.errors import ApiError
from addon.translate.native_request import to_native
from addon.translate.notes import Notes
from addon.translate.passthrough import fit
from addon.translate.request import to_chat
from addon.wire.json import JsonObject, dump_bytes, loads
from addon.wire.responses import InvalidRequest, ResponsesRequest, read_request
from tests.fuzz.mutation import damaged, fuzzed, mutated, words_of
from tests.translate.histories import PROFILES
from tests.translate.test_captures import CAPTURES
from tests.translate.valid_history import assert_valid_history

pytestmark = pytest.mark.slow

RECORDED: list[Any] = [
    json.loads(path.read_text("utf-8"))["request"]["body"] for path in sorted(CAPTURES.glob("*.json"))
]
SMALL = [body for body in RECORDED if len(json.dumps(body)) < 20_000]
"""The others take long, and are made of the same items."""

WORDS = words_of(*RECORDED)
"""Some hundred names of fields and types, which clients use."""


def raw(body: Any) -> bytes:
    """As a client sends it: in ASCII, since half a surrogate pair has no UTF-8."""
    return json.dumps(body).encode()


def understood(body: bytes) -> ResponsesRequest | None:
    with suppress(InvalidRequest):
        return read_request(body)
    return None


def assert_sendable(body: JsonObject) -> None:
    assert loads(dump_bytes(body)) == body


@given(mutated(st.sampled_from(SMALL), WORDS).map(raw), st.sampled_from([*PROFILES.values()]))
@fuzzed(180)
def test_requests_for_a_chat_provider(body: bytes, profile: Profile) -> None:
    request = understood(body)
    if request is None:
        return
    with suppress(ApiError):
        call = to_chat(request, profile, model="m", origin="here/m", lookup=lambda _: None, notes=Notes())
        assert_sendable(call.body)
        assert_valid_history(call.body["messages"], profile)


@given(mutated(st.sampled_from(SMALL), WORDS).map(raw), st.sampled_from([*PROFILES.values()]))
@fuzzed(120)
def test_requests_for_a_native_provider(body: bytes, profile: Profile) -> None:
    request = understood(body)
    if request is None:
        return
    known: Callable[[str], Summary | None] = lambda blob: Summary("They counted.") if "a" in blob else None  # noqa: E731
    with suppress(ApiError):
        native = to_native(
            request, profile, model="m", origin="here/m", lookup=lambda _: None, notes=Notes(), summaries=known
        )
        assert_sendable(native.body)


@given(damaged(st.sampled_from(SMALL).map(raw)) | st.binary(max_size=100))
@fuzzed(120)
def test_bytes_of_a_request(body: bytes) -> None:
    request = understood(body)
    if request is not None:
        with suppress(ApiError):
            to_chat(request, Profile(), model="m", origin="here/m", lookup=lambda _: None, notes=Notes())


CHAT: list[Any] = [
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "a"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "c"}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]},
            {"role": "tool", "tool_call_id": "1", "content": "d"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "reasoning_effort": "high",
        "max_completion_tokens": 10,
        "temperature": 1,
        "n": 2,
        "stop": ["a", "b"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
]


@given(mutated(st.sampled_from(CHAT), words_of(*CHAT)), st.sampled_from([*PROFILES.values()]))
@fuzzed(120)
def test_chat_requests(body: Any, profile: Profile) -> None:
    if isinstance(body, dict):
        with suppress(ApiError):
            assert_sendable(fit(loads(raw(body)), profile, model="m", notes=Notes())[0])
