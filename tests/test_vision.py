"""A model that takes no images is told what a vision model saw in them: the calls before the call."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from addon.actions import Action, Answer, Attempt
from addon.exchange import Exchange, ResponsesExchange
from addon.preceding import PrecededExchange
from addon.service import Service
from tests.test_calls import TOOLS, TRIGGER, answer, events_of, plan, sent, told
from tests.test_service import call, service

CONFIG = """
providers:
  blind: {base_url: "https://blind.test/v1", api_key: blind-secret-key, overrides: {image_url: none}}
  acme: {base_url: "https://acme.test/v1", api_key: acme-secret-key}
models:
  seer: acme/acme-vl
  open-eyed: acme/acme-large
  "gpt-*": blind/blind-large
"""
VISION = CONFIG + "vision: {model: seer, per_call: 3}\n"
MARKER = "[image omitted: this model takes no images]"


def picture(name: str) -> dict[str, object]:
    return {"type": "input_image", "image_url": f"data:image/png;base64,{name}"}


def shown(*names: str) -> dict[str, object]:
    return {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, *map(picture, names)]}


def tool_result(*names: str, kind: str = "function") -> list[dict[str, object]]:
    called = {"name": "ls", "arguments": "{}"} if kind == "function" else {"name": "ls", "input": "x"}
    prefix = "function" if kind == "function" else "custom_tool"
    return [
        {"type": f"{prefix}_call", "call_id": "c1", **called},
        {"type": f"{prefix}_call_output", "call_id": "c1", "output": [picture(name) for name in names]},
    ]


def request(*items: Mapping[str, object], model: str = "gpt-5", **more: object) -> dict[str, object]:
    return {"model": model, "input": list(items), "tools": TOOLS, "stream": True, **more}


def described(exchange: Exchange, *texts: str) -> dict[str, object]:
    """Answer each call of the vision model with a text; the body of the call itself."""
    actions = exchange.begin()
    for text in texts:
        assert sent(actions)["model"] == "acme-vl"
        actions = told(exchange, answer(text))
    return sent(actions)


def notes(exchange: Exchange) -> list[str]:
    return [str(note) for note in exchange.record.notes]


def test_an_image_is_described_first_and_told_in_words(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path, VISION), request(shown("cat")))
    assert isinstance(exchange, PrecededExchange)
    (attempt,) = exchange.begin()
    assert isinstance(attempt, Attempt)
    asked = json.loads(attempt.body)
    assert attempt.url == "https://acme.test/v1/chat/completions"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"][1]["image_url"] == {"url": "data:image/png;base64,cat"}
    assert "tools" not in asked
    body = sent(told(exchange, answer("A cat.")))
    assert body["model"] == "blind-large"
    content = body["messages"][0]["content"]  # type: ignore[index]
    assert "What is this?" in str(content)
    assert "[image, described by acme-vl: A cat.]" in str(content)
    assert "image_url" not in str(content)
    completed = events_of(told(exchange, answer("It is a cat.")))[-1]
    assert completed["type"] == "response.completed"
    assert completed["response"]["usage"]["total_tokens"] == 520  # type: ignore[index]
    assert exchange.over
    assert notes(exchange) == ["content: input_image: this model takes no images; acme/acme-vl described them"]


@pytest.mark.parametrize("kind", ["function", "custom"])
def test_images_in_results_of_tools_are_described(tmp_path: Path, kind: str) -> None:
    exchange = plan(service(tmp_path, VISION), request(shown("cat"), *tool_result("dog", "cow", kind=kind)))
    body = described(exchange, "A cat.", "A dog.", "A cow.")
    said = json.dumps(body["messages"])
    found = [said.index(f"acme-vl: A {animal}.") for animal in ("cat", "dog", "cow")]
    assert found == sorted(found)
    assert MARKER not in said


def test_the_next_turn_makes_no_calls_and_begins_with_the_same_bytes(tmp_path: Path) -> None:
    bridge = service(tmp_path, VISION)
    first = described(plan(bridge, request(shown("cat"))), "A cat.")
    exchange = plan(bridge, request(shown("cat"), {"role": "assistant", "content": "A cat."}, shown("cat")))
    assert isinstance(exchange, ResponsesExchange)
    second = sent(exchange.begin())
    assert json.dumps(second["messages"][:1]) == json.dumps(first["messages"])  # type: ignore[index]
    again = plan(bridge, request(shown("cat")))
    assert sent(again.begin()) == first


def test_no_more_than_so_many_are_described_before_one_call(tmp_path: Path) -> None:
    bridge = service(tmp_path, VISION)
    exchange = plan(bridge, request(shown("1", "2", "3", "4", "5")))
    said = json.dumps(described(exchange, "Three.", "Four.", "Five.")["messages"])
    assert said.count(MARKER) == 2
    assert said.index(MARKER) < said.index("Three.") < said.index("Five.")
    assert any("only 3 are described before one call" in note for note in notes(exchange))
    said = json.dumps(described(plan(bridge, request(shown("1", "2", "3", "4", "5"))), "One.", "Two.")["messages"])
    assert MARKER not in said


def refused(exchange: Exchange) -> list[Action]:
    return exchange.upstream_lost("connection refused")


def limited(exchange: Exchange) -> list[Action]:
    return told(exchange, b'{"error":{"message":"slow down"}}', status=429)


def silent(exchange: Exchange) -> list[Action]:
    return told(exchange, answer(" "))


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        pytest.param(refused, "it was refused", id="refused"),
        pytest.param(limited, "slow down", id="429"),
        pytest.param(silent, "it wrote nothing", id="nothing"),
    ],
)
def test_a_failed_description_leaves_a_marker_and_the_call_goes_on(tmp_path: Path, trouble: object, why: str) -> None:
    assert callable(trouble)
    bridge = service(tmp_path, VISION)
    exchange = plan(bridge, request(shown("cat", "dog")))
    exchange.begin()
    actions: Sequence[Action] = trouble(exchange)
    assert sent(actions)["model"] == "acme-vl"
    said = json.dumps(sent(told(exchange, answer("A dog.")))["messages"])
    assert said.index(MARKER) < said.index("A dog.")
    assert any("acme/acme-vl did not describe it" in note and why in note for note in notes(exchange))
    assert events_of(told(exchange, answer("A dog.")))[-1]["type"] == "response.completed"
    later = plan(bridge, request(shown("cat", "dog")))
    assert MARKER not in json.dumps(described(later, "A cat.")["messages"]), "it is tried again"


def test_the_client_hears_of_what_was_lost(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path, VISION), request(shown("cat"), stream=False))
    exchange.begin()
    refused(exchange)
    (whole,) = told(exchange, answer("I see nothing."))
    assert isinstance(whole, Answer)
    assert whole.status == 200
    assert "did not describe it" in whole.headers["x-bridge-notes"]
    assert whole.headers["x-bridge-target"] == "blind/blind-large"


def test_when_the_client_goes_nothing_more_is_asked(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path, VISION), request(shown("cat", "dog")))
    exchange.begin()
    exchange.client_gone()
    assert exchange.over
    assert told(exchange, answer("A cat.")) == []
    assert [(record.endpoint, record.outcome) for record in exchange.records] == [("vision", "client gone")]


def test_a_bug_in_between_is_answered(tmp_path: Path) -> None:
    exchange = plan(service(tmp_path, VISION), request(shown("cat")))
    exchange.begin()
    (whole,) = exchange.crashed(begun=False)
    assert isinstance(whole, Answer)
    assert whole.status == 500
    assert exchange.over


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param(CONFIG, request(shown("cat")), id="no vision model"),
        pytest.param(VISION, request(shown()), id="no image"),
        pytest.param(VISION, request(shown("cat"), model="open-eyed"), id="a model that can see"),
        pytest.param(VISION, {"model": "gpt-5", "input": "Hi"}, id="text"),
    ],
)
def test_otherwise_nothing_is_described(tmp_path: Path, text: str, body: object) -> None:
    assert isinstance(plan(service(tmp_path, text), body), ResponsesExchange)


def test_a_request_that_is_refused_costs_no_calls(tmp_path: Path) -> None:
    refusal = service(tmp_path, VISION).plan(call(body=request(shown("cat"), previous_response_id="resp_1")))
    assert isinstance(refusal, Answer)
    assert refusal.status == 400


@pytest.mark.parametrize(
    ("seer", "why"),
    [
        pytest.param("blind/vl", "takes no images itself", id="blind itself"),
        pytest.param("keyless/vl", "has no key for the provider keyless", id="no key"),
        pytest.param("near/vl", "does not fetch images from URLs", id="no URLs"),
    ],
)
def test_a_vision_model_that_cannot_serve_is_noted(tmp_path: Path, seer: str, why: str) -> None:
    more = """
  keyless: {base_url: "https://keyless.test/v1", api_key: "${NO_SUCH_KEY}"}
  near: {base_url: "https://near.test/v1", api_key: near-key, overrides: {image_url: base64}}
models:
"""
    text = VISION.replace("\nmodels:\n", more).replace("acme/acme-vl", seer)
    far = {"role": "user", "content": [{"type": "input_image", "image_url": "https://pictures.test/cat.png"}]}
    exchange = plan(service(tmp_path, text), request(far))
    assert isinstance(exchange, ResponsesExchange)
    assert MARKER in json.dumps(sent(exchange.begin())["messages"])
    assert any(why in note for note in notes(exchange)), notes(exchange)


def test_a_summary_is_written_with_the_descriptions(tmp_path: Path) -> None:
    bridge = service(tmp_path, VISION)
    first = described(plan(bridge, request(shown("cat"))), "A cat.")
    writing = plan(bridge, request(shown("cat"), TRIGGER))
    body = sent(writing.begin())
    assert first["messages"][0]["content"] in body["messages"][0]["content"]  # type: ignore[index]
    body = described(plan(bridge, request(shown("dog"), TRIGGER)), "A dog.")
    assert "acme-vl: A dog." in json.dumps(body["messages"])


def test_images_are_described_before_the_conversation_is_summarised(tmp_path: Path) -> None:
    edits = [{"type": "compaction", "compact_threshold": 50}]
    past: list[Mapping[str, object]] = [*tool_result("dog"), {"role": "user", "content": "And now? " * 100}]
    exchange = plan(service(tmp_path, VISION), request(shown("cat"), *past, context_management=edits))
    writing = described(exchange, "A cat.", "A dog.")
    assert "acme-vl: A dog." in json.dumps(writing["messages"])
    body = sent(told(exchange, answer("We saw animals.")))
    assert "acme-vl: A cat." in json.dumps(body["messages"])
    assert "We saw animals." in json.dumps(body["messages"])
    events_of(told(exchange, answer("Done.")))
    assert [record.endpoint for record in exchange.records] == ["vision", "vision", "compaction", "responses"]
    assert exchange.record is exchange.records[-1]


def test_each_call_has_its_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge: Service = service(tmp_path, VISION)
    exchange = plan(bridge, request(shown("cat")))
    described(exchange, "A cat.")
    told(exchange, answer("It is a cat."))
    with caplog.at_level(logging.INFO):
        bridge.report(exchange)
    first, second = caplog.messages
    assert first.startswith("vision seer -> acme/acme-vl 200 described tokens=500+20")
    assert second.startswith("responses gpt-5 -> blind/blind-large 200 completed tokens=500+20")
    assert "A cat" not in caplog.text
