"""Custom tool inputs that do not fit their grammar go back to the model once, and the client hears nothing of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from addon.exchange import Answer, Exchange, ResponsesExchange
from addon.preceding import PrecededExchange
from tests.test_calls import events_of, plan, sent, told
from tests.test_service import CONFIG, service

NUMBER = {"type": "grammar", "syntax": "regex", "definition": r"\d+"}
TOOLS = [
    {"type": "custom", "name": "count", "format": NUMBER},
    {
        "type": "namespace",
        "name": "math",
        "description": "m",
        "tools": [{"type": "custom", "name": "add", "format": NUMBER}],
    },
    {"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}},
]
CHECKED = CONFIG + "check_grammars: true\n"


def calling(*calls: tuple[str, str]) -> bytes:
    tool_calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": "Let me see.", "tool_calls": tool_calls}
    return json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()


def given(text: str) -> str:
    return json.dumps({"input": text})


def asked(tmp_path: Path, config: str = CHECKED, stream: bool = True) -> Exchange:
    body = {"model": "gpt-5", "input": "How many?", "stream": stream, "tools": TOOLS}
    return plan(service(tmp_path, config), body)


def test_without_the_option_nothing_is_held(tmp_path: Path) -> None:
    assert isinstance(asked(tmp_path, CONFIG), ResponsesExchange)


@pytest.mark.parametrize("name", ["count", "math__add"])
def test_a_wrong_input_goes_back_once(tmp_path: Path, name: str) -> None:
    exchange = asked(tmp_path)
    assert isinstance(exchange, PrecededExchange)
    first = sent(exchange.begin())
    second = sent(told(exchange, calling((name, given("seven")), ("ls", "{}"))))
    before, after = first["messages"], second["messages"]
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert after[: len(before)] == before
    assistant, *results = after[len(before) :]
    assert [call["function"]["name"] for call in assistant["tool_calls"]] == [name, "ls"]
    assert [result["tool_call_id"] for result in results] == ["c0", "c1"]
    assert "does not match" in results[0]["content"]
    assert "Not run" in results[1]["content"]
    events = events_of(told(exchange, calling((name, given("7")))))
    completed = events[-1]["response"]
    assert isinstance(completed, dict)
    assert [item["type"] for item in completed["output"]] == ["message", "custom_tool_call"]
    assert completed["output"][1]["input"] == "7"


def test_a_second_wrong_input_is_the_clients_to_judge(tmp_path: Path) -> None:
    exchange = asked(tmp_path)
    exchange.begin()
    told(exchange, calling(("count", given("seven"))))
    events = events_of(told(exchange, calling(("count", given("eight")))))
    assert '"input": "eight"' in json.dumps(events[-1])


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_fitting_input_is_told_without_another_call(tmp_path: Path, stream: bool) -> None:
    exchange = asked(tmp_path, stream=stream)
    exchange.begin()
    actions = told(exchange, calling(("count", given("7"))))
    assert exchange.over
    if stream:
        assert events_of(actions)[-1]["type"] == "response.completed"
    else:
        (whole,) = actions
        assert isinstance(whole, Answer)
        assert json.loads(whole.body)["output"][1]["input"] == "7"


def test_an_error_is_told_as_ever(tmp_path: Path) -> None:
    exchange = asked(tmp_path)
    exchange.begin()
    (whole,) = told(exchange, b'{"error":{"message":"slow down"}}', status=429)
    assert isinstance(whole, Answer)
    assert whole.status == 429
