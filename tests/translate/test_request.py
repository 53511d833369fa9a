from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.request import ChatCall, to_chat
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import Item, Message, ResponsesRequest, TextPart, read_request

HI: JsonObject = {"role": "user", "content": "hi"}
TOOL: JsonObject = {"type": "function", "name": "look"}
CHAT_TOOL: JsonObject = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA: JsonObject = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORMAT: JsonObject = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
ONLY_JSON = "Answer with a single JSON object and nothing else: no Markdown fence, no words around it."
TOLD_SCHEMA = f"{ONLY_JSON} It must be valid against this JSON Schema:\n{dumps(SCHEMA)}"
TOLD: JsonObject = {"role": "system", "content": TOLD_SCHEMA}
USAGE: JsonObject = {"stream": True, "stream_options": {"include_usage": True}}
EVERYTHING = Profile(drop_params=())
REASONER = Profile(thinking_style="effort", thinking_default="on")


def convert(
    fields: JsonObject, profile: Profile | None = None, found: dict[str, Item] | None = None
) -> tuple[ChatCall, list[str]]:
    notes = Notes()
    request = read_request(dumps({"model": "gpt-5", "input": "hi", **fields}).encode())
    call = to_chat(
        request, profile or Profile(), model="qwen", origin="here/qwen", lookup=(found or {}).get, notes=notes
    )
    return call, [str(note) for note in notes]


@dataclass
class Case:
    id: str
    given: JsonObject
    sent: JsonObject
    notes: list[str] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)


UNKNOWN_HERE = "not accepted by this provider"
WHILE_THINKING = "not accepted by this provider while the model thinks"

CASES = [
    Case("nothing but input", {}, {"messages": [HI]}),
    Case(
        "null is absent",
        dict.fromkeys([*ResponsesRequest.model_fields.keys() - {"model", "input"}, "unheard_of"]),
        {"messages": [HI]},
    ),
    Case("instructions", {"instructions": "be"}, {"messages": [{"role": "system", "content": "be"}, HI]}),
    Case(
        "what the provider does anyway is no loss",
        {
            "store": False,
            "truncation": "disabled",
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": {"a": "b"},
            "max_tool_calls": 3,
            "service_tier": "auto",
            "text": {"verbosity": "medium", "format": {"type": "text"}},
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "stream_options": {"include_obfuscation": False},
            "reasoning": {"summary": "auto"},
            "background": False,
        },
        {"messages": [HI]},
    ),
    Case(
        "what is lost",
        {
            "store": True,
            "truncation": "auto",
            "context_management": [{"type": "compaction"}],
            "moderation": {"model": "m"},
            "prompt_cache_options": {"mode": "explicit"},
            "background_options": {"completion_window": "2h"},
            "include": ["unheard.of"],
            "client_metadata": {"a": "b"},
            "seed": 1,
            "text": {"tone": "kind"},
            "reasoning": {"context": "all_turns"},
        },
        {"messages": [HI]},
        [
            "truncation: nothing is cut: a conversation that is too long is an error",
            "moderation: done at OpenAI only",
            "prompt_cache_options: not known to chat providers; they cache as they do",
            "background_options: without effect: every call begins as soon as it can",
            "client_metadata: the client's telemetry; not sent on",
            "seed: not a known parameter; not sent on",
            "reasoning.context: not known to chat providers",
            "text.tone: not known to chat providers",
            "include: unheard.of: not known here",
        ],
    ),
    Case(
        "sampling",
        {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.3},
        {"messages": [HI], "temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.3},
    ),
    Case(
        "settings a provider knows",
        {
            "text": {"verbosity": "low"},
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "safety_identifier": "s",
            "user": "u",
            "service_tier": "flex",
        },
        {
            "messages": [HI],
            "verbosity": "low",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "safety_identifier": "s",
            "user": "u",
            "service_tier": "flex",
        },
        profile=EVERYTHING,
    ),
    Case(
        "settings a provider does not know",
        {"text": {"verbosity": "low"}, "prompt_cache_key": "k", "user": "u", "service_tier": "flex"},
        {"messages": [HI]},
        [f"{name}: {UNKNOWN_HERE}" for name in ("text.verbosity", "prompt_cache_key", "user", "service_tier")],
    ),
    Case(
        "store and metadata are never sent",
        {"store": True, "metadata": {"a": "b"}},
        {"messages": [HI]},
        [],
        EVERYTHING,
    ),
    Case(
        "clamped",
        {"temperature": 1.5, "top_p": 0},
        {"messages": [HI], "temperature": 1, "top_p": 0.01},
        ["temperature: set to 1: this provider accepts 0 to 1", "top_p: set to 0.01: this provider accepts 0.01 to 1"],
        Profile(clamp={"temperature": (0, 1), "top_p": (0.01, 1)}),
    ),
    Case(
        "no temperature at all",
        {"temperature": 0},
        {"messages": [HI], "do_sample": False},
        profile=Profile(zero_temperature={"do_sample": False}),
    ),
    Case(
        "a temperature as good as none",
        {"temperature": 0.05},
        {"messages": [HI], "do_sample": False},
        profile=Profile(zero_temperature={"do_sample": False}, clamp={"temperature": (0.1, 1)}),
    ),
    Case(
        "some temperature",
        {"temperature": 0.1},
        {"messages": [HI], "temperature": 0.1},
        profile=Profile(zero_temperature={"do_sample": False}, clamp={"temperature": (0.1, 1)}),
    ),
    Case(
        "renamed",
        {"top_p": 0.5},
        {"messages": [HI], "topP": 0.5},
        profile=Profile(rename_params={"top_p": "topP"}),
    ),
    Case("limit", {"max_output_tokens": 7}, {"messages": [HI], "max_tokens": 7}),
    Case(
        "limit, newer name",
        {"max_output_tokens": 7},
        {"messages": [HI], "max_completion_tokens": 7},
        profile=Profile(max_tokens_field="max_completion_tokens"),
    ),
    Case(
        "limit, both names",
        {"max_output_tokens": 7},
        {"messages": [HI], "max_tokens": 7, "max_completion_tokens": 7},
        profile=Profile(max_tokens_field="both"),
    ),
    Case("limit by default", {}, {"messages": [HI], "max_tokens": 9}, profile=Profile(max_tokens_default=9)),
    Case(
        "limit too high",
        {"max_output_tokens": 700},
        {"messages": [HI], "max_tokens": 9},
        ["max_output_tokens: lowered to 9, the most this provider accepts"],
        Profile(max_tokens_cap=9),
    ),
    Case(
        "limit not accepted",
        {"max_output_tokens": 7},
        {"messages": [HI]},
        [f"max_output_tokens: {UNKNOWN_HERE}"],
        Profile(drop_params=("max_tokens",)),
    ),
    Case("logprobs", {"include": ["message.output_text.logprobs"]}, {"messages": [HI], "logprobs": True}),
    Case("top logprobs", {"top_logprobs": 2}, {"messages": [HI], "logprobs": True, "top_logprobs": 2}),
    Case(
        "no logprobs here",
        {"top_logprobs": 2},
        {"messages": [HI]},
        [f"logprobs: {UNKNOWN_HERE}"],
        Profile(drop_params=("logprobs",)),
    ),
    Case("stream", {"stream": True}, {"messages": [HI], **USAGE}),
    Case(
        "stream with usage built in",
        {"stream": True},
        {"messages": [HI], "stream": True},
        profile=Profile(stream_usage="builtin"),
    ),
    Case("stream always", {"stream": False}, {"messages": [HI], **USAGE}, profile=Profile(stream_mode="always")),
    Case(
        "stream for thinking",
        {"reasoning": {"effort": "high"}},
        {"messages": [HI], **USAGE, "reasoning_effort": "high"},
        profile=REASONER.model_copy(update={"thinking_needs_stream": True}),
    ),
    Case("effort", {"reasoning": {"effort": "low"}}, {"messages": [HI], "reasoning_effort": "low"}, profile=REASONER),
    Case(
        "not while thinking",
        {"temperature": 0.2, "top_p": 1, "text": {"format": FORMAT}},
        {"messages": [TOLD, HI]},
        [
            "text.format: the schema is told in the instructions; this provider does not enforce it",
            f"temperature: {WHILE_THINKING}",
        ],
        REASONER.model_copy(update={"drop_params_when_thinking": ("temperature", "top_p", "response_format")}),
    ),
    Case(
        "additions are laid on top",
        {"stream": True},
        {"messages": [HI], "stream": True, "stream_options": {"include_usage": True, "x": 1}},
        profile=Profile(extra_body={"stream_options": {"x": 1}}),
    ),
    # tools
    Case(
        "tools",
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"messages": [HI], "tools": [CHAT_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    ),
    Case(
        "parallel calls cannot be prevented",
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"messages": [HI], "tools": [CHAT_TOOL]},
        ["parallel_tool_calls: this provider cannot keep the model from several calls at once"],
        Profile(parallel_tool_calls="drop"),
    ),
    Case(
        "parallel calls by default",
        {"tools": [TOOL], "parallel_tool_calls": True},
        {"messages": [HI], "tools": [CHAT_TOOL]},
        profile=Profile(parallel_tool_calls="drop"),
    ),
    Case(
        "no tool left",
        {"tools": [{"type": "web_search"}], "tool_choice": "auto", "parallel_tool_calls": False},
        {"messages": [HI]},
        ["tools: web_search: hosted at OpenAI; not available at this provider"],
    ),
    Case(
        "forced and thinking: the choice gives way",
        {"tools": [TOOL], "tool_choice": "required"},
        {"messages": [HI], "tools": [CHAT_TOOL]},
        ["tool_choice: this provider cannot force a call while the model thinks; the model decides"],
        REASONER.model_copy(update={"forced_choice_with_thinking": "auto"}),
    ),
    Case(
        "forced and thinking: thinking gives way",
        {"tools": [TOOL], "tool_choice": "required"},
        {"messages": [HI], "tools": [CHAT_TOOL], "tool_choice": "required", "enable_thinking": False},
        ["reasoning.effort: off for this call: this provider cannot force a tool while the model thinks"],
        Profile(
            thinking_style="enable_thinking", thinking_default="on", forced_choice_with_thinking="disable_thinking"
        ),
    ),
    Case(
        "forced, and thinking already off",
        {"tools": [TOOL], "tool_choice": "required", "reasoning": {"effort": "none"}},
        {"messages": [HI], "tools": [CHAT_TOOL], "tool_choice": "required", "enable_thinking": False},
        profile=Profile(thinking_style="enable_thinking", forced_choice_with_thinking="auto"),
    ),
    # text.format
    Case(
        "schema",
        {"text": {"format": {**FORMAT, "description": "d"}}},
        {
            "messages": [HI],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "description": "d", "schema": SCHEMA, "strict": True},
            },
        },
        profile=Profile(response_format="json_schema"),
    ),
    Case(
        "schema where only JSON is known",
        {"text": {"format": FORMAT}, "instructions": "be"},
        {
            "messages": [{"role": "system", "content": f"be\n\n{TOLD_SCHEMA}"}, HI],
            "response_format": {"type": "json_object"},
        },
        ["text.format: the schema is told in the instructions; this provider does not enforce it"],
    ),
    Case(
        "schema in words",
        {"text": {"format": FORMAT}},
        {"messages": [TOLD, HI]},
        ["text.format: the schema is told in the instructions; this provider does not enforce it"],
        Profile(response_format="prompt"),
    ),
    Case(
        "schema not at all",
        {"text": {"format": FORMAT}},
        {"messages": [HI]},
        ["text.format: this model can neither be held to a format nor told about it"],
        Profile(response_format="none"),
    ),
    Case(
        "schema and tools",
        {"text": {"format": FORMAT}, "tools": [TOOL]},
        {"messages": [TOLD, HI], "tools": [CHAT_TOOL]},
        [
            "text.format: only told in the instructions: this provider takes no response_format with tools",
            "text.format: the schema is told in the instructions; this provider does not enforce it",
        ],
        Profile(response_format="json_schema", response_format_with_tools=False),
    ),
    Case(
        "JSON",
        {"text": {"format": {"type": "json_object"}}},
        {"messages": [{"role": "system", "content": ONLY_JSON}, HI], "response_format": {"type": "json_object"}},
    ),
    Case(
        "JSON, and the instructions say so",
        {"text": {"format": {"type": "json_object"}}, "instructions": "in json"},
        {"messages": [{"role": "system", "content": "in json"}, HI], "response_format": {"type": "json_object"}},
    ),
    Case(
        "JSON in words",
        {"text": {"format": {"type": "json_object"}}},
        {"messages": [{"role": "system", "content": ONLY_JSON}, HI]},
        ["text.format: told in the instructions; this provider does not enforce it"],
        Profile(response_format="prompt"),
    ),
    Case(
        "JSON beside tools",
        {"text": {"format": {"type": "json_object"}}, "tools": [TOOL]},
        {"messages": [{"role": "system", "content": ONLY_JSON}, HI], "tools": [CHAT_TOOL]},
        [
            "text.format: only told in the instructions: this provider takes no response_format with tools",
            "text.format: told in the instructions; this provider does not enforce it",
        ],
        Profile(response_format_with_tools=False),
    ),
    Case(
        "JSON not at all",
        {"text": {"format": {"type": "json_object"}}},
        {"messages": [HI]},
        ["text.format: this model can neither be held to a format nor told about it"],
        Profile(response_format="none"),
    ),
    Case(
        "an unknown format",
        {"text": {"format": {"type": "poem"}}},
        {"messages": [HI]},
        ["text.format: 'poem' is not known here; the answer is plain text"],
    ),
    # items
    Case(
        "unknown keys of items and parts, once each",
        {
            "input": [
                {**HI, "odd": 1, "gone": None},
                {"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [], "hint": 1}]},
                {**HI, "odd": 2},
            ]
        },
        {"messages": [HI, {"role": "assistant", "content": "a"}, HI]},
        ["input[].odd: not known to chat providers", "input[].content[].hint: not known to chat providers"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_to_chat(case: Case) -> None:
    call, notes = convert(case.given, case.profile)
    assert call.body == {"model": "qwen", **case.sent}
    assert notes == case.notes
    assert call.stream is call.body.get("stream", False)


def test_the_url_may_name_the_model() -> None:
    call, _ = convert({}, Profile(model_in_body=False))
    assert call.body == {"messages": [HI]}


def test_what_only_openai_can_do_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        convert({"prompt": {"id": "pmpt_1"}})
    error = caught.value
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", "prompt")
    assert "`instructions`" in error.message


def test_item_references() -> None:
    known = Message(role="assistant", content=[TextPart(type="output_text", text="said")])
    call, notes = convert(
        {"input": [HI, {"type": "item_reference", "id": "msg_1"}, {"id": "rs_9"}, HI]}, found={"msg_1": known}
    )
    assert call.body["messages"] == [HI, {"role": "assistant", "content": "said"}, HI]
    assert notes == ["input: item_reference: 'rs_9' is not known here and was left out"]


def test_names_lead_back() -> None:
    call, _ = convert({"tools": [{"type": "namespace", "name": "crm", "tools": [TOOL]}]})
    known = call.tools.resolve("crm__look")
    assert (known.kind, known.namespace, known.name) == ("function", "crm", "look")


def test_a_profile_is_not_changed() -> None:
    profile = Profile(extra_body={"a": {"b": [1]}}, stream_mode="always")
    before = profile.model_dump()
    convert({"text": {"format": FORMAT}, "tools": [TOOL]}, profile)
    assert profile.model_dump() == before


PARAMETERS = st.fixed_dictionaries(
    {"input": st.lists(st.sampled_from([HI, {**HI, "role": "assistant"}, {**HI, "role": "developer"}]))},
    optional={
        "instructions": st.none() | st.text(max_size=5),
        "temperature": st.none() | st.floats(0, 2),
        "max_output_tokens": st.none() | st.integers(1, 1000),
        "stream": st.booleans(),
        "tools": st.lists(st.sampled_from([TOOL, {"type": "web_search"}, {"type": "custom", "name": "run"}])),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "name": "look"}]),
        "parallel_tool_calls": st.booleans(),
        "text": st.sampled_from([None, {"format": FORMAT}, {"verbosity": "low"}]),
        "reasoning": st.sampled_from([None, {"effort": "none"}, {"effort": "xhigh"}]),
        "foo": st.none() | st.integers(),
    },
)
PROFILES = st.builds(
    Profile,
    response_format=st.sampled_from(["json_schema", "json_object", "prompt", "none"]),
    tools=st.booleans(),
    tool_choice_values=st.sampled_from([("auto",), ("none", "auto", "required", "named")]),
    thinking_style=st.sampled_from(["none", "effort", "enable_thinking"]),
    thinking_default=st.sampled_from(["off", "on", "always"]),
    forced_choice_with_thinking=st.sampled_from(["ok", "auto", "disable_thinking"]),
    drop_params_when_thinking=st.sampled_from([(), ("temperature",)]),
)
FOREIGN = {"input", "instructions", "include", "text", "reasoning", "max_output_tokens", "foo"}


@given(PARAMETERS, PROFILES)
def test_same_in_same_out(fields: JsonObject, profile: Profile) -> None:
    first, notes = convert(fields, profile)
    second, again = convert(fields, profile)
    assert dumps(first.body) == dumps(second.body)
    assert notes == again


@given(PARAMETERS, PROFILES)
def test_nothing_of_the_other_protocol_is_sent(fields: JsonObject, profile: Profile) -> None:
    body = convert(fields, profile)[0].body
    assert not FOREIGN & set(body)
    assert None not in body.values()
    if not body.get("tools"):
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)
