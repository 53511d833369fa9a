"""Scenarios G: what the provider is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addon.providers.platforms import profile_for
from tests.end_to_end.provider import Behaviour, chunk, completion, sends_json
from tests.end_to_end.scenarios.conftest import (
    Driver,
    Object,
    Outcome,
    call_item,
    piece,
    result_item,
    tells,
    tool,
    user,
)
from tests.translate.valid_history import assert_valid_history

TOOLS = [tool("ls"), tool("cat")]
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def said(text: str) -> Object:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}


def roles(outcome: Outcome) -> list[str]:
    return [message["role"] for message in outcome.history]


def valid(outcome: Outcome) -> Outcome:
    """The history is one that every provider takes."""
    messages: Any = outcome.completed().history
    assert_valid_history(messages, profile_for("generic", model=outcome.sent["model"]))
    return outcome


# --- messages


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("system-any", ["system", "system", "user", "system", "user"], id="any"),
        pytest.param("system-leading", ["system", "system", "user", "user", "user"], id="leading"),
        pytest.param("system-single", ["system", "user", "user", "user"], id="single"),
    ],
)
def test_g1_instructions(ask: Driver, at: str, expected: list[str]) -> None:
    items = [
        {"role": "developer", "content": "Rule two."},
        user("Hi"),
        {"role": "system", "content": "Rule three."},
        user("Go on."),
    ]

    outcome = ask(at=at, instructions="Rule one.", input=items).completed()

    assert roles(outcome) == expected
    everything = json.dumps(outcome.history)
    assert [everything.index(f"Rule {number}.") for number in ("one", "two", "three")] == sorted(
        everything.index(f"Rule {number}.") for number in ("one", "two", "three")
    )


A, B = call_item("call_a", "ls"), call_item("call_b", "cat")
A_DONE, B_DONE = result_item("call_a", "of ls"), result_item("call_b", "of cat")


def results(outcome: Outcome) -> list[tuple[str, str]]:
    """The tool messages: whose they are, and what they say."""
    return [(each["tool_call_id"], each["content"]) for each in outcome.history if each["role"] == "tool"]


def test_g2_a_call_without_output(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, user("Never mind.")]))

    assert results(outcome) == [("call_a", "aborted")]


def test_g2_an_output_without_call(ask: Driver) -> None:
    """It is told in some other way, or left out and noted."""
    outcome = valid(ask(input=[user("Hi"), result_item("call_lost", "of nobody"), user("Go on.")]))

    assert results(outcome) == []
    assert "of nobody" in json.dumps(outcome.history) or "call_lost" in outcome.notes


def test_g2_two_outputs_of_one_call(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, A_DONE, result_item("call_a", "once more"), user("Go on.")]))

    assert [call_id for call_id, _ in results(outcome)] == ["call_a"]


def test_g2_outputs_in_another_order(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, B, B_DONE, A_DONE]))

    assert results(outcome) == [("call_a", "of ls"), ("call_b", "of cat")]


def test_g2_words_between_call_and_output(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, user("Hurry."), A_DONE]))

    assert roles(outcome) == ["user", "assistant", "tool", "user"]
    assert results(outcome) == [("call_a", "of ls")]


def test_g3_parallel_calls(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, B, A_DONE, B_DONE, user("Go on.")]))

    assert roles(outcome) == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in outcome.history[1]["tool_calls"]] == ["call_a", "call_b"]


def test_g3_calls_one_after_the_other(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), A, A_DONE, B, B_DONE]))

    assert roles(outcome) == ["user", "assistant", "tool", "assistant", "tool"]


def thought(text: str) -> Object:
    """A reasoning item as a client has it that keeps no encrypted content."""
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([user("Hi"), thought("T."), said("Hello.")], [("T.", "Hello.")], id="before-a-message"),
        pytest.param([user("Hi"), thought("T."), A, A_DONE], [("T.", None)], id="before-a-call"),
        pytest.param([user("Hi"), thought("T."), said("Hm."), A, A_DONE], [("T.", "Hm.")], id="before-both"),
        pytest.param([user("Hi"), said("Hello."), thought("T.")], [("T.", "Hello.")], id="trailing"),
        pytest.param([user("Hi"), thought("T."), user("Well?"), said("Yes.")], [(None, "Yes.")], id="before-a-user"),
        pytest.param(
            [user("Hi"), thought("One."), A, A_DONE, thought("Two."), said("Hello."), user("Go on.")],
            [("One.", None), ("Two.", "Hello.")],
            id="each-its-own",
        ),
    ],
)
def test_g4_reasoning_items(ask: Driver, items: list[Object], expected: list[tuple[str | None, str | None]]) -> None:
    outcome = ask(at="replays-omit", input=items, tools=TOOLS).completed()

    assistants = [message for message in outcome.history if message["role"] == "assistant"]
    found = [(message.get("reasoning_content"), message.get("content")) for message in assistants]
    trailing = items[-1]["type" if "type" in items[-1] else "role"] == "reasoning"
    assert found == expected or (trailing and found == [(None, "Hello.")]), "trailing reasoning may also be left out"


def test_g5_text_and_calls(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), said("Let me see."), A, B, A_DONE, B_DONE]))

    assert roles(outcome) == ["user", "assistant", "tool", "tool"]
    assert outcome.history[1]["content"] == "Let me see."
    assert len(outcome.history[1]["tool_calls"]) == 2


def test_g5_two_messages_of_the_assistant(ask: Driver) -> None:
    outcome = valid(ask(input=[user("Hi"), said("One."), said("Two."), user("Go on.")]))

    assert roles(outcome) == ["user", "assistant", "user"]
    assert "One." in outcome.history[1]["content"]
    assert "Two." in outcome.history[1]["content"]


# --- tools


@pytest.mark.parametrize(
    "tools",
    [[], [{"type": "web_search"}], [{"type": "file_search", "vector_store_ids": ["vs_1"]}]],
    ids=["none", "web-search", "file-search"],
)
@pytest.mark.parametrize("choice", ["auto", "required", "none"])
def test_g6_no_tools(ask: Driver, choice: str, tools: list[Object]) -> None:
    outcome = ask(tools=tools, tool_choice=choice, parallel_tool_calls=True).completed()

    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(outcome.sent)


CAT = "data:image/png;base64,Y2F0"
PICTURE = [{"type": "input_text", "text": "A picture:"}, {"type": "input_image", "image_url": CAT, "detail": "auto"}]


@pytest.mark.parametrize("form", ["array", "followup_user", "drop"])
def test_g7_an_image_from_a_tool(ask: Driver, form: str) -> None:
    outcome = ask(at=f"media-{form}", input=[user("Hi"), A, result_item("call_a", PICTURE)], tools=TOOLS).completed()

    _, _, result, *after = outcome.history
    assert "A picture:" in json.dumps(result["content"])
    assert ("image_url" in json.dumps(result)) == (form == "array")
    assert [message["role"] for message in after] == (["user"] if form == "followup_user" else [])
    assert (CAT in json.dumps(outcome.history)) == (form != "drop")
    assert ("tool result" in outcome.notes) == (form == "drop")


CUSTOM = {"type": "custom", "name": "run", "description": "Runs code.", "format": {"type": "text"}}
NAMESPACE = {"type": "namespace", "name": "files", "description": "Files.", "tools": [tool("ls")]}
SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}
LOCAL_SHELL = {"type": "local_shell"}


@pytest.mark.parametrize(
    ("declared", "arguments", "expected"),
    [
        pytest.param(
            CUSTOM,
            {"input": "print(1)\n"},
            {"type": "custom_tool_call", "name": "run", "input": "print(1)\n"},
            id="custom",
        ),
        pytest.param(
            NAMESPACE,
            {"path": "a.txt"},
            {"type": "function_call", "name": "ls", "namespace": "files", "arguments": '{"path": "a.txt"}'},
            id="namespace",
        ),
        pytest.param(
            SEARCH,
            {"query": "files"},
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "files"}},
            id="tool-search",
        ),
        pytest.param(
            LOCAL_SHELL,
            {"command": ["ls", "-l"]},
            {"type": "local_shell_call"},
            id="local-shell",
        ),
    ],
)
def test_g8_tools_that_chat_does_not_know(ask: Driver, declared: Object, arguments: Object, expected: Object) -> None:
    def behave(reply: Any) -> None:
        (offered,) = reply.received.body["tools"]
        assert offered["type"] == "function"
        called = piece(id="call_1", name=offered["function"]["name"], arguments=json.dumps(arguments))
        calling(called)(reply)

    outcome = ask(behave, tools=[declared]).completed()

    (item,) = outcome.output
    assert expected.items() <= item.items()
    assert item["call_id"] == "call_1"
    kind = item["type"].removesuffix("_call") + "_call_output"
    done: Object = {"type": kind, "call_id": "call_1", "id": "call_1", "output": "Done."}
    if kind == "tool_search_call_output":
        done = {"type": "tool_search_output", "call_id": "call_1", "execution": "client", "tools": [tool("ls")]}
    again = ask(input=[user("Hi"), item, done], tools=[declared]).completed()
    (call,) = again.history[1]["tool_calls"]
    assert call["function"]["name"] in [each["function"]["name"] for each in again.sent["tools"]]
    assert json.loads(call["function"]["arguments"]).items() >= arguments.items()
    assert [call_id for call_id, _ in results(again)] == [call["id"]]


def calling(called: Object) -> Behaviour:
    return tells(chunk(called), chunk(finish="tool_calls"))


# --- parameters


@pytest.mark.parametrize("level", ["json_schema", "json_object", "prompt"])
def test_g9_a_schema(ask: Driver, level: str) -> None:
    wanted = {"type": "json_schema", "name": "reply", "schema": SCHEMA, "strict": True}

    behaviour = sends_json(completion('{"answer": "42"}'))
    outcome = ask(behaviour, at=f"format-{level}", instructions="Be brief.", text={"format": wanted}).completed()

    form = outcome.sent.get("response_format", {"type": "prompt"})
    assert form["type"] == level
    instructions = outcome.history[0]["content"]
    assert instructions.startswith("Be brief.")
    assert ('"answer"' in instructions) == (level != "json_schema")
    assert ("JSON" in instructions) == (level != "json_schema")
    assert wanted.items() <= outcome.final["text"]["format"].items()


def test_g10_sampling_while_thinking(ask: Driver) -> None:
    wishes: Object = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.5}

    thinking = ask(at="thinker", reasoning={"effort": "high"}, **wishes).completed()
    plain = ask(at="thinker", **wishes).completed()

    assert not {"temperature", "top_p"} & set(thinking.sent)
    assert "temperature" in thinking.notes
    assert {name: plain.sent[name] for name in wishes} == wishes
    assert thinking.sent["presence_penalty"] == 0.5


def test_g10_a_temperature_out_of_bounds(ask: Driver) -> None:
    outcome = ask(at="thinker", temperature=1.5).completed()

    assert outcome.sent["temperature"] == 1
    assert "temperature" in outcome.notes


def test_g10_what_only_chat_has(ask: Driver) -> None:
    """In calls of clients that speak chat/completions themselves."""
    sent = ask.chat(at="thinker", seed=7, stop=list("abcdef"), n=3)

    assert sent["random_seed"] == 7
    assert "seed" not in sent
    assert sent["stop"] == list("abcd")
    assert sent.get("n", 1) == 1


# --- what cannot be sent


@pytest.mark.parametrize(
    "bad", ["half \ud83d of it", "the other \ude00 half", "no\x00thing"], ids=["high", "low", "nul"]
)
def test_g11_what_is_no_text(ask: Driver, bad: str) -> None:
    items = [user(bad), call_item("call_a", "ls", f'{{"path":"{bad}"}}'), result_item("call_a", bad), said(bad)]

    outcome = ask(instructions=bad, input=[*items, user("Go on.")], tools=TOOLS).completed()

    raw = outcome.upstream[0].raw.decode()
    assert "\\u0000" not in raw
    assert "\\ud83d" not in raw.lower()
    assert "\\ude00" not in raw.lower()
    json.dumps(outcome.sent, ensure_ascii=False).encode()


def test_g11_a_pair_of_surrogates_is_kept(ask: Driver) -> None:
    assert ask(input=[user("\U0001f600")]).completed().history[-1]["content"] == "\U0001f600"


def test_g11_a_very_long_output(ask: Driver) -> None:
    output = "a line of a log\n" * 200_000

    outcome = ask(input=[user("Hi"), A, result_item("call_a", output)], tools=TOOLS).completed()

    ((_, told),) = results(outcome)
    assert told == output or len(told) < len(output)
    assert told.startswith("a line of a log\n")


def test_g12_a_previous_response(ask: Driver) -> None:
    outcome = ask(previous_response_id="resp_123").failed("resp_123", "not found")

    assert outcome.status == 400
    assert outcome.error is not None
    assert (outcome.error["param"], outcome.error["code"]) == ("previous_response_id", "previous_response_not_found")
    assert outcome.upstream == []


def test_g12_store(ask: Driver) -> None:
    outcome = ask(store=True).completed()

    assert "store" not in outcome.sent
    assert outcome.response is not None
    assert outcome.response["store"] is True
