"""Requests of real clients, recorded, and what becomes of each: the roles, the tools, the parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.request import ChatCall, to_chat
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import Item, read_request

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"

GENERIC = Profile()
OPENAI_LIKE = Profile(
    instruction_role="developer",
    system_policy="any",
    max_tokens_field="max_completion_tokens",
    file_part="openai",
    response_format="json_schema",
    strict_tools="send",
    tool_choice_values=("none", "auto", "required", "named", "allowed"),
    drop_params=(),
    thinking_style="effort",
    effort_values=("none", "low", "medium", "high"),
)

NEVER = (
    "internal_chat_message_metadata_passthrough",
    "client_metadata",
    "phase",
    "encrypted",
    "encrypted_content",
    "defer_loading",
    "namespace",
    "annotations",
    "call_id",
    "input_text",
    "output_text",
    "input_image",
    "input_file",
)
"""Keys and types of the Responses API that no provider may see."""


@dataclass
class Case:
    capture: str
    roles: str
    """One letter for each message: system, developer, user, assistant, tool."""
    tools: str
    parameters: str
    """Keys of the body besides model, messages and tools."""
    profile: Profile = GENERIC
    left_out: str = ""
    """Types of the tools and items that the provider is not told about, from the notes."""


CODEX_CLASSIC = (
    "exec_command write_stdin request_user_input apply_patch view_image get_goal create_goal update_goal tool_search"
)
CODEX_LITE = (
    "functions__exec functions__wait functions__request_user_input functions__request_user_input_async clock__sleep "
    "collaboration__followup_task collaboration__interrupt_agent collaboration__list_agents "
    "collaboration__send_message collaboration__spawn_agent collaboration__wait_agent"
)
STREAM = "stream stream_options"
PARALLEL = f"parallel_tool_calls {STREAM}"

CASES = [
    Case("agents-js-tools-2", "suatt", "get_weather", ""),
    Case("agents-py-handoff-3", "suatat", "get_weather", ""),
    Case("agents-py-hosted", "su", "get_weather", "", left_out="web_search file_search code_interpreter mcp"),
    Case("agents-py-shell-patch-3", "uatat", "shell apply_patch", ""),
    Case(
        "aisdk7-options", "u", "get_weather", "parallel_tool_calls max_tokens", left_out="web_search code_interpreter"
    ),
    Case(
        "aisdk7-options",
        "u",
        "get_weather",
        "parallel_tool_calls max_completion_tokens verbosity prompt_cache_key safety_identifier service_tier "
        "reasoning_effort",
        OPENAI_LIKE,
        left_out="web_search code_interpreter",
    ),
    Case("aisdk7-stream-2", "uat", "get_weather", STREAM, left_out="item_reference"),
    Case(
        "cline-tools",
        "suat",
        (
            "read_files search_codebase run_commands fetch_web_content apply_patch ask_question spawn_agent "
            "team_spawn_teammate team_shutdown_teammate team_status team_task team_run_task team_cancel_run "
            "team_list_runs team_await_runs team_send_message team_broadcast team_read_mailbox team_mission_log "
            "team_cleanup team_create_outcome team_attach_outcome_fragment team_review_outcome_fragment "
            "team_finalize_outcome team_list_outcomes"
        ),
        STREAM,
        left_out="web_search image_generation",
    ),
    Case("codex-classic-exec-2", "suuat", CODEX_CLASSIC, PARALLEL, left_out="web_search reasoning"),
    Case("codex-classic-parallel-2", "suuattt", CODEX_CLASSIC, PARALLEL, left_out="web_search"),
    Case("codex-classic-patch-3", "suuatat", CODEX_CLASSIC, PARALLEL, left_out="web_search"),
    Case("codex-classic-plain", "suu", CODEX_CLASSIC, PARALLEL, left_out="web_search"),
    Case(
        "codex-classic-schema-image-tier",
        "suu",
        CODEX_CLASSIC,
        "parallel_tool_calls response_format stream stream_options",
        left_out="web_search",
    ),
    Case(
        "codex-classic-schema-image-tier",
        "dduu",
        CODEX_CLASSIC,
        "parallel_tool_calls response_format verbosity prompt_cache_key service_tier stream stream_options "
        "reasoning_effort",
        OPENAI_LIKE,
        left_out="web_search",
    ),
    Case(
        "codex-classic-toolsearch-mcp-2",
        "suuat",
        (
            "exec_command write_stdin list_mcp_resources list_mcp_resource_templates read_mcp_resource "
            "request_user_input apply_patch view_image get_goal create_goal update_goal tool_search "
            "mcp__demo__add_numbers"
        ),
        PARALLEL,
        left_out="web_search",
    ),
    Case("codex-lite-code-2", "suuat", CODEX_LITE, PARALLEL, left_out="reasoning"),
    Case("codex-lite-compaction-request", "suuat", CODEX_LITE, PARALLEL, left_out="reasoning"),
    Case("codex-lite-notify-2", "suuatu", CODEX_LITE, PARALLEL),
    Case("codex-lite-plain", "suu", CODEX_LITE, PARALLEL),
    Case("codex-lite-spawn-parent-4", "suuatatu", CODEX_LITE, PARALLEL),
    Case(
        "codex-lite-spawn-parent-4",
        "dddduuatatu",
        CODEX_LITE,
        "parallel_tool_calls verbosity prompt_cache_key stream stream_options reasoning_effort",
        OPENAI_LIKE,
    ),
    Case(
        "codex-unknown-model-plain",
        "suu",
        (
            "exec_command write_stdin request_user_input view_image multi_agent_v1__close_agent "
            "multi_agent_v1__resume_agent multi_agent_v1__send_input multi_agent_v1__spawn_agent "
            "multi_agent_v1__wait_agent get_goal create_goal update_goal"
        ),
        PARALLEL,
        left_out="web_search",
    ),
    Case(
        "copilot-bash-2",
        "suat",
        (
            "bash read_bash stop_bash list_bash view create edit web_fetch fetch_copilot_cli_documentation "
            "semantic_code_search skill sql session_store_sql read_agent list_agents write_agent grep glob task"
        ),
        PARALLEL,
        left_out="reasoning",
    ),
    Case("langchain-py-reason-2", "uat", "get_weather", "", left_out="reasoning"),
    Case("llm-plain", "u", "", STREAM),
    Case("openai-js-loop-2", "uatt", "get_weather", ""),
    Case("openai-py-custom-2", "uat", "run_sql", ""),
    Case("openai-py-helper-parse", "su", "", "response_format stream stream_options"),
    Case(
        "openai-py-rich",
        "ddduau",
        "get_weather shell apply_patch crm__get",
        "tool_choice max_completion_tokens temperature top_p logprobs top_logprobs response_format "
        "verbosity prompt_cache_key safety_identifier service_tier",
        OPENAI_LIKE,
        left_out="web_search file_search code_interpreter mcp image_generation tool_search",
    ),
    Case(
        "opencode-bash-2",
        "suat",
        "apply_patch bash glob grep read skill task todowrite webfetch",
        STREAM,
        left_out="reasoning",
    ),
]


def convert(capture: str, profile: Profile, notes: Notes | None = None, *, before: Sequence[Item] = ()) -> ChatCall:
    """`before`: what the bridge knows of the conversation that the request goes on with."""
    recorded = json.loads((CAPTURES / f"{capture}.json").read_text(encoding="utf-8"))
    request = read_request(dumps(recorded["request"]["body"]).encode())
    request = request.model_copy(update={"input": [*before, *request.items()]})
    return to_chat(
        request, profile, model="m", origin="here/m", lookup=lambda _: None, notes=Notes() if notes is None else notes
    )


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: case.capture + ("" if case.profile is GENERIC else ", OpenAI-like")
)
def test_converted(case: Case) -> None:
    notes = Notes()
    body = convert(case.capture, case.profile, notes).body
    messages, tools = body["messages"], body.get("tools", [])
    assert "".join(str(message["role"])[0] for message in messages) == case.roles
    assert [tool["function"]["name"] for tool in tools] == case.tools.split()
    assert [key for key in body if key not in ("model", "messages", "tools")] == case.parameters.split()
    assert not set(NEVER) & set(_keys_and_types(body))
    named = [note.what.partition(": ")[2] for note in notes if note.what.startswith(("tools: ", "input: "))]
    assert list(dict.fromkeys(named)) == case.left_out.split()


def test_the_shell_and_patch_calls_of_the_agents_sdk_are_calls_of_functions() -> None:
    messages = convert("agents-py-shell-patch-3", GENERIC).body["messages"]
    functions = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    assert [(function["name"], json.loads(function["arguments"])) for function in functions] == [
        ("shell", {"commands": ["echo hi"], "timeout_ms": 5000, "max_output_length": 2000}),
        ("apply_patch", {"operation": {"type": "create_file", "path": "a.txt", "diff": "+hello\n"}}),
    ]
    assert [message["content"] for message in messages if message["role"] == "tool"] == [
        "Exit code: 0\nOutput:\nshell-out",
        "Status: completed\nCreated a.txt",
    ]


CALLED = {"type": "function_call", "call_id": "call_sc_fn-one_s0_0", "name": "get_weather", "arguments": "{}"}


@pytest.mark.parametrize(
    ("capture", "history", "roles"),
    [
        ("langchain-py-prev-2", [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi!"}], "uau"),
        ("openai-py-previous-2", [{"role": "user", "content": "Weather?"}, CALLED], "uat"),
    ],
)
def test_what_continues_an_earlier_answer_is_converted_behind_it(
    capture: str, history: list[JsonObject], roles: str
) -> None:
    before = read_request(dumps({"input": history}).encode()).items()
    messages = convert(capture, GENERIC, before=before).body["messages"]
    assert "".join(str(message["role"])[0] for message in messages) == roles


def test_every_capture_is_in_the_table() -> None:
    recorded = {path.stem for path in CAPTURES.glob("*.json")}
    assert recorded == {case.capture for case in CASES} | {"langchain-py-prev-2", "openai-py-previous-2"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.capture)
def test_converting_twice_gives_the_same_bytes(case: Case) -> None:
    assert dumps(convert(case.capture, case.profile).body) == dumps(convert(case.capture, case.profile).body)


def test_codex_calls_lead_back_to_its_tools() -> None:
    tools = convert("codex-lite-plain", GENERIC).tools
    for name in CODEX_LITE.split():
        known = tools.resolve(name)
        assert (f"{known.namespace}__{known.name}", known.kind) == (
            name,
            "custom" if known.name == "exec" else "function",
        )
    tools = convert("codex-classic-toolsearch-mcp-2", GENERIC).tools
    kinds = {name: tools.resolve(name).kind for name in ("exec_command", "apply_patch", "tool_search")}
    assert kinds == {"exec_command": "function", "apply_patch": "custom", "tool_search": "tool_search"}
    assert tools.resolve("mcp__demo__add_numbers").namespace == "mcp__demo"


def _keys_and_types(value: Json) -> list[str]:
    """Every key, and every value of a key `type`, outside of JSON schemas, which name what they like."""
    if isinstance(value, list):
        return [found for entry in value for found in _keys_and_types(entry)]
    if not isinstance(value, dict):
        return []
    inner = [found for entry in value.values() for found in _keys_and_types(entry)]
    return [*value, *([str(value["type"])] if "type" in value else []), *inner]
