"""The Agents SDK, unmodified, in a process of its own with nothing but its environment set."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from addon.providers.platforms import profile_for
from tests.end_to_end.conftest import StartBridge
from tests.end_to_end.original import Original
from tests.end_to_end.process import Bridge, clean_environment
from tests.end_to_end.provider import Provider, calls_tools, fails, says
from tests.translate.valid_history import assert_valid_history

PROGRAMS = Path(__file__).parent / "programs" / "agents_sdk.py"
RUN_TIMEOUT_S = 60.0

PYTHON = "BRIDGE_AGENTS_PYTHON"
"""Names the Python of an environment with openai-agents in it; `.ci/run` makes one."""

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Skips all tests where there is no such environment."""
    if PYTHON not in os.environ:
        pytest.skip(f"{PYTHON} is not set; .ci/run makes the environment that it names")


@dataclass(frozen=True)
class Finished:
    printed: Any
    complaints: str
    """What the program wrote to stderr."""
    exit_code: int


def run(bridge: Bridge, program: str, model: str) -> Finished:
    """A program of `programs/agents_sdk.py`, to its end."""
    command = [os.environ[PYTHON], str(PROGRAMS), program, model]
    done = subprocess.run(
        command,
        env=clean_environment(**bridge.environment),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    printed = json.loads(done.stdout) if done.returncode == 0 else done.stdout
    return Finished(printed, done.stderr, done.returncode)


def printed(bridge: Bridge, program: str, model: str) -> Any:
    """What a program printed that had nothing to complain about."""
    finished = run(bridge, program, model)
    assert (finished.exit_code, finished.complaints) == (0, "")
    return finished.printed


def histories(provider: Provider, model: str) -> list[list[dict[str, Any]]]:
    """The chat history of each call; all are valid."""
    found = [call.body["messages"] for call in provider.calls(model)]
    for history in found:
        assert_valid_history(history, profile_for("generic", model=model))
    return found


def called(name: str, call_id: str = "call_1", /, **arguments: object) -> tuple[str, str, str]:
    return call_id, name, json.dumps(arguments)


def results(history: list[dict[str, Any]]) -> dict[str, str]:
    return {message["tool_call_id"]: message["content"] for message in history if message["role"] == "tool"}


def declared(provider: Provider, model: str) -> list[list[str]]:
    """The names of the tools of each call."""
    return [[tool["function"]["name"] for tool in call.body.get("tools", ())] for call in provider.calls(model)]


def test_function_tools(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(
        model,
        calls_tools(called("weather", "call_1", city="Oslo", days=2)),
        says("Rain."),
        calls_tools(called("weather", "call_2", city="Atlantis", days=1)),
        says("Nobody knows."),
    )

    assert printed(bridge, "tools", model) == ["Rain.", "Nobody knows."]

    *_, last = histories(provider, model)
    assert last[0] == {"role": "system", "content": "Report."}
    found = results(last)
    assert found["call_1"] == "Oslo ☂ 2"
    assert found["call_2"].startswith("An error occurred while running the tool.")
    (tool,) = provider.calls(model)[0].body["tools"]
    assert tool["function"]["description"] == "The weather in a city."
    assert tool["function"]["parameters"]["properties"]["city"]["description"] == "Its name."


def test_a_chain_of_responses(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(called("weather", city="Oslo", days=2)), says("Rain."), says("Bye."))

    assert printed(bridge, "chain", model) == ["Rain.", "Bye."]

    *_, last = histories(provider, model)
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool", "assistant", "user"]


def test_a_session_that_is_a_conversation(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(called("weather", city="Oslo", days=2)), says("Rain."), says("Bye."))

    kept = printed(bridge, "session", model)

    assert kept == ["message", "function_call", "function_call_output", "message", "message", "message"]
    *_, last = histories(provider, model)
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool", "assistant", "user"]


def test_parallel_calls(bridge: Bridge, provider: Provider, model: str) -> None:
    both = [called("meet", "call_1", name="Anna"), called("meet", "call_2", name="Bo")]
    provider.script(model, calls_tools(*both), says("They met."))

    assert printed(bridge, "parallel", model) == "They met."

    first, second = provider.calls(model)
    assert first.body["parallel_tool_calls"] is True
    assert results(second.body["messages"]) == {"call_1": "Anna was there", "call_2": "Bo was there"}
    histories(provider, model)


def test_handoff(bridge: Bridge, provider: Provider, model: str) -> None:
    """The tools of the first agent are gone in the second's call, and its calls stay in the history."""
    provider.script(
        model,
        calls_tools(called("weather", "call_1", city="Madrid", days=1)),
        calls_tools(called("transfer_to_spanish_agent", "call_2")),
        says("¡Hola!"),
    )

    assert printed(bridge, "handoffs", model) == ["Spanish agent", "¡Hola!"]

    assert declared(provider, model) == [["weather", "transfer_to_spanish_agent"]] * 2 + [[]]
    *_, last = histories(provider, model)
    assert last[0] == {"role": "system", "content": "Habla español."}
    assert list(results(last)) == ["call_1", "call_2"]


def test_structured_output(bridge: Bridge, provider: Provider) -> None:
    model = "exact-agents-structured"
    provider.script(model, says('{"name": "Oslo", "country": ', '"Norway", "founded": null}'))

    assert printed(bridge, "structured", model) == {"name": "Oslo", "country": "Norway", "founded": None}

    wanted = provider.call(model).body["response_format"]
    assert wanted["type"] == "json_schema"
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "country", "founded"}


def test_structured_output_of_a_provider_without_schemas(bridge: Bridge, provider: Provider, model: str) -> None:
    """The model is told the schema in words."""
    provider.script(model, says('{"name": "Oslo", "country": "Norway", "founded": 1048}'))

    assert printed(bridge, "structured", model) == {"name": "Oslo", "country": "Norway", "founded": 1048}

    assert "founded" in json.dumps(histories(provider, model))


def test_streaming(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(called("weather", city="Oslo", days=1)), says("Ra", "in ", "☂."))

    assert printed(bridge, "streamed", model) == {
        "deltas": ["Ra", "in ", "☂."],
        "items": ["tool_called", "tool_output", "message_output_created"],
        "final": "Rain ☂.",
        "tokens": 20,
    }

    assert [call.body["stream"] for call in provider.calls(model)] == [True, True]
    histories(provider, model)


def test_local_shell(bridge: Bridge, provider: Provider, model: str) -> None:
    command = ["printf", "%s", "Grüße\n"]
    provider.script(model, calls_tools(called("local_shell", command=command)), says("Said."))

    assert printed(bridge, "local_shell", model) == "Said."

    *_, last = histories(provider, model)
    assert "Grüße" in results(last)["call_1"]
    (replayed,) = (message for message in last if message.get("tool_calls"))
    assert json.loads(replayed["tool_calls"][0]["function"]["arguments"]) == {"command": command}


def test_shell(bridge: Bridge, provider: Provider, model: str) -> None:
    commands = ["echo one", "echo two >&2; exit 3"]
    provider.script(model, calls_tools(called("shell", commands=commands)), says("Said."))

    assert printed(bridge, "shell", model) == "Said."

    *_, last = histories(provider, model)
    result = results(last)["call_1"]
    assert "one" in result
    assert "two" in result
    assert "3" in result
    (replayed,) = (message for message in last if message.get("tool_calls"))
    assert json.loads(replayed["tool_calls"][0]["function"]["arguments"])["commands"] == commands


def test_apply_patch(bridge: Bridge, provider: Provider, model: str) -> None:
    operation = {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+Ä \\n\t\n"}
    provider.script(model, calls_tools(called("apply_patch", operation=operation)), says("Patched."))

    assert printed(bridge, "apply_patch", model) == ["Patched.", [list(operation.values())]]

    *_, last = histories(provider, model)
    assert "changed a.txt" in results(last)["call_1"]


def test_a_refusal_is_an_exception(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, fails(400, "too odd for me"))

    finished = run(bridge, "tools", model)

    assert finished.exit_code == 1
    assert "BadRequestError" in finished.complaints
    assert "too odd for me" in finished.complaints


def test_traces_go_nowhere(start_bridge: StartBridge, original: Original, provider: Provider, model: str) -> None:
    """The SDK uploads what was said and called to the original host when a program ends."""
    bridge = start_bridge()
    provider.script(model, says("Rain."))

    assert printed(bridge, "tools", model) == ["Rain.", "Rain."]

    bridge.logged("POST /v1/traces/ingest -> 204")
    assert original.untouched, original.requests
