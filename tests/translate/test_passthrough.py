from __future__ import annotations

import copy
from dataclasses import dataclass, field

import pytest

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output_format import ONLY_JSON
from addon.translate.passthrough import fit
from addon.wire.json import Json, JsonObject

HI: JsonObject = {"role": "user", "content": "hi"}
JSON: JsonObject = {"type": "json_object"}
SCHEMA: JsonObject = {
    "type": "json_schema",
    "json_schema": {
        "name": "n",
        "x": 1,
        "schema": {"type": "object", "properties": {"a": {"type": "integer", "const": 1}}},
    },
}
TOLD = ONLY_JSON + (
    ' It must be valid against this JSON Schema:\n{"type":"object","properties":{"a":{"type":"integer","const":1}}}'
)
TOOL: JsonObject = {"type": "function", "function": {"name": "look"}}


@dataclass
class Case:
    id: str
    given: JsonObject
    sent: JsonObject
    notes: list[str] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)


CASES = [
    Case("untouched", {"temperature": 0.5, "foo": {"a": 1}}, {"temperature": 0.5, "foo": {"a": 1}}),
    Case("null is absent", {"temperature": None, "tools": None}, {}),
    Case("token field", {"max_completion_tokens": 5}, {"max_tokens": 5}),
    Case(
        "token field of newer servers",
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        profile=Profile(max_tokens_field="max_completion_tokens"),
    ),
    Case(
        "token cap",
        {"max_tokens": 500},
        {"max_tokens": 100},
        ["max_tokens: lowered to 100, the most this provider accepts"],
        Profile(max_tokens_cap=100),
    ),
    Case(
        "unknown to the provider",
        {"store": True, "metadata": {}, "service_tier": "auto"},
        {},
        ["store: not accepted by this provider"],
    ),
    Case("renamed", {"seed": 1}, {"random_seed": 1}, profile=Profile(rename_params={"seed": "random_seed"})),
    Case(
        "clamped",
        {"temperature": 2},
        {"temperature": 1},
        ["temperature: set to 1: this provider accepts 0 to 1"],
        Profile(clamp={"temperature": (0, 1)}),
    ),
    Case("choice without tools", {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    Case("choice with tools", {"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
    Case("one answer only", {"n": 3}, {}, ["n: lowered to 1, the most this provider accepts"]),
    Case("several answers", {"n": 3}, {"n": 2}, ["n: lowered to 2, the most this provider accepts"], Profile(n_max=2)),
    Case(
        "stop sequences",
        {"stop": ["a", "b", "c"]},
        {"stop": ["a", "b"]},
        ["stop: only the first 2: this provider accepts no more"],
        Profile(stop_max=2),
    ),
    Case("one stop sequence", {"stop": "a"}, {"stop": "a"}),
    Case("stream options", {"stream_options": {"include_usage": True}}, {"stream_options": {"include_usage": True}}),
    Case(
        "usage comes by itself",
        {"stream_options": {"include_usage": True}},
        {},
        profile=Profile(stream_usage="builtin"),
    ),
    Case(
        "no usage",
        {"stream_options": {"include_usage": True}},
        {},
        ["stream_options: this provider tells no usage in a stream"],
        Profile(stream_usage="none"),
    ),
    Case("effort", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, profile=Profile(thinking_style="effort")),
    Case(
        "effort as this provider switches",
        {"reasoning_effort": "none"},
        {"enable_thinking": False},
        profile=Profile(thinking_style="enable_thinking"),
    ),
    Case(
        "the client's own switch counts",
        {"enable_thinking": True, "reasoning_effort": "none"},
        {"enable_thinking": True},
        profile=Profile(thinking_style="enable_thinking"),
    ),
    Case(
        "dropped while thinking",
        {"reasoning_effort": "high", "temperature": 0.1},
        {"reasoning_effort": "high"},
        ["temperature: not accepted by this provider while the model thinks"],
        Profile(thinking_style="effort", drop_params_when_thinking=("temperature",)),
    ),
    Case(
        "a schema",
        {"response_format": SCHEMA},
        {"response_format": SCHEMA},
        profile=Profile(response_format="json_schema"),
    ),
    Case(
        "a schema in the provider's dialect",
        {"response_format": SCHEMA},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "x": 1,
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "integer", "description": "(enum: [1])"}},
                    },
                },
            }
        },
        ["response_format: schema simplified for this provider (enum)"],
        Profile(response_format="json_schema", schema_flavor="gemini"),
    ),
    Case("JSON", {"response_format": JSON}, {"response_format": JSON}, profile=Profile(response_format="json_schema")),
    Case(
        "G9-a schema where only JSON is known",
        {"response_format": SCHEMA},
        {"messages": [{"role": "system", "content": TOLD}, HI], "response_format": JSON},
        ["response_format: the schema is told in the instructions; this provider does not enforce it"],
    ),
    Case(
        "a schema behind the client's instructions",
        {"messages": [{"role": "developer", "content": "be", "name": "x"}, HI], "response_format": SCHEMA},
        {"messages": [{"role": "system", "content": f"be\n\n{TOLD}", "name": "x"}, HI]},
        ["response_format: the schema is told in the instructions; this provider does not enforce it"],
        Profile(response_format="prompt"),
    ),
    Case(
        "a schema behind instructions in parts",
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "be"}]}, HI], "response_format": SCHEMA},
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "be"}, {"type": "text", "text": TOLD}]},
                HI,
            ]
        },
        ["response_format: the schema is told in the instructions; this provider does not enforce it"],
        Profile(response_format="prompt", content_shape="auto"),
    ),
    Case(
        "a schema beside tools",
        {"tools": [TOOL], "response_format": SCHEMA},
        {"messages": [{"role": "system", "content": TOLD}, HI], "tools": [TOOL]},
        [
            "response_format: only told in the instructions: this provider takes no response_format with tools",
            "response_format: the schema is told in the instructions; this provider does not enforce it",
        ],
        Profile(response_format="json_schema", response_format_with_tools=False),
    ),
    Case(
        "JSON in words",
        {"response_format": JSON},
        {"messages": [{"role": "system", "content": ONLY_JSON}, HI]},
        ["response_format: told in the instructions; this provider does not enforce it"],
        Profile(response_format="prompt"),
    ),
    Case(
        "a schema not at all",
        {"response_format": SCHEMA},
        {},
        ["response_format: this model can neither be held to a format nor told about it"],
        Profile(response_format="none"),
    ),
    Case(
        "a schema that is none",
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"response_format": JSON},
    ),
    Case(
        "another format",
        {"response_format": {"type": "regex", "regex": "a"}},
        {"response_format": {"type": "regex", "regex": "a"}},
    ),
    Case("additions", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, profile=Profile(extra_body={"a": {"c": 2}})),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fit(case: Case) -> None:
    body: JsonObject = {"model": "gpt-5", "messages": [HI], **case.given}
    before, notes = copy.deepcopy(body), Notes()
    sent, streams = fit(body, case.profile, model="qwen", notes=notes)
    assert sent == {"model": "qwen", "messages": [HI], **case.sent}
    assert [str(note) for note in notes] == case.notes
    assert not streams
    assert body == before


def test_stream() -> None:
    sent, streams = fit({"messages": [HI], "stream": True}, Profile(), model="m", notes=Notes())
    assert streams
    assert sent == {"model": "m", "messages": [HI], "stream": True}


def test_the_url_may_name_the_model() -> None:
    sent, _ = fit({"model": "gpt-5", "messages": [HI]}, Profile(model_in_body=False), model="m", notes=Notes())
    assert sent == {"messages": [HI]}


@pytest.mark.parametrize(
    ("profile", "roles"),
    [
        pytest.param(Profile(), ["system", "system", "user"], id="system"),
        pytest.param(Profile(instruction_role="developer"), ["system", "developer", "user"], id="developer"),
        pytest.param(Profile(instruction_role="user"), ["user", "user", "user"], id="user"),
    ],
)
def test_roles(profile: Profile, roles: list[str]) -> None:
    messages: list[JsonObject] = [{"role": role, "content": role} for role in ("system", "developer", "user")]
    anywhere = profile.model_copy(update={"system_policy": "any"})
    sent, _ = fit({"messages": [*messages]}, anywhere, model="m", notes=Notes())
    assert sent["messages"] == [{**message, "role": role} for message, role in zip(messages, roles, strict=True)]


LATE: list[Json] = [
    {"role": "system", "content": "one"},
    {"role": "developer", "content": "two"},
    HI,
    {"role": "system", "content": "three"},
    {"role": "developer", "content": [{"type": "text", "text": "four", "cache_control": {}}]},
]


@pytest.mark.parametrize(
    ("profile", "heard"),
    [
        pytest.param(Profile(), ["system: one|two", "user: hi", "user: [..]three", "user: [..]four"], id="single"),
        pytest.param(
            Profile(system_policy="leading", instruction_role="developer"),
            ["system: one", "developer: two", "user: hi", "user: [..]three", "user: [..]four"],
            id="leading",
        ),
        pytest.param(
            Profile(system_policy="any"),
            ["system: one", "system: two", "user: hi", "system: three", "system: four"],
            id="any",
        ),
        pytest.param(
            Profile(system_policy="any", instruction_role="user"),
            ["user: one", "user: two", "user: hi", "user: [..]three", "user: [..]four"],
            id="of the user",
        ),
    ],
)
def test_instructions_stand_where_the_provider_allows_them(profile: Profile, heard: list[str]) -> None:
    notes = Notes()
    sent, _ = fit({"messages": LATE}, profile, model="m", notes=notes)
    assert [said(message) for message in messages_of(sent)] == heard
    told = "[..]" in "".join(heard)
    expected = ["messages: instructions in the midst of the conversation are told as the user's"]
    assert [str(note) for note in notes] == expected * told


def messages_of(sent: JsonObject) -> list[JsonObject]:
    messages = sent["messages"]
    assert isinstance(messages, list)
    return [message for message in messages if isinstance(message, dict)]


def said(message: JsonObject) -> str:
    content = message["content"]
    parts = content if isinstance(content, list) else [{"text": content}]
    text = "".join(str(part["text"]) for part in parts if isinstance(part, dict))
    return f"{message['role']}: {text}".replace("[system instruction]", "[..]").replace("\n\n", "|").replace("\n", "")


@pytest.mark.parametrize(
    ("message", "content"),
    [
        pytest.param({"role": "user", "content": [{"type": "text", "text": "a"}]}, "a", id="one"),
        pytest.param({"role": "tool", "content": [{"type": "text", "text": t} for t in "ab"]}, "a\nb", id="two"),
        pytest.param({"role": "assistant", "content": [{"type": "text", "text": t} for t in "ab"]}, "ab", id="model"),
        pytest.param({"role": "user", "content": []}, [], id="none"),
        pytest.param({"role": "assistant", "content": None}, None, id="null"),
        pytest.param(
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]},
            [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}],
            id="image",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
            id="more than text",
        ),
    ],
)
def test_parts_of_text_are_a_string_where_no_parts_are_taken(message: JsonObject, content: Json) -> None:
    sent, _ = fit({"messages": [message]}, Profile(), model="m", notes=Notes())
    assert messages_of(sent)[0]["content"] == content
    sent, _ = fit({"messages": [message]}, Profile(content_shape="auto"), model="m", notes=Notes())
    assert messages_of(sent)[0] == message


THINKS_IN_STREAMS = Profile(thinking_needs_stream=True, thinking_style="enable_thinking", effort_values=("high",))


@pytest.mark.parametrize(
    ("given", "profile", "streams"),
    [
        pytest.param({}, Profile(), False, id="whole"),
        pytest.param({"stream": True}, Profile(), True, id="stream"),
        pytest.param({}, Profile(stream_mode="always"), True, id="always"),
        pytest.param({"reasoning_effort": "high"}, THINKS_IN_STREAMS, True, id="thinking"),
        pytest.param({"reasoning_effort": "none"}, THINKS_IN_STREAMS, False, id="not thinking"),
    ],
)
def test_a_stream_is_asked_for_where_nothing_else_is_to_be_had(
    given: JsonObject, profile: Profile, streams: bool
) -> None:
    sent, stream = fit({"messages": [HI], **given}, profile, model="m", notes=Notes())
    assert stream == streams
    assert (sent.get("stream") is True) == streams
    assert ("stream_options" in sent) == (streams and not given.get("stream"))


@pytest.mark.parametrize("messages", [{}, {"messages": None}, {"messages": "hi"}])
def test_messages_are_needed(messages: JsonObject) -> None:
    with pytest.raises(ApiError) as caught:
        fit(messages, Profile(), model="m", notes=Notes())
    assert (caught.value.status, caught.value.param) == (400, "messages")
