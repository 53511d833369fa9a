"""Scenarios D: reasoning, in the answer and in the next request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.provider import Behaviour, chunk, completion, sends_json
from tests.end_to_end.scenarios.conftest import (
    THINKING_STYLES,
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

TOOLS = [tool("ls")]
SEALED: Any = {"include": ["reasoning.encrypted_content"], "store": False, "tools": TOOLS}
"""How a client asks that keeps no state anywhere but with itself."""


def saying(*deltas: Object, finish: str = "stop") -> Behaviour:
    return tells(*map(chunk, deltas), chunk(finish=finish))


def thinks(text: str, field: str = "reasoning_content") -> Object:
    return {field: text}


def says(text: str) -> Object:
    return {"content": text}


CALL = piece(id="call_1", name="ls", arguments="{}")


def without_reasoning(output: list[Object]) -> list[Object]:
    return [item for item in output if item["type"] != "reasoning"]


# --- in the answer


def test_d1_thinking_then_text(ask: Driver) -> None:
    outcome = ask(saying(thinks("Let me "), thinks("see."), says("Hel"), says("lo."))).completed()

    assert (outcome.thoughts, outcome.text) == (["Let me see."], "Hello.")
    items = [
        (each["type"].removeprefix("response."), each["output_index"]) for each in outcome.events if "item" in each
    ]
    assert items == [
        ("output_item.added", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("output_item.done", 1),
    ]
    assert outcome.deltas("response.reasoning_text.delta") == ["Let me ", "see."]


@pytest.mark.parametrize(
    "fields",
    [["reasoning"], ["reasoning_content"], ["reasoning_content", "reasoning"]],
    ids=" and ".join,
)
@pytest.mark.parametrize("form", ["stream", "completion"])
def test_d2_the_field(ask: Driver, form: str, fields: list[str]) -> None:
    deltas = [dict.fromkeys(fields, text) for text in ("Let me ", "see.")]
    whole = sends_json(completion("Hello.", **dict.fromkeys(fields, "Let me see.")))

    outcome = ask(saying(*deltas, says("Hello.")) if form == "stream" else whole).completed()

    assert (outcome.thoughts, outcome.text) == (["Let me see."], "Hello.")


@pytest.mark.parametrize(
    ("said", "thought", "text"),
    [
        pytest.param(["<th", "ink>Let me", " see.</thi", "nk>Hello."], ["Let me see."], "Hello.", id="cut"),
        pytest.param(["Let me see.</think>", "Hello."], None, None, id="only-the-end"),
        pytest.param(["<think>Let me", " see."], ["Let me see."], "", id="unclosed"),
        pytest.param(["Use <think>", "this</think>."], [], "Use <think>this</think>.", id="in-the-text"),
        pytest.param(
            ["<think>Let me see.</think>Use ", "<think>this</think>."],
            ["Let me see."],
            "Use <think>this</think>.",
            id="again-in-the-text",
        ),
    ],
)
def test_d4_tags(ask: Driver, said: list[str], thought: list[str] | None, text: str | None) -> None:
    outcome = ask(saying(*map(says, said))).completed()

    if thought is None:
        # What was streamed cannot be taken back: either way nothing of it is lost, and the answer is there.
        assert outcome.text.endswith("Hello.")
        assert "Let me see." in outcome.text + "".join(outcome.thoughts)
    else:
        assert (outcome.thoughts, outcome.text) == (thought, text)


def test_d7_thinking_after_text(ask: Driver) -> None:
    outcome = ask(saying(thinks("First."), says("Hel"), thinks("Second."), says("lo."))).completed()

    assert outcome.kinds == ["reasoning", "message", "reasoning", "message"]
    assert outcome.thoughts == ["First.", "Second."]


def test_d7_thinking_between_calls(ask: Driver) -> None:
    calls = [piece(number, id=f"call_{number}", name="ls", arguments="{}") for number in range(2)]

    outcome = ask(saying(thinks("First."), calls[0], thinks("Second."), calls[1], finish="tool_calls")).completed()

    assert outcome.kinds == ["reasoning", "function_call", "reasoning", "function_call"]
    assert outcome.thoughts == ["First.", "Second."]


def test_d8_thinking_that_repeats_itself(ask: Driver) -> None:
    outcome = ask(saying(thinks("A"), thinks("AB"), thinks("ABC"), says("Hello.")), at="cumulative").completed()

    assert outcome.thoughts == ["ABC"]
    assert outcome.deltas("response.reasoning_text.delta") == ["A", "B", "C"]


def test_d9_nothing_but_thinking(ask: Driver) -> None:
    outcome = ask(saying(thinks("Let me see."))).completed()

    assert outcome.thoughts == ["Let me see."]


def test_d9_thinking_until_the_limit(ask: Driver) -> None:
    outcome = ask(saying(thinks("Let me"), finish="length")).incomplete()

    assert outcome.thoughts == ["Let me"]


# --- in the next request


def assistant(outcome: Outcome) -> list[Object]:
    return [message for message in outcome.history if message["role"] == "assistant"]


@pytest.mark.parametrize("kept", ["sealed", "open"])
@pytest.mark.parametrize("at", ["replays-omit", "replays-empty", "replays-in-loops", "replays-calls", "deepseek"])
def test_d3_thinking_goes_back_with_its_call(ask: Driver, at: str, kept: str) -> None:
    asking = SEALED if kept == "sealed" else {"tools": TOOLS}
    model = ask.new_model(at)
    outcome = ask.stream(saying(thinks("Let me see."), CALL, finish="tool_calls"), model=model, **asking).completed()

    again = ask.whole(model=model, input=[user("Hi"), *outcome.output, result_item("call_1")], **asking)

    (message,) = assistant(again)
    assert message["reasoning_content"] == "Let me see."
    assert [call["id"] for call in message["tool_calls"]] == ["call_1"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("replays-omit", None, id="omitted"),
        pytest.param("replays-empty", "", id="empty"),
        pytest.param("replays-space", " ", id="space"),
        pytest.param("replays-placeholder", "(reasoning not kept)", id="placeholder"),
        pytest.param("deepseek", " ", id="deepseek"),
    ],
)
def test_d3_thinking_that_was_lost(ask: Driver, at: str, expected: str | None) -> None:
    """Turns that nobody here has seen before: of a call, and of text alone."""
    items = [
        user("Hi"),
        call_item("call_of_another_bridge"),
        result_item("call_of_another_bridge"),
        {"role": "assistant", "content": "One file."},
        user("Which?"),
    ]

    messages = assistant(ask(at=at, input=items, tools=TOOLS))

    assert [message.get("reasoning_content") for message in messages] == [expected] * len(messages)
    assert messages[-1]["content"] == "One file."


def test_d3_thinking_of_text_alone(ask: Driver) -> None:
    """Once a tool was called, all later turns need it at DeepSeek."""
    model = ask.new_model("deepseek")
    past = [user("Hi"), call_item("call_0"), result_item("call_0")]
    outcome = ask.stream(saying(thinks("One."), says("One file.")), model=model, input=past, **SEALED).completed()

    again = ask.whole(model=model, input=[*past, *outcome.output, user("Which?")], **SEALED)

    assert [message["reasoning_content"] for message in assistant(again)][-1] == "One."


def test_d3_never(ask: Driver) -> None:
    model = ask.new_model("dashscope")
    outcome = ask.stream(saying(thinks("Let me see."), CALL, finish="tool_calls"), model=model, **SEALED).completed()

    again = ask.whole(model=model, input=[user("Hi"), *outcome.output, result_item("call_1")], **SEALED)

    assert "reasoning_content" not in assistant(again)[0]
    assert b"Let me see." not in again.upstream[0].raw


FRAGMENTS: list[Object] = [
    {"type": "reasoning.text", "text": "Let me ", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "text": "see. ü", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "EqQB/+==", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
    {"type": "reasoning.encrypted", "data": "AB/+==", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]
MERGED: list[Object] = [
    {
        "type": "reasoning.text",
        "text": "Let me see. ü",
        "format": "anthropic-claude-v1",
        "index": 0,
        "signature": "EqQB/+==",
    },
    {
        "type": "reasoning.encrypted",
        "data": "gAAAAB/+==",
        "id": "rs_1",
        "format": "openai-responses-v1",
        "index": 1,
    },
]


@pytest.mark.parametrize("kept", ["all-items", "no-reasoning"])
def test_d5_reasoning_details(ask: Driver, kept: str) -> None:
    """They come back as they came: by the client who keeps them unread, else from memory."""
    model = ask.new_model("openrouter")
    deltas: list[Object] = [{"reasoning_details": [fragment]} for fragment in FRAGMENTS]
    outcome = ask.stream(saying(*deltas, CALL, finish="tool_calls"), model=model, **SEALED).completed()
    items = outcome.output if kept == "all-items" else without_reasoning(outcome.output)

    again = ask.whole(model=model, input=[user("Hi"), *items, result_item("call_1")], **SEALED)

    (message,) = assistant(again)
    assert json.dumps(message["reasoning_details"]) == json.dumps(MERGED)
    assert [call["id"] for call in message["tool_calls"]] == ["call_1"]


SIGNATURE = {"google": {"thought_signature": "CiQB0e+/Zm9v=="}}


@pytest.mark.parametrize("kept", ["all-items", "no-reasoning"])
def test_d6_thought_signatures(ask: Driver, kept: str) -> None:
    """Only the first of parallel calls has one."""
    model = ask.new_model("gemini")
    calls = [piece(number, id=f"call_{number}", name="ls", arguments="{}") for number in (1, 2)]
    calls[0]["tool_calls"][0]["extra_content"] = SIGNATURE
    outcome = ask.stream(saying(*calls, finish="tool_calls"), model=model, **SEALED).completed()
    items = outcome.output if kept == "all-items" else without_reasoning(outcome.output)

    results = [result_item("call_1"), result_item("call_2")]
    again = ask.whole(model=model, input=[user("Hi"), *items, *results], **SEALED)

    (message,) = assistant(again)
    assert [call.get("extra_content") for call in message["tool_calls"]] == [SIGNATURE, None]


@pytest.mark.parametrize("at", ["deepseek", "openrouter", "generic"])
def test_d10_thinking_of_another_model(ask: Driver, at: str) -> None:
    theirs = saying(thinks("A secret thought."), CALL, finish="tool_calls")
    outcome = ask.stream(theirs, model=ask.new_model("replays-omit"), **SEALED).completed()

    again = ask(at=at, input=[user("Hi"), *outcome.output, result_item("call_1")], **SEALED).completed()

    assert b"secret thought" not in again.upstream[0].raw
    assert "reasoning_details" not in assistant(again)[0]


def test_d10_thinking_that_openai_encrypted(ask: Driver) -> None:
    foreign = {"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "gAAAAABo-secret-thought"}

    again = ask(at="deepseek", input=[user("Hi"), foreign, call_item("call_0"), result_item("call_0")], **SEALED)

    assert b"secret-thought" not in again.completed().upstream[0].raw


SWITCHES = frozenset(
    {
        "reasoning_effort",
        "thinking",
        "enable_thinking",
        "thinking_budget",
        "reasoning",
        "chat_template_kwargs",
        "reasoning_split",
        "prompt_mode",
    }
)
LOWEST, HIGHEST = {"reasoning_effort": "low"}, {"reasoning_effort": "high"}
EFFORTS: dict[str, tuple[Object, Object]] = {
    "none": ({}, {}),
    "effort": (LOWEST, HIGHEST),
    "thinking_type": ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}, **HIGHEST}),
    "enable_thinking": ({"enable_thinking": False}, {"enable_thinking": True}),
    "reasoning_obj": ({"reasoning": {"enabled": False}}, {"reasoning": {"effort": "high"}}),
    "template_kwargs": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"chat_template_kwargs": {"enable_thinking": True}},
    ),
    "reasoning_split": ({"reasoning_split": True}, {"reasoning_split": True}),
    "prompt_mode": ({}, {"prompt_mode": "reasoning"}),
}
"""What a server that knows low, medium and high gets for the efforts none and max, by style."""


@pytest.mark.parametrize("style", THINKING_STYLES)
def test_d11_efforts(ask: Driver, style: str) -> None:
    for effort, expected in zip(("none", "max"), EFFORTS[style], strict=True):
        sent = ask(at=f"style-{style}", reasoning={"effort": effort}).completed().sent

        assert {name: value for name, value in sent.items() if name in SWITCHES} == expected


@pytest.mark.parametrize("style", THINKING_STYLES)
def test_d11_an_unknown_effort(ask: Driver, style: str) -> None:
    """The nearest that is known, or nothing; never the unknown word."""
    sent = ask(at=f"style-{style}", reasoning={"effort": "turbo"}).completed().upstream[0]

    assert b"turbo" not in sent.raw
    assert sent.body.get("reasoning_effort") in (None, "low", "medium", "high")
