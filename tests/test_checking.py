"""Inputs that do not fit their grammar and answers that do not fit their schema go back to the model once, unheard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from addon.actions import Answer
from addon.exchange import Exchange, ResponsesExchange
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


REPLAYING = "overrides: {replay: always, replay_scope: all_turns}"


@pytest.mark.parametrize("include", [[], ["reasoning.encrypted_content"]], ids=["not asked for", "asked for"])
def test_the_model_gets_its_thoughts_back(tmp_path: Path, include: list[str]) -> None:
    config = (CHECKED + "check_schemas: true\n").replace("api_key:", f"{REPLAYING}, api_key:")
    body = {"model": "gpt-5", "input": "How many?", "tools": TOOLS, "text": {"format": FORM}, "include": include}
    for answer in (calling(("count", given("seven"))), saying(WRONG)):
        thoughtful = answer.replace(b'"role": "assistant"', b'"role": "assistant", "reasoning_content": "Seven?"')
        exchange = plan(service(tmp_path, config), body)
        exchange.begin()
        messages = sent(told(exchange, thoughtful))["messages"]
        assert isinstance(messages, list)
        assert messages[-2]["reasoning_content"] == "Seven?"


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


# --- answers that are to fit a schema ---------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
FORM = {"type": "json_schema", "name": "counted", "schema": SCHEMA}
SCHEMAS = CONFIG + "check_schemas: true\n"
BOTH = CHECKED + "check_schemas: true\n"
GOOD, WRONG = '{"count":7}', '{"count":"seven"}'
FENCED = f"Here you are:\n```json\n{GOOD}\n```"


def saying(text: str | None, finish: str = "stop", **more: object) -> bytes:
    choice = {"message": {"role": "assistant", "content": text, **more}, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


def streaming(*pieces: str) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def formed(tmp_path: Path, config: str = SCHEMAS, form: object = FORM, stream: bool = True) -> Exchange:
    body = {"model": "gpt-5", "input": "How many?", "stream": stream, "tools": TOOLS, "text": {"format": form}}
    return plan(service(tmp_path, config), body)


def text_of(events: list[dict[str, object]]) -> str:
    completed = events[-1]["response"]
    assert isinstance(completed, dict)
    assert completed["status"] == "completed"
    (message,) = completed["output"]
    return str(message["content"][0]["text"])


@pytest.mark.parametrize(
    ("config", "form"),
    [(CONFIG, FORM), (CHECKED.replace("check_grammars: true", "check_grammars: false"), FORM), (SCHEMAS, None)],
    ids=["no option", "option off", "no form"],
)
def test_nothing_is_held_that_is_not_checked(tmp_path: Path, config: str, form: object) -> None:
    assert isinstance(formed(tmp_path, config, form), ResponsesExchange)


@pytest.mark.parametrize("config", [SCHEMAS, BOTH], ids=["schemas", "both"])
def test_a_wrong_answer_goes_back_once(tmp_path: Path, config: str) -> None:
    exchange = formed(tmp_path, config)
    before = sent(exchange.begin())["messages"]
    after = sent(told(exchange, saying(WRONG)))["messages"]

    assert isinstance(before, list)
    assert isinstance(after, list)
    assert after[:-2] == before
    assert after[-2] == {"role": "assistant", "content": WRONG}
    assert after[-1]["role"] == "user"
    assert "at $.count: 'seven' is not of type 'integer'" in after[-1]["content"]
    assert text_of(events_of(told(exchange, saying(GOOD)))) == GOOD


def test_a_second_wrong_answer_is_the_clients_to_judge(tmp_path: Path) -> None:
    exchange = formed(tmp_path)
    exchange.begin()
    told(exchange, saying(WRONG))
    assert text_of(events_of(told(exchange, saying(FENCED)))) == FENCED
    assert "text.format: an answer that did not fit" in exchange.record.notes.header()


def test_an_empty_answer_goes_back(tmp_path: Path) -> None:
    """DeepSeek answers now and then without text when it is held to JSON."""
    exchange = formed(tmp_path)
    exchange.begin()
    messages = sent(told(exchange, saying("", reasoning_content="Seven?")))["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages[-2:]] == ["assistant", "user"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_good_answer_is_told_as_it_came(tmp_path: Path, stream: bool) -> None:
    exchange = formed(tmp_path, stream=stream)
    exchange.begin()
    actions = told(exchange, streaming('{"count"', ":7}"))
    if stream:
        events = events_of(actions)
        assert [event["delta"] for event in events if event["type"] == "response.output_text.delta"] == [
            '{"count"',
            ":7}",
        ]
    else:
        (whole,) = actions
        assert isinstance(whole, Answer)
        assert json.loads(whole.body)["output"][0]["content"][0]["text"] == GOOD


@pytest.mark.parametrize("body", [saying(FENCED), streaming(*FENCED)], ids=["whole", "pieces"])
def test_a_document_is_taken_out_of_its_fence(tmp_path: Path, body: bytes) -> None:
    exchange = formed(tmp_path)
    exchange.begin()
    assert text_of(events_of(told(exchange, body))) == GOOD
    assert exchange.over
    assert "text.format: the JSON was taken out" in exchange.record.notes.header()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(saying("{", finish="length"), id="cut off"),
        pytest.param(saying(None, refusal="No."), id="refusal"),
        pytest.param(calling(("ls", "{}")), id="calls"),
        pytest.param(saying("{", finish="content_filter"), id="filtered"),
    ],
)
def test_what_is_no_answer_in_the_form_is_not_checked(tmp_path: Path, body: bytes) -> None:
    exchange = formed(tmp_path)
    exchange.begin()
    told(exchange, body)
    assert exchange.over


def test_both_checks_can_be_on(tmp_path: Path) -> None:
    exchange = formed(tmp_path, BOTH)
    exchange.begin()
    messages = sent(told(exchange, calling(("count", given("seven")))))["messages"]
    assert isinstance(messages, list)
    assert messages[-1]["role"] == "tool"
