"""Codex CLI, unmodified, through mitmdump to a provider that knows only chat/completions.

The provider says what the script tells it; Codex does the rest for real: it runs the commands, writes the files, and
sends the results back with the whole history each turn.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from addon.translate.compaction import SUMMARY_PROMPT
from tests.end_to_end.codex import Codex
from tests.end_to_end.conftest import StartBridge
from tests.end_to_end.npm import program
from tests.end_to_end.process import PROVIDER_KEY
from tests.end_to_end.provider import (
    Behaviour,
    Provider,
    answers,
    call_chunks,
    calls_tools,
    chunk,
    event,
    fails,
    says,
    streams_then_cuts,
    text_chunks,
    usage,
)

pytestmark = pytest.mark.clients

CLASSIC = "gpt-5.5"
"""Codex sends it a list of tools, some of them namespaces and free-text tools, and calls them one by one."""
CODE_MODE = "gpt-6.1-sol"
"""Codex's default. Its tools come as an input item; nearly all hide behind one that runs JavaScript."""
UNKNOWN = "qwen3-max"
"""A name that is not in Codex's catalogue."""


class InstallCodex(Protocol):
    def __call__(self, profile: str = "generic") -> Codex: ...


@pytest.fixture(scope="session")
def codex_program() -> Path:
    return program("codex")


@pytest.fixture
def install_codex(
    codex_program: Path, start_bridge: StartBridge, provider: Provider, model: str, tmp_path: Path
) -> InstallCodex:
    """Codex in an empty workspace, behind a bridge of its own."""

    def install(profile: str = "generic") -> Codex:
        connection = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}, profile: {profile}"
        served = f"{model}/"
        bridge = start_bridge(f"providers: {{test: {{{connection}}}}}\nmodels: {{'*': 'test/{served}{{model}}'}}\n")
        folder = tmp_path / "codex"
        return Codex.installed(codex_program, bridge, provider, served=served, profile=profile, folder=folder)

    return install


@pytest.fixture
def codex(install_codex: InstallCodex) -> Codex:
    return install_codex()


def scripted(codex: Codex, model: str, *behaviours: Behaviour) -> None:
    codex.provider.script(codex.served + model, *behaviours)


def call(call_id: str, name: str, **arguments: object) -> tuple[str, str, str]:
    """A call of a tool, as the provider's model makes it."""
    return call_id, name, json.dumps(arguments, ensure_ascii=False)


def results(history: list[dict[str, Any]]) -> dict[str, str]:
    """What came of each call of a history."""
    return {message["tool_call_id"]: message["content"] for message in history if message["role"] == "tool"}


# --- tools


def test_runs_shell_commands_over_several_turns(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        calls_tools(call("call_1", "exec_command", cmd="echo one > count.txt && cat count.txt")),
        calls_tools(call("call_2", "exec_command", cmd="echo two >> count.txt && wc -l < count.txt; exit 3")),
        says("Both lines", " are there."),
    )

    run = codex.exec("-m", CLASSIC, "Count to two.")

    assert (run.exit_code, run.message) == (0, "Both lines are there.\n")
    assert (codex.workspace / "count.txt").read_text() == "one\ntwo\n"
    first, second, third = codex.messages(CLASSIC)
    assert first[-1] == {"role": "user", "content": "Count to two."}
    assert "exited with code 0" in results(second)["call_1"]
    assert results(second)["call_1"].endswith("Output:\none\n")
    assert "exited with code 3" in results(third)["call_2"]
    assert results(third)["call_2"].endswith("Output:\n2\n")
    codex.assert_at_ease()


def test_takes_the_refusal_of_its_websocket_without_delay(codex: Codex) -> None:
    scripted(codex, CLASSIC, says("Hello."))

    run = codex.exec("-m", CLASSIC, "Hi")

    assert run.message == "Hello.\n"
    assert "Reconnecting" not in run.progress
    assert "Falling back" not in run.progress
    codex.assert_at_ease()


PATCHED = 'Grüße, "Welt" \\n\n\tein Tab\n\n*** kein Patch\n日本\n'


def test_writes_a_file_with_a_free_text_tool(codex: Codex) -> None:
    patch = "".join(f"+{line}\n" for line in PATCHED.splitlines())
    patch = f"*** Begin Patch\n*** Add File: notes/hello.txt\n{patch}*** End Patch\n"
    scripted(codex, CLASSIC, calls_tools(call("call_1", "apply_patch", input=patch)), says("Written."))

    run = codex.exec("-m", CLASSIC, "Write.")

    assert (run.exit_code, run.message) == (0, "Written.\n")
    assert (codex.workspace / "notes" / "hello.txt").read_bytes() == PATCHED.encode()
    _, second = codex.messages(CLASSIC)
    (replayed,) = second[-2]["tool_calls"]
    assert json.loads(replayed["function"]["arguments"]) == {"input": patch}
    assert "Success" in results(second)["call_1"]
    codex.assert_at_ease()


def test_parallel_calls_of_one_turn_are_all_run(codex: Codex) -> None:
    patch = "*** Begin Patch\n*** Add File: c.txt\n+c\n*** End Patch\n"
    scripted(
        codex,
        CLASSIC,
        calls_tools(
            call("call_1", "exec_command", cmd="echo a > a.txt; echo result-a"),
            call("call_2", "exec_command", cmd="echo b > b.txt; echo result-b"),
            call("call_3", "apply_patch", input=patch),
        ),
        says("All three."),
    )

    run = codex.exec("-m", CLASSIC, "Write three files.")

    assert (run.exit_code, run.message) == (0, "All three.\n")
    assert sorted(file.name for file in codex.workspace.iterdir()) == ["a.txt", "b.txt", "c.txt"]
    _, second = codex.messages(CLASSIC)
    found = results(second)
    assert list(found) == ["call_1", "call_2", "call_3"]
    assert "result-a" in found["call_1"]
    assert "result-b" in found["call_2"]
    codex.assert_at_ease()


def test_runs_code_mode_of_the_default_model(codex: Codex) -> None:
    code = 'const run = await tools.exec_command({cmd: "echo from-js | tee js.txt"});\ntext(run.output);\n'
    scripted(codex, CODE_MODE, calls_tools(call("call_1", "functions__exec", input=code)), says("Done in JavaScript."))

    run = codex.exec("Use code mode.")

    assert (run.exit_code, run.message) == (0, "Done in JavaScript.\n")
    assert (codex.workspace / "js.txt").read_text() == "from-js\n"
    _, second = codex.messages(CODE_MODE)
    (replayed,) = second[-2]["tool_calls"]
    assert replayed["function"]["name"] == "functions__exec"
    assert json.loads(replayed["function"]["arguments"]) == {"input": code}
    assert "from-js" in results(second)["call_1"]
    codex.assert_at_ease()


def test_several_outputs_of_one_call_become_one_result(codex: Codex) -> None:
    """`notify` sends an output of its own, for the same call, ahead of the last one."""
    code = 'notify("under way");\ntext("finished");\n'
    scripted(codex, CODE_MODE, calls_tools(call("call_1", "functions__exec", input=code)), says("Seen."))

    run = codex.exec("Notify me.")

    assert (run.exit_code, run.message) == (0, "Seen.\n")
    _, second = codex.messages(CODE_MODE)
    result = results(second)["call_1"]
    assert "under way" in result
    assert "finished" in result
    codex.assert_at_ease()


def test_namespaced_tools_of_a_model_codex_does_not_know(codex: Codex) -> None:
    scripted(
        codex,
        UNKNOWN,
        calls_tools(call("call_1", "multi_agent_v1__close_agent", target="nobody")),
        calls_tools(call("call_2", "exec_command", cmd="echo fallback")),
        says("Nobody there."),
    )

    run = codex.exec("-m", UNKNOWN, "Close the agent.")

    assert (run.exit_code, run.message) == (0, "Nobody there.\n")
    *_, last = codex.messages(UNKNOWN)
    assert "invalid agent id nobody" in results(last)["call_1"]  # from the tool, so Codex has found it
    assert "fallback" in results(last)["call_2"]
    codex.assert_at_ease()


def test_tools_found_by_a_search_can_be_called(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        calls_tools(call("call_1", "tool_search", query="spawn agent", limit=5)),
        calls_tools(call("call_2", "multi_agent_v1__close_agent", target="nobody")),
        says("Found and called."),
    )

    run = codex.exec("-m", CLASSIC, "Look for tools.")

    assert (run.exit_code, run.message) == (0, "Found and called.\n")
    first, second, third = (names_of_tools(turn.body) for turn in codex.turns(CLASSIC))
    assert "multi_agent_v1__close_agent" not in first
    assert "multi_agent_v1__close_agent" in second
    assert third == second
    *_, last = codex.messages(CLASSIC)
    assert "multi_agent_v1__close_agent" in results(last)["call_1"]
    assert "invalid agent id nobody" in results(last)["call_2"]
    codex.assert_at_ease()


def names_of_tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body["tools"]]


def test_agents_talk_to_each_other(codex: Codex) -> None:
    task = {"message": "Count.", "task_name": "count", "fork_turns": "none", "model": CLASSIC}
    scripted(
        codex,
        CODE_MODE,
        calls_tools(call("call_1", "collaboration__spawn_agent", **task)),
        calls_tools(call("call_2", "collaboration__wait_agent", timeout_ms=10_000)),
        says("They are seven."),
    )
    scripted(codex, CLASSIC, says("I count seven."))

    run = codex.exec("Let somebody count.")

    assert (run.exit_code, run.message) == (0, "They are seven.\n")
    ((*_, asked),) = codex.messages(CLASSIC)
    assert asked["role"] == "user"
    assert asked["content"].endswith("Count.")
    *_, last = codex.messages(CODE_MODE)
    assert any("I count seven." in message["content"] for message in last if message["role"] == "user")
    codex.assert_at_ease(upgrades=2)  # each agent tries for itself


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_an_image_a_tool_returns_is_shown_to_the_model(codex: Codex) -> None:
    (codex.workspace / "pixel.png").write_bytes(PIXEL)
    path = str(codex.workspace / "pixel.png")
    scripted(codex, CLASSIC, calls_tools(call("call_1", "view_image", path=path)), says("A dot."))

    run = codex.exec("-m", CLASSIC, "Look at it.")

    assert (run.exit_code, run.message) == (0, "A dot.\n")
    _, second = codex.messages(CLASSIC)
    assert "base64" not in results(second)["call_1"]
    assert second[-1]["role"] == "user"
    (image,) = (part["image_url"] for part in second[-1]["content"] if part["type"] == "image_url")
    assert image["url"].startswith("data:image/png;base64,")
    codex.assert_at_ease()


def test_calls_that_cannot_be_run_are_told_to_the_model(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        calls_tools(("call_1", "exec_command", "{cmd: 'echo no JSON'}")),
        calls_tools(call("call_2", "no_such_tool", x=1)),
        says("I give up."),
    )

    run = codex.exec("-m", CLASSIC, "Stumble.")

    assert (run.exit_code, run.message) == (0, "I give up.\n")
    *_, last = codex.messages(CLASSIC)
    assert "failed to parse function arguments" in results(last)["call_1"]
    assert "unsupported call: no_such_tool" in results(last)["call_2"]
    codex.assert_at_ease()


def test_half_a_call_is_not_run(codex: Codex) -> None:
    scripted(codex, CLASSIC, calls_tools(("call_1", "exec_command", '{"cmd": "touch half-a-na')))

    run = codex.exec("-m", CLASSIC, "Touch.")

    assert run.exit_code == 1
    assert "Incomplete response returned, reason: max_output_tokens" in run.progress
    assert list(codex.workspace.iterdir()) == []
    assert len(codex.turns(CLASSIC)) == 1
    codex.assert_at_ease()


# --- what is said besides


def test_reasoning_goes_back_to_the_model_that_thought_it(install_codex: InstallCodex) -> None:
    """DeepSeek refuses a history in which the reasoning behind a call is missing."""
    codex = install_codex(profile="deepseek")
    thoughts = ["First I look.\n\n", "Ünd then 考える."]
    thinking = [chunk({"role": "assistant", "reasoning_content": text}) for text in thoughts]
    scripted(
        codex,
        CLASSIC,
        answers(*thinking, *call_chunks(call("call_1", "exec_command", cmd="echo looked"))),
        answers(chunk({"reasoning_content": "Enough."}), *text_chunks("Seen.")),
    )

    run = codex.exec("-m", CLASSIC, "Look.")

    assert (run.exit_code, run.message) == (0, "Seen.\n")
    _, second = codex.messages(CLASSIC)
    (said,) = (message for message in second if message["role"] == "assistant")
    assert said["reasoning_content"] == "".join(thoughts)
    assert said["tool_calls"][0]["id"] == "call_1"
    codex.assert_at_ease()


def test_a_resumed_session_goes_on_where_it_ended(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        calls_tools(call("call_1", "exec_command", cmd="echo remembered")),
        says("First answer."),
        says("Second answer."),
    )

    assert codex.exec("-m", CLASSIC, "First question.").message == "First answer.\n"
    run = codex.exec("-m", CLASSIC, "resume", "--last", "Second question.")

    assert (run.exit_code, run.message) == (0, "Second answer.\n")
    *_, last = codex.messages(CLASSIC)
    assert last[-2:] == [
        {"role": "assistant", "content": "First answer."},
        {"role": "user", "content": "Second question."},
    ]
    assert "remembered" in results(last)["call_1"]
    codex.assert_at_ease(upgrades=2)  # one for each process


def test_the_final_message_can_be_held_to_a_schema(install_codex: InstallCodex) -> None:
    codex = install_codex(profile="vllm")
    schema = {
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "required": ["total"],
        "additionalProperties": False,
    }
    (codex.workspace / "schema.json").write_text(json.dumps(schema))
    scripted(codex, CLASSIC, says('{"total": 7}'))

    run = codex.exec("-m", CLASSIC, "--output-schema", "schema.json", "Count.")

    assert (run.exit_code, run.message) == (0, '{"total": 7}\n')
    (turn,) = codex.turns(CLASSIC)
    assert turn.body["response_format"]["type"] == "json_schema"
    assert turn.body["response_format"]["json_schema"]["schema"] == schema
    codex.assert_at_ease()


# --- long sessions

SUMMARY = "Goal: three files.\nDone: a.txt holds “a”. Grüße, 考える.\nNext: patch a.txt, then write b.txt and c.txt."
PATCH = "*** Begin Patch\n*** Update File: a.txt\n@@\n-a\n+Ä, patched \\n\t\n*** End Patch\n"
WRITTEN = {"a.txt": "Ä, patched \\n\t\n".encode(), "b.txt": b"b\n", "c.txt": b"c\n"}
LIMITED = ("-c", "model_auto_compact_token_limit=50000")
BEYOND = 60_000


def counting(prompt: int, chunks: list[dict[str, Any]]) -> Behaviour:
    """`answers` that says so many tokens were in the prompt."""
    *said, last = chunks
    return answers(*said, {**last, "usage": usage(prompt)})


def files(codex: Codex) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in codex.workspace.iterdir()}


def assert_compacted(before: list[dict[str, Any]], after: list[dict[str, Any]], task: str) -> None:
    """What was done is told by the summary alone; the instructions and what the user has said are still there."""
    assert not [message for message in after if message["role"] in ("assistant", "tool")]
    assert after[-2] == {"role": "user", "content": task}
    assert after[-1]["role"] == "user"
    assert SUMMARY in after[-1]["content"]
    assert json.dumps(after).count("Goal: three files.") == 1
    assert {message["role"] for message in before[:2]} == {message["role"] for message in after[:2]}


def test_survives_a_compaction_in_the_middle(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        calls_tools(call("call_1", "exec_command", cmd="echo a > a.txt")),
        counting(BEYOND, call_chunks(call("call_2", "exec_command", cmd="cat a.txt"))),
        says(SUMMARY),
        calls_tools(call("call_1", "apply_patch", input=PATCH)),
        calls_tools(
            call("call_3", "exec_command", cmd="echo b > b.txt; echo result-b"),
            call("call_4", "exec_command", cmd="echo c > c.txt; echo result-c"),
        ),
        says("All three."),
    )

    run = codex.exec("-m", CLASSIC, *LIMITED, "Write three files.")

    assert (run.exit_code, run.message) == (0, "All three.\n")
    assert files(codex) == WRITTEN
    _, before, asked, after, _, last = codex.messages(CLASSIC, anew={3})
    assert asked[-1]["content"].endswith(SUMMARY_PROMPT)
    assert "call_2" in results(asked)
    assert codex.turns(CLASSIC)[2].body["tool_choice"] == "none"
    assert_compacted(before, after, "Write three files.")
    found = results(last)
    assert list(found) == ["call_1", "call_3", "call_4"]
    assert "result-b" in found["call_3"]
    assert "result-c" in found["call_4"]
    codex.assert_at_ease()


def test_code_mode_survives_a_compaction(codex: Codex) -> None:
    write = 'text((await tools.exec_command({cmd: "echo a | tee a.txt"})).output);\n'
    patch = f"text(JSON.stringify(await tools.apply_patch({json.dumps(PATCH)})));\n"
    both = (
        'const cmds = ["b", "c"].map(name => `echo ${name} > ${name}.txt; echo result-${name}`);\n'
        "const runs = await Promise.all(cmds.map(cmd => tools.exec_command({cmd})));\n"
        "runs.forEach(run => text(run.output));\n"
    )
    scripted(
        codex,
        CODE_MODE,
        counting(BEYOND, call_chunks(call("call_1", "functions__exec", input=write))),
        says(SUMMARY),
        calls_tools(call("call_1", "functions__exec", input=patch)),
        calls_tools(call("call_2", "functions__exec", input=both)),
        says("All three."),
    )

    run = codex.exec(*LIMITED, "Write three files.")

    assert (run.exit_code, run.message) == (0, "All three.\n")
    assert files(codex) == WRITTEN
    before, asked, after, _, last = codex.messages(CODE_MODE, anew={2})
    assert asked[-1]["content"].endswith(SUMMARY_PROMPT)
    assert_compacted(before, after, "Write three files.")
    assert "result-b" in results(last)["call_2"]
    assert "result-c" in results(last)["call_2"]
    assert names_of_tools(codex.turns(CODE_MODE)[-1].body) == names_of_tools(codex.turns(CODE_MODE)[0].body)
    codex.assert_at_ease()


def test_each_compaction_replaces_the_one_before(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        counting(BEYOND, call_chunks(call("call_1", "exec_command", cmd="echo one"))),
        says("The first summary."),
        counting(BEYOND, call_chunks(call("call_1", "exec_command", cmd="echo two"))),
        says("The second summary."),
        says("Enough."),
    )

    run = codex.exec("-m", CLASSIC, *LIMITED, "Go on and on.")

    assert (run.exit_code, run.message) == (0, "Enough.\n")
    *_, asked, last = codex.messages(CLASSIC, anew={2, 4})
    assert "The first summary." in json.dumps(asked)
    assert "The first summary." not in json.dumps(last)
    assert "The second summary." in last[-1]["content"]
    codex.assert_at_ease()


def test_a_summary_outlives_the_bridge(install_codex: InstallCodex, start_bridge: StartBridge) -> None:
    """A session that was compacted is resumed behind another bridge with the same state directory."""
    codex = install_codex()
    scripted(
        codex,
        CLASSIC,
        counting(BEYOND, call_chunks(call("call_1", "exec_command", cmd="echo one"))),
        says(SUMMARY),
        says("First answer."),
        says("Second answer."),
    )

    codex.exec("-m", CLASSIC, *LIMITED, "First question.")
    first = codex.bridge
    config = (first.folder / "bridge.yaml").read_text("utf-8")
    codex.bridge = start_bridge(config, env={"HOME": str(first.folder)})
    run = codex.exec("-m", CLASSIC, "resume", "--last", "Second question.")

    assert (run.exit_code, run.message) == (0, "Second answer.\n")
    *_, last = codex.messages(CLASSIC, anew={2})
    assert SUMMARY in last[-3]["content"]
    assert last[-2:] == [
        {"role": "assistant", "content": "First answer."},
        {"role": "user", "content": "Second question."},
    ]
    codex.assert_at_ease()


def test_a_summary_that_fails_ends_the_run_with_the_reason(codex: Codex) -> None:
    scripted(
        codex,
        CLASSIC,
        counting(BEYOND, call_chunks(call("call_1", "exec_command", cmd="echo one"))),
        fails(400, "no more room for this"),
    )

    run = codex.exec("-m", CLASSIC, *LIMITED, "Write.")

    assert run.exit_code == 1
    assert "no more room for this" in run.progress
    codex.assert_at_ease()


def test_a_session_of_a_hundred_turns(codex: Codex) -> None:
    turns = range(100)
    commands = [calls_tools(call(f"call_{turn}", "exec_command", cmd=f"echo {turn} >> log.txt")) for turn in turns]
    scripted(codex, CLASSIC, *commands, says("A hundred."))

    run = codex.exec("-m", CLASSIC, "Count.")

    assert (run.exit_code, run.message) == (0, "A hundred.\n")
    assert (codex.workspace / "log.txt").read_text() == "".join(f"{turn}\n" for turn in turns)
    *_, last = codex.messages(CLASSIC)
    assert list(results(last)) == [f"call_{turn}" for turn in turns]
    codex.assert_at_ease()


# --- when the provider fails


@dataclass(frozen=True)
class Refusal:
    behaviour: Behaviour
    shown: str
    calls: int = 1
    """How often the provider is asked before Codex ends its run."""


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Refusal(fails(400, "too odd for me"), "too odd for me"), id="bad-request"),
        pytest.param(
            Refusal(fails(400, "This model's maximum context length is 8192 tokens."), "ran out of room"),
            id="context-overflow",
        ),
        pytest.param(Refusal(fails(402, "Insufficient Balance"), "Quota exceeded"), id="no-credit"),
        # Codex takes five more attempts at whatever is neither a 400 nor a 429.
        pytest.param(
            Refusal(fails(401, "no such key"), "refused the key that the bridge has for it", 6), id="wrong-key"
        ),
    ],
)
def test_a_refusal_is_shown(codex: Codex, refusal: Refusal) -> None:
    scripted(codex, CLASSIC, refusal.behaviour)

    run = codex.exec("-m", CLASSIC, "Try.")

    assert run.exit_code == 1
    assert refusal.shown in run.progress
    assert PROVIDER_KEY not in run.progress
    assert len(codex.turns(CLASSIC)) == refusal.calls
    assert ("Reconnecting" in run.progress) == (refusal.calls > 1)
    codex.assert_at_ease()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(fails(429, "slow down", retry_after="1"), id="rate-limit"),
        pytest.param(fails(503, "overloaded"), id="overloaded"),
        pytest.param(streams_then_cuts(event(chunk({"content": "Half an ans"}))), id="cut-in-mid-air"),
    ],
)
def test_trouble_that_passes_is_waited_out(codex: Codex, trouble: Behaviour) -> None:
    scripted(codex, CLASSIC, trouble, says("Patience pays."))

    run = codex.exec("-m", CLASSIC, "Try.")

    assert (run.exit_code, run.message) == (0, "Patience pays.\n")
    assert len(codex.turns(CLASSIC)) == 2
    codex.assert_at_ease()
