"""Compaction: the model writes a summary, the client keeps it, and a later request is read with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from addon.actions import Action, Answer, Attempt, Data, End, Head
from addon.compacting import SummaryExchange
from addon.exchange import Exchange, ResponsesExchange
from addon.preceding import PrecededExchange
from addon.service import Service
from addon.translate.compaction import SUMMARY_PROMPT
from addon.wire.sse import SSEParser
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.test_service import CONFIG, call, service

TRIGGER = {"type": "compaction_trigger"}
PAST = [
    {"role": "user", "content": "Count the files."},
    {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "a.txt " * 200},
    {"role": "user", "content": "And now?"},
]
TOOLS = [{"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}}]


def answer(text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 520}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def request(stream: bool = True, **more: object) -> dict[str, object]:
    return {"model": "gpt-5", "stream": stream, "input": [*PAST, TRIGGER], "tools": TOOLS, **more}


def sent(actions: Sequence[Action]) -> dict[str, object]:
    (attempt,) = actions
    assert isinstance(attempt, Attempt)
    body = json.loads(attempt.body)
    assert isinstance(body, dict)
    return body


def told(exchange: Exchange, body: bytes, status: int = 200) -> list[Action]:
    return [*exchange.upstream_head(status, {}), *exchange.upstream_data(body), *exchange.upstream_end()]


def events_of(actions: Sequence[Action]) -> list[dict[str, object]]:
    assert isinstance(actions[0], Head)
    assert isinstance(actions[-1], End)
    parser = SSEParser()
    data = b"".join(action.data for action in actions if isinstance(action, Data))
    events = [json.loads(event.data) for event in parser.feed(data)]
    check_stream(events)
    for event in events:
        validate_event(event)
    return events


def plan(bridge: Service, body: object, path: str = "/v1/responses") -> Exchange:
    exchange = bridge.plan(call(path=path, body=body))
    assert isinstance(exchange, Exchange), exchange
    return exchange


def test_a_trigger_is_answered_with_exactly_one_compaction_item(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path), request())
    assert isinstance(exchange, SummaryExchange)
    body = sent(exchange.begin())
    messages = body["messages"]
    assert isinstance(messages, list)
    assert messages[-1]["role"] == "user"
    assert messages[-1]["content"].endswith(SUMMARY_PROMPT)
    assert body["tools"], "the history calls them, and the provider's cache knows them"
    events = events_of(told(exchange, answer("We counted the files.")))
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
        "response.completed",
    ]
    completed = events[-1]["response"]
    assert isinstance(completed, dict)
    assert [item["type"] for item in completed["output"]] == ["compaction"]
    assert completed["usage"]["total_tokens"] == 520
    assert "We counted" not in json.dumps(completed), "the client carries it, and has no need to read it"


def compaction_item(bridge: Service, text: str = "We counted the files.") -> dict[str, object]:
    exchange = plan(bridge, request(stream=False))
    exchange.begin()
    (whole,) = told(exchange, answer(text))
    assert isinstance(whole, Answer)
    response = json.loads(whole.body)
    validate_response(response)
    item = response["output"][0]
    assert isinstance(item, dict)
    return item


def test_the_summary_stands_in_later_requests_for_what_it_sums_up(tmp_path: Path) -> None:
    bridge = service(tmp_path)
    item = compaction_item(bridge)
    items = [{"role": "user", "content": "Count the files."}, item, {"role": "user", "content": "Go on."}]
    body = sent(plan(bridge, {"model": "gpt-5", "input": items}).begin())
    texts = [message["content"] for message in body["messages"]]  # type: ignore[attr-defined]
    assert texts[0] == "Count the files."
    assert "We counted the files." in texts[1]
    assert texts[2] == "Go on."


def test_it_can_be_read_after_a_restart(tmp_path: Path) -> None:
    item = compaction_item(service(tmp_path))
    body = sent(plan(service(tmp_path), {"model": "gpt-5", "input": [item]}).begin())
    assert "We counted the files." in json.dumps(body)


@pytest.mark.parametrize("content", ["gAAAAABforeign", "rc1.AAAA", ""])
def test_a_summary_made_elsewhere_is_left_out_and_noted(tmp_path: Path, content: str) -> None:
    items = [{"type": "compaction", "encrypted_content": content}, {"role": "user", "content": "Go on."}]
    exchange = plan(service(tmp_path), {"model": "gpt-5", "input": items})
    body = sent(exchange.begin())
    assert [message["content"] for message in body["messages"]] == ["Go on."]  # type: ignore[attr-defined]
    assert any(note.what == "input: compaction" for note in exchange.record.notes)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_model_that_writes_nothing_has_failed(tmp_path: Path, text: str) -> None:
    exchange = plan(service(tmp_path), request())
    exchange.begin()
    (whole,) = told(exchange, answer(text))
    assert isinstance(whole, Answer)
    assert whole.status == 502
    assert "wrote no summary" in json.loads(whole.body)["error"]["message"]


def test_an_error_of_the_provider_is_told(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path), request())
    exchange.begin()
    (whole,) = told(exchange, b'{"error":{"message":"slow down"}}', status=429)
    assert isinstance(whole, Answer)
    assert whole.status == 429


def test_the_summary_can_be_written_by_another_model(tmp_path: Path) -> None:
    body = sent(plan(service(tmp_path, CONFIG + "compaction: {model: fast}\n"), request()).begin())
    assert body["model"] == "acme-mini"


def test_compact_gives_the_kept_messages_and_the_summary(tmp_path: Path) -> None:
    bridge = service(tmp_path)
    exchange = plan(bridge, {"model": "gpt-5", "input": PAST}, "/v1/responses/compact")
    exchange.begin()
    (whole,) = told(exchange, answer("We counted the files."))
    assert isinstance(whole, Answer)
    compacted = json.loads(whole.body)
    assert compacted["object"] == "response.compaction"
    assert [item["type"] for item in compacted["output"]] == ["message", "message", "compaction"]
    assert compacted["output"][1]["content"] == [{"type": "input_text", "text": "And now?"}]
    body = sent(plan(bridge, {"model": "gpt-5", "input": compacted["output"]}).begin())
    assert len(body["messages"]) == 3  # type: ignore[arg-type]
    assert "We counted the files." in json.dumps(body)


def managed(threshold: int) -> dict[str, object]:
    edits = [{"type": "compaction", "compact_threshold": threshold}]
    return {"model": "gpt-5", "stream": True, "input": PAST, "tools": TOOLS, "context_management": edits}


def test_beyond_the_clients_threshold_the_conversation_is_summarised_first(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path), managed(100))
    assert isinstance(exchange, PrecededExchange)
    exchange.begin()
    second = sent(told(exchange, answer("We counted the files.")))
    texts = [message["content"] for message in second["messages"]]  # type: ignore[attr-defined]
    assert texts[:2] == ["Count the files.", "And now?"]
    assert "We counted the files." in texts[2]
    assert len(texts) == 3, "what was summed up is not told again"
    events = events_of(told(exchange, answer("200 files.")))
    completed = events[-1]["response"]
    assert isinstance(completed, dict)
    assert [item["type"] for item in completed["output"]] == ["compaction", "message"]
    assert exchange.over


def test_below_the_threshold_nothing_is_summarised(tmp_path: Path) -> None:
    assert isinstance(plan(service(tmp_path), managed(100_000)), ResponsesExchange)


def test_a_failed_summary_leaves_the_call_as_it_was(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path), managed(100))
    exchange.begin()
    second = sent(told(exchange, b"{}", status=500))
    assert len(second["messages"]) == 4  # type: ignore[arg-type]
    events = events_of(told(exchange, answer("200 files.")))
    assert events[-1]["type"] == "response.completed"
