"""A client's request → the request for a provider's own Responses endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from addon.providers.profile import Profile, ToolIdRule
from addon.translate.compaction import Summary, summary_message
from addon.translate.errors import ApiError
from addon.translate.hosted import HostedPolicy
from addon.translate.memory import call_key
from addon.translate.native_request import NativeRequest, native_origin, to_native
from addon.translate.native_stream import REASONING_ITEM
from addon.translate.notes import Notes
from addon.translate.reasoning import NO_MEMORY, Memory, Sealed
from addon.wire.json import Json
from addon.wire.responses import FunctionCall, Item, Message, read_request
from tests.translate.answers import request

CAPTURES = sorted((Path(__file__).parents[1] / "fixtures" / "captures").glob("*.json"))
WRAPPING = Profile(
    native_drop_tools=("custom", "namespace", "tool_search", "shell", "local_shell", "apply_patch", "web_search")
)
ORIGIN = native_origin("acme/m")


@dataclass
class Sent:
    native: NativeRequest
    notes: list[str]

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(json.dumps(self.native.body))
        return body

    @property
    def input(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.body["input"]
        return items


@dataclass(frozen=True)
class Kept:
    """What clients and the bridge have kept, in the open."""

    sealed: Mapping[str, Sealed] = field(default_factory=dict)
    remembered: Mapping[str, Sealed] = field(default_factory=dict)

    def unseal(self, encrypted_content: str) -> Sealed | None:
        return self.sealed.get(encrypted_content)

    def recall(self, key: str) -> Sealed | None:
        return self.remembered.get(key)


def sent(
    profile: Profile | None = None,
    *,
    memory: Memory = NO_MEMORY,
    known: Mapping[str, Item] | None = None,
    hosted: HostedPolicy | None = None,
    **body: object,
) -> Sent:
    notes = Notes()
    native = to_native(
        request(**body),
        profile or Profile(),
        model="acme-1",
        origin=ORIGIN,
        lookup=(known or {}).get,
        notes=notes,
        summaries=lambda blob: Summary("They counted.") if blob == "ours" else None,
        hosted=hosted or HostedPolicy(),
        memory=memory,
    )
    return Sent(native, [str(note) for note in notes])


# --- parameters


def test_what_the_endpoint_knows_goes_as_it_was_sent() -> None:
    parameters: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "include": ["reasoning.encrypted_content"],
        "metadata": {"a": "b"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "enum": [None]}}},
        "reasoning": {"effort": "high", "summary": "auto"},
        "service_tier": "flex",
        "enable_search": True,
    }
    told = sent(**parameters, user=None)

    assert told.body == {
        "model": "acme-1",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        **parameters,
        "store": False,
    }
    assert told.notes == []


def test_what_is_ours_does_not_go() -> None:
    told = sent(
        store=True,
        stream=True,
        stream_options={"include_obfuscation": True},
        client_metadata={"id": 1},
        background=False,
        context_management=[{"type": "compaction", "compact_threshold": 5}, {"type": "magic"}],
        parallel_tool_calls=False,
        tool_choice="auto",
    )

    assert set(told.body) == {"model", "input", "store", "stream"}
    assert told.body["store"] is False
    assert told.native.stream
    assert [note.split(":")[0] for note in told.notes] == ["context_management", "client_metadata"]


def test_what_only_openai_can_do_is_refused() -> None:
    with pytest.raises(ApiError, match="prompt"):
        sent(prompt={"id": "p"})


def test_a_profile_that_always_streams() -> None:
    assert sent(Profile(stream_mode="always")).body["stream"] is True


def test_what_the_endpoint_refuses_is_left_out_and_noted() -> None:
    profile = Profile(native_drop_params=("include", "text.verbosity", "temperature", "store", "reasoning.summary"))
    told = sent(
        profile,
        include=["reasoning.encrypted_content"],
        text={"verbosity": "low"},
        temperature=1,
        reasoning={"effort": "low", "summary": "auto"},
    )

    assert set(told.body) == {"model", "input", "reasoning"}
    assert told.body["reasoning"] == {"effort": "low"}
    assert [note.split(":")[0] for note in told.notes] == ["include", "text.verbosity", "reasoning.summary"]


def test_efforts_are_the_providers() -> None:
    told = sent(Profile(effort_values=("low", "high"), effort_map={"xhigh": "high"}), reasoning={"effort": "xhigh"})

    assert told.body["reasoning"] == {"effort": "high"}
    assert told.notes == ["reasoning.effort: this model has no effort 'xhigh'; 'high' is the nearest"]


# --- items


def test_messages_take_the_plainest_form() -> None:
    told = sent(
        input=[
            {"role": "developer", "content": "Rules."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {"type": "input_image", "image_url": "https://a.test/x.png"},
                ],
            },
            {
                "type": "message",
                "id": "msg_ours",
                "status": "completed",
                "role": "assistant",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "A cat.", "annotations": [], "logprobs": []}],
            },
            {"role": "critic", "content": "Hm."},
            {"role": "user", "content": ""},
        ]
    )

    assert told.input == [
        {"type": "message", "role": "developer", "content": "Rules."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "detail": "auto", "image_url": "https://a.test/x.png"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "A cat.", "phase": "commentary"},
        {"type": "message", "role": "user", "content": "Hm."},
    ]
    assert [note.split(":")[1].strip() for note in told.notes] == ["role critic", "message"]


def test_files_and_sounds() -> None:
    pdf = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
    sound = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    told = sent(Profile(audio_part="openai"), input=[{"role": "user", "content": [pdf, sound]}])

    assert told.input[0]["content"] == [pdf, sound]


def test_a_message_between_agents() -> None:
    told = sent(
        input=[
            {
                "type": "agent_message",
                "author": "a",
                "recipient": "b",
                "content": [{"type": "input_text", "text": "Go."}],
            }
        ]
    )

    assert told.input[0]["content"] == "Message from agent a to b:\nGo."


CALL: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_ours",
    "call_id": "c1",
    "name": "f",
    "arguments": "{}",
    "status": "completed",
}
RESULT: dict[str, Any] = {
    "type": "function_call_output",
    "id": "fco",
    "call_id": "c1",
    "output": "done",
    "status": None,
}


def test_calls_and_results_lose_their_ids() -> None:
    assert sent(input=[CALL, RESULT]).input == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
    ]


def test_call_ids_that_the_provider_takes() -> None:
    told = sent(Profile(tool_id=ToolIdRule(exact_len=9, charset="[A-Za-z0-9]")), input=[CALL, RESULT])

    (call, result) = told.input
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) == 9


def test_a_result_with_an_image() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    told = sent(input=[CALL, {**RESULT, "output": [{"type": "input_text", "text": "See"}, image]}])

    assert told.input[1]["output"] == [{"type": "input_text", "text": "See"}, image]


@pytest.mark.parametrize(
    ("items", "types", "note"),
    [
        ([CALL], ["function_call", "function_call_output"], "input: call without a result"),
        ([RESULT], [], "input: result without a call"),
        ([CALL, CALL, RESULT], ["function_call", "function_call_output"], "input: repeated call"),
        (
            [CALL, {**CALL, "call_id": "c2"}, RESULT],
            ["function_call", "function_call", "function_call_output", "function_call_output"],
            "input: call without a result",
        ),
        (
            [CALL, RESULT, {"type": "item_reference", "id": "gone"}],
            ["function_call", "function_call_output"],
            "input: item_reference",
        ),
        ([CALL, RESULT, {"type": "magic"}], ["function_call", "function_call_output"], "input: magic"),
        ([{**CALL, "arguments": "[1"}, RESULT], ["function_call", "function_call_output"], "input: arguments"),
    ],
    ids=["no result", "no call", "twice", "one of two", "reference", "unknown", "bad arguments"],
)
def test_histories_are_mended(items: list[Any], types: list[str], note: str) -> None:
    told = sent(input=items)

    assert [item["type"] for item in told.input] == types
    assert [each for each in told.notes if each.startswith(note)]


def test_what_a_tool_has_said_later_is_added_to_its_result() -> None:
    told = sent(input=[CALL, RESULT, {"role": "user", "content": "And?"}, {**RESULT, "output": "more"}])

    assert [item.get("output") for item in told.input] == [None, "done\nmore", None]


def test_two_calls_with_one_id_get_two() -> None:
    other = {**CALL, "name": "g"}
    told = sent(input=[CALL, RESULT, other, {**RESULT, "output": "again"}])

    ids = [item["call_id"] for item in told.input]
    assert len(set(ids)) == 2
    assert {item["call_id"]: item["output"] for item in told.input if "output" in item} == dict(
        zip(dict.fromkeys(ids), ("done", "again"), strict=True)
    )


def test_references_are_resolved_and_summaries_opened() -> None:
    told = sent(
        known={"msg_1": Message(role="user", content="Hello.")},
        input=[
            {"role": "user", "content": "old"},
            {"type": "compaction", "encrypted_content": "ours"},
            {"type": "compaction", "encrypted_content": "foreign"},
            {"type": "item_reference", "id": "msg_1"},
        ],
    )

    assert [item["content"] for item in told.input][-2:] == [summary_message(Summary("They counted.")), "Hello."]
    assert [note.split(":")[1].strip() for note in told.notes] == ["compaction"]


HOSTED_ITEM: dict[str, Any] = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}


def test_what_the_providers_tools_did_goes_back_to_it() -> None:
    assert sent(input=[HOSTED_ITEM]).input == [HOSTED_ITEM]
    assert sent(WRAPPING, input=[HOSTED_ITEM]).input == []


# --- reasoning

THEIRS: dict[str, Any] = {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "gAAAA="}
OURS: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "rb",
}


def sealed(origin: str = ORIGIN) -> Sealed:
    return Sealed("Hm.", ({"type": REASONING_ITEM, "item": THEIRS},), origin)


def test_reasoning_returns_to_whom_it_came_from_as_it_was() -> None:
    told = sent(memory=Kept({"rb": sealed()}), input=[OURS, CALL, RESULT])

    assert told.input[0] == THEIRS
    assert told.notes == []


@pytest.mark.parametrize("origin", ["acme/m", native_origin("other/m")], ids=["its chat", "another"])
def test_reasoning_of_others_is_left_out(origin: str) -> None:
    told = sent(memory=Kept({"rb": sealed(origin)}), input=[OURS, CALL, RESULT])

    assert [item["type"] for item in told.input] == ["function_call", "function_call_output"]
    assert told.notes == [f"input: reasoning: reasoning of {origin} was left out, for it is not this model's own"]


def test_reasoning_that_was_encrypted_elsewhere_is_left_out() -> None:
    told = sent(input=[OURS, {"role": "user", "content": "Hi"}])

    assert [item["type"] for item in told.input] == ["message"]
    assert "encrypted elsewhere" in told.notes[0]


def test_reasoning_that_the_client_dropped_is_remembered() -> None:
    call = FunctionCall(type="function_call", call_id="c1", name="f", arguments="{}")
    memory = Kept(remembered={call_key(call): sealed()})
    second = {**CALL, "call_id": "c2"}

    told = sent(memory=memory, input=[CALL, second, RESULT, {**RESULT, "call_id": "c2"}])
    kept = sent(memory=Kept({"rb": sealed()}, memory.remembered), input=[OURS, CALL, RESULT])

    assert [item["type"] for item in told.input][:3] == ["reasoning", "function_call", "function_call"]
    assert [item["type"] for item in kept.input] == ["reasoning", "function_call", "function_call_output"]


# --- tools

FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "f",
    "description": "F.",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}
CUSTOM: dict[str, Any] = {
    "type": "custom",
    "name": "patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
}
NAMESPACE: dict[str, Any] = {
    "type": "namespace",
    "name": "files",
    "tools": [{"type": "function", "name": "read", "parameters": None}],
}
SEARCH: dict[str, Any] = {
    "type": "tool_search",
    "execution": "client",
    "parameters": {"type": "object", "properties": {}},
}
SHELL: dict[str, Any] = {"type": "shell", "environment": {"type": "local"}}
WEB: dict[str, Any] = {"type": "web_search", "search_context_size": "low"}


def test_functions_are_flat_and_keep_what_they_say() -> None:
    deferred = {**FUNCTION, "name": "g", "defer_loading": True, "allowed_callers": ["direct"]}
    told = sent(tools=[FUNCTION, deferred], tool_choice="required", parallel_tool_calls=False)

    assert told.body["tools"] == [FUNCTION, {**FUNCTION, "name": "g", "allowed_callers": ["direct"]}]
    assert (told.body["tool_choice"], told.body["parallel_tool_calls"]) == ("required", False)
    assert told.notes == []


def test_tools_that_the_endpoint_knows_go_as_they_are() -> None:
    tools = [CUSTOM, NAMESPACE, SEARCH, SHELL, WEB]
    told = sent(tools=[{**FUNCTION, "defer_loading": True}, *tools])

    assert told.body["tools"] == [
        {**FUNCTION, "defer_loading": True},
        CUSTOM,
        _without_null(NAMESPACE),
        SEARCH,
        SHELL,
        WEB,
    ]
    assert told.notes == []


def _without_null(tool: dict[str, Any]) -> dict[str, Any]:
    return {**tool, "tools": [{"type": "function", "name": "read"}]}


def test_tools_that_it_refuses_are_functions_or_left_out() -> None:
    told = sent(WRAPPING, tools=[FUNCTION, CUSTOM, NAMESPACE, SEARCH, SHELL, WEB])

    names = [(tool["type"], tool["name"]) for tool in told.body["tools"]]
    assert names == [("function", name) for name in ("f", "patch", "files__read", "tool_search", "shell")]
    assert told.native.tools.called("patch").kind == "custom"
    assert told.native.tools.called("files__read").namespace == "files"
    assert told.notes == ["tools: web_search: this provider's Responses API does not take it"]


def test_the_calls_of_refused_tools_are_those_of_functions() -> None:
    told = sent(
        WRAPPING,
        tools=[CUSTOM, NAMESPACE, SHELL],
        input=[
            {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
            {"type": "function_call", "call_id": "b", "namespace": "files", "name": "read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "b", "output": "text"},
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "a.txt", "outcome": {"type": "exit", "exit_code": 0}}],
            },
            {"type": "tool_search_call", "call_id": "d", "execution": "client", "arguments": {"query": "x"}},
            {
                "type": "tool_search_output",
                "call_id": "d",
                "execution": "client",
                "tools": [{**FUNCTION, "name": "found"}],
            },
        ],
    )

    calls = [(item["name"], item["arguments"]) for item in told.input if item["type"] == "function_call"]
    assert calls == [
        ("patch", '{"input":"x"}'),
        ("files__read", "{}"),
        ("shell", '{"commands":["ls"]}'),
        ("tool_search", '{"query":"x"}'),
    ]
    outputs = [item["output"] for item in told.input if item["type"] == "function_call_output"]
    assert outputs[:2] == ["ok", "text"]
    assert "a.txt" in outputs[2]
    assert outputs[3] == "Tools found, which can be called now:\n- found"
    assert "found" in [tool["name"] for tool in told.body["tools"]]


def test_the_calls_of_known_tools_keep_their_form() -> None:
    items: list[dict[str, Any]] = [
        {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "x"},
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
        {"type": "function_call", "call_id": "b", "name": "read", "namespace": "files", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "text"},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "status": "completed"},
        {"type": "apply_patch_call", "call_id": "d", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "tool_search_call", "call_id": "e", "execution": "client", "arguments": "{}"},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "f", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "f", "output": "a.txt"},
    ]
    told = sent(input=[{**item, "id": item.get("id", "x_ours")} for item in items])

    kept = [item for item in told.input if item in items]
    assert kept == [item for item in items if item != items[1]]
    assert {**items[1], "type": "custom_tool_call_output"} in told.input
    results = [item["type"] for item in told.input if item["type"].endswith("_output") and item not in items]
    assert results == [
        "custom_tool_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "tool_search_output",
    ]


@pytest.mark.parametrize(
    ("choice", "known", "refused"),
    [
        ("none", "none", "none"),
        ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        (
            {"type": "custom", "name": "patch"},
            {"type": "custom", "name": "patch"},
            {"type": "function", "name": "patch"},
        ),
        ({"type": "shell"}, {"type": "shell"}, {"type": "function", "name": "shell"}),
        ({"type": "web_search"}, {"type": "web_search"}, None),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "namespace", "name": "files"}, {"type": "web_search"}],
            },
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "namespace", "name": "files"}, {"type": "web_search"}],
            },
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "files__read"}]},
        ),
    ],
    ids=["none", "function", "custom", "shell", "web", "allowed"],
)
def test_the_choice_among_them(choice: Json, known: Json, refused: Json) -> None:
    tools = [FUNCTION, CUSTOM, NAMESPACE, SHELL, WEB]

    assert sent(tools=tools, tool_choice=choice).body.get("tool_choice") == known
    assert sent(WRAPPING, tools=tools, tool_choice=choice).body.get("tool_choice") == refused


def test_the_configuration_decides_about_tools_of_the_provider() -> None:
    assert "tools" not in sent(hosted=HostedPolicy({"web_search": "drop"}), tools=[WEB], tool_choice="required").body
    with pytest.raises(ApiError, match="web_search"):
        sent(hosted=HostedPolicy({"*": "error"}), tools=[WEB])


def test_a_model_without_tools_of_the_client() -> None:
    told = sent(Profile(tools=False), tools=[FUNCTION, CUSTOM, WEB])

    assert told.body["tools"] == [WEB]
    assert told.notes == ["tools: this model cannot call tools"]


def test_tools_that_an_item_brings() -> None:
    told = sent(input=[{"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}, *request().items()])

    assert told.body["tools"] == [FUNCTION]


# --- real requests


@pytest.mark.parametrize("profile", [Profile(), WRAPPING], ids=["known", "refused"])
@pytest.mark.parametrize("capture", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_requests_of_real_clients(capture: Path, profile: Profile) -> None:
    """Each becomes a request with calls and results in pairs, nothing of ours in it, and always the same."""
    body = json.loads(capture.read_text("utf-8"))["request"]["body"]
    body.pop("previous_response_id", None)
    bodies = []
    for _ in range(2):
        native = to_native(
            read_request(json.dumps(body).encode()),
            profile,
            model="m",
            origin=ORIGIN,
            lookup=lambda _: None,
            notes=Notes(),
            summaries=lambda _: None,
        )
        bodies.append(json.dumps(native.body))

    assert bodies[0] == bodies[1]
    told = json.loads(bodies[0])
    assert not {"previous_response_id", "conversation", "background", "client_metadata"} & set(told)
    calls = sorted(item["call_id"] for item in told["input"] if item["type"].endswith("_call"))
    results = sorted(item["call_id"] for item in told["input"] if item["type"].endswith("_output"))
    assert calls == results
    if profile is WRAPPING:
        assert {tool["type"] for tool in told.get("tools", ())} <= {
            "function", "file_search", "code_interpreter", "mcp", "image_generation", "computer_use_preview",
        }  # fmt: skip
