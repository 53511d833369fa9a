"""Providers that serve the Responses API themselves: the same exchange, another endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from addon.actions import Action, Answer, Attempt, Data, End
from addon.exchange import ClientCall, Exchange
from addon.service import Service
from addon.wire.sse import SSEParser
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.test_service import call, service
from tests.translate.native_answers import (
    CREATED,
    call_events,
    call_item,
    completed,
    done,
    hello,
    reasoning_item,
    response,
    sse,
    text_events,
    text_item,
)

CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}]}


def config(mode: str = "responses", *, native: str = "yes", more: str = "", **overrides: object) -> str:
    fields = json.dumps({"native_responses": native, **overrides})
    return f"""
providers:
  acme: {{base_url: "https://acme.test/v1", api_key: acme-secret-key, mode: {mode}, overrides: {fields}}}
models: {{"*": acme/acme-1}}
{more}"""


def begun(serving: Service, body: dict[str, object] | None = None) -> tuple[Exchange, Attempt]:
    plan = serving.plan(call(body={"model": "gpt-5", "input": "Hi", **(body or {})}))
    assert isinstance(plan, Exchange), plan
    return plan, attempt_of(plan.begin())


def attempt_of(actions: Sequence[Action]) -> Attempt:
    (attempt,) = (action for action in actions if isinstance(action, Attempt))
    return attempt


def told(exchange: Exchange, body: bytes | dict[str, Any], status: int = 200) -> list[Action]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [*exchange.upstream_head(status, {}), *exchange.upstream_data(data), *exchange.upstream_end()]


def result(actions: Sequence[Action]) -> dict[str, Any]:
    """The response that the client got, whole or as a correct stream."""
    if isinstance(actions[-1], Answer):
        whole: dict[str, Any] = json.loads(actions[-1].body)
        validate_response(whole)
        return whole
    assert isinstance(actions[-1], End)
    data = b"".join(action.data for action in actions if isinstance(action, Data))
    events = [json.loads(event.data) for event in SSEParser().feed(data)]
    check_stream(events)
    for event in events:
        validate_event(event)
    final: dict[str, Any] = events[-1]["response"]
    return final


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_goes_to_the_providers_own_endpoint(tmp_path: Path, stream: bool) -> None:
    exchange, attempt = begun(service(tmp_path, config()), {"stream": stream})

    assert attempt.url == "https://acme.test/v1/responses"
    assert attempt.stream is stream
    assert json.loads(attempt.body)["input"] == [{"type": "message", "role": "user", "content": "Hi"}]
    assert "sk-client" not in str(attempt.headers)
    answer = result(told(exchange, hello() if stream else response(text_item("Hello."))))
    assert answer["output"][0]["content"][0]["text"] == "Hello."
    assert answer["model"] == "gpt-5"
    assert (exchange.record.outcome, exchange.record.input_tokens) == ("completed", 20)


@pytest.mark.parametrize(
    ("mode", "native", "path"),
    [
        ("chat", "yes", "/v1/chat/completions"),
        ("auto", "yes", "/v1/responses"),
        ("auto", "beta", "/v1/chat/completions"),
        ("auto", "no", "/v1/chat/completions"),
        ("responses", "no", "/v1/responses"),
    ],
)
def test_the_mode_says_which_endpoint(tmp_path: Path, mode: str, native: str, path: str) -> None:
    _, attempt = begun(service(tmp_path, config(mode, native=native)))

    assert attempt.url == f"https://acme.test{path}"


def test_calls_of_chat_clients_go_to_chat(tmp_path: Path) -> None:
    plan = service(tmp_path, config()).plan(
        call(path="/v1/chat/completions", body={"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    )
    assert isinstance(plan, Exchange)

    assert attempt_of(plan.begin()).url == "https://acme.test/v1/chat/completions"


@pytest.mark.parametrize("status", [404, 405])
def test_auto_falls_back_to_chat_in_the_same_call_and_remembers_it(tmp_path: Path, status: int) -> None:
    serving = service(tmp_path, config("auto"))
    exchange, _ = begun(serving)

    chat = attempt_of(told(exchange, b"404 page not found", status))
    answer = result(told(exchange, CHAT))
    _, next_time = begun(serving)

    assert chat.url == next_time.url == "https://acme.test/v1/chat/completions"
    assert answer["output"][0]["content"][0]["text"] == "Hello."
    assert "does not serve the Responses API" in str(list(map(str, exchange.record.notes)))


def test_responses_does_not_fall_back(tmp_path: Path) -> None:
    exchange, _ = begun(service(tmp_path, config("responses")))
    (answer,) = told(exchange, b"404 page not found", 404)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.code) == (404, "upstream_not_found")


def test_a_parameter_that_is_refused_is_left_out_from_then_on(tmp_path: Path) -> None:
    serving = service(tmp_path, config())
    body: dict[str, object] = {"include": ["reasoning.encrypted_content"]}
    exchange, first = begun(serving, body)
    said = {"error": {"message": "Unknown parameter: 'include'.", "param": "include", "code": "unknown_parameter"}}
    second = attempt_of(told(exchange, said, 400))
    result(told(exchange, response(text_item("Hello."))))
    _, third = begun(serving, body)

    assert ["include" in json.loads(attempt.body) for attempt in (first, second, third)] == [True, False, False]
    assert second.url == third.url == "https://acme.test/v1/responses"


@pytest.mark.parametrize("keeps", [True, False], ids=["kept by the client", "remembered by the bridge"])
def test_reasoning_goes_back_as_it_came(tmp_path: Path, keeps: bool) -> None:
    serving = service(tmp_path, config())
    thought = reasoning_item("Hm.", encrypted_content="gAAAA=")
    include: dict[str, object] = {"include": ["reasoning.encrypted_content"], "stream": True}
    exchange, _ = begun(serving, include)
    answer = result(told(exchange, sse(CREATED, done(0, thought), *call_events(1, "{}"), completed())))

    assert "gAAAA" not in json.dumps(answer)
    output = [item for item in answer["output"] if keeps or item["type"] != "reasoning"]
    call_id = next(item["call_id"] for item in output if item["type"] == "function_call")
    tool_result = {"type": "function_call_output", "call_id": call_id, "output": "ok"}
    _, second = begun(serving, {**include, "input": [{"role": "user", "content": "Hi"}, *output, tool_result]})

    assert [item for item in json.loads(second.body)["input"] if item["type"] == "reasoning"] == [thought]


def test_reasoning_of_the_native_endpoint_never_reaches_its_chat(tmp_path: Path) -> None:
    thought = reasoning_item("Hm.", encrypted_content="gAAAA=")
    include: dict[str, object] = {"include": ["reasoning.encrypted_content"]}
    exchange, _ = begun(service(tmp_path, config()), include)
    answer = result(told(exchange, response(thought, text_item("Hello."))))

    items = [*answer["output"], {"role": "user", "content": "And?"}]
    chat, attempt = begun(
        service(tmp_path, config("chat", replay="always", replay_scope="all_turns")), {**include, "input": items}
    )

    assert "Hm." not in attempt.body.decode()
    assert "acme/acme-1 (responses)" in str(list(map(str, chat.record.notes)))


def test_a_long_conversation_is_summarised_first(tmp_path: Path) -> None:
    past = [
        {"role": "user", "content": "Count. " * 300},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "And now?"},
    ]
    edits = [{"type": "compaction", "compact_threshold": 100}]
    exchange, summary = begun(service(tmp_path, config()), {"input": past, "context_management": edits})
    answer = attempt_of(told(exchange, response(text_item("The user counted."))))

    assert summary.url == answer.url == "https://acme.test/v1/responses"
    assert "The user counted." in answer.body.decode()
    final = result(told(exchange, response(text_item("Two."))))
    assert [item["type"] for item in final["output"]] == ["compaction", "message"]


def test_a_wrong_input_of_a_custom_tool_goes_back(tmp_path: Path) -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[0-9]+"}
    tools = [{"type": "custom", "name": "dial", "format": grammar}]
    exchange, _ = begun(service(tmp_path, config(more="check_grammars: true")), {"tools": tools})
    wrong = {"type": "custom_tool_call", "id": "x", "call_id": "c1", "name": "dial", "input": "zero"}

    again = attempt_of(told(exchange, response(reasoning_item("Hm.", encrypted_content="gAAAA="), wrong)))
    final = result(told(exchange, response({**wrong, "input": "0"})))

    thought, *sent_back = json.loads(again.body)["input"][-3:]
    assert thought["encrypted_content"] == "gAAAA="
    assert [(item["type"], item["call_id"]) for item in sent_back] == [
        ("custom_tool_call", "c1"),
        ("custom_tool_call_output", "c1"),
    ]
    assert final["output"][0]["input"] == "0"


def test_errors_are_those_of_any_provider(tmp_path: Path) -> None:
    exchange, _ = begun(service(tmp_path, config()), {"stream": True})
    said = {"error": {"message": "Your input exceeds the context window", "code": "context_length_exceeded"}}
    (answer,) = told(exchange, said, 400)

    assert isinstance(answer, Answer)
    assert answer.code == "context_length_exceeded"


def test_another_target_serves_when_the_first_fails(tmp_path: Path) -> None:
    both = """
providers:
  acme: {base_url: "https://acme.test/v1", api_key: acme-secret-key, mode: responses}
  spare: {base_url: "https://spare.test/v1", api_key: spare-secret-key}
models: {"*": [acme/m, spare/m]}
"""
    exchange, _ = begun(service(tmp_path, both))
    second = attempt_of(told(exchange, {"error": {"message": "down"}}, 503))

    assert second.url == "https://spare.test/v1/chat/completions"
    assert result(told(exchange, CHAT))["status"] == "completed"


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        (
            '{base_url: "https://acme.test/v1/chat/completions?v=1", api_key: none}',
            "https://acme.test/v1/responses?v=1",
        ),
        (
            '{base_url: "https://acme.test/v4", api_key: none, overrides: {responses_base_url: "https://acme.test/v1"}}',
            "https://acme.test/v1/responses",
        ),
        (
            '{base_url: "https://acme.test/{model}", api_key: none, overrides: {responses_path: "/r/{model}"}}',
            "https://acme.test/m/r/m",
        ),
        ("{profile: zai, api_key: k-0123456789}", "https://api.z.ai/api/v1/responses"),
        ('{profile: zai, base_url: "https://proxy.test/v4", api_key: k-0123456789}', "https://proxy.test/v4/responses"),
    ],
    ids=["endpoint given", "another base", "places", "built in", "the user's base"],
)
def test_where_the_endpoint_is(tmp_path: Path, provider: str, url: str) -> None:
    text = f"providers:\n  acme: {provider[:-1]}, mode: responses}}\nmodels: {{'*': acme/m}}\n"

    assert begun(service(tmp_path, text))[1].url == url


def test_the_endpoint_must_be_allowed_too(tmp_path: Path) -> None:
    text = config(more="allowed_remotes: [acme.test]", responses_base_url="https://elsewhere.test/v1")
    plan = service(tmp_path, text).plan(call(body={"model": "m", "input": "Hi"}))

    assert isinstance(plan, Answer)
    assert plan.code == "remote_not_allowed"


# --- clients of Azure

AZURE = """
hosts: [my.openai.azure.com]
base_paths: ["/openai/v1"]
clients: {keys: [team-key-0123456789]}
providers: {acme: {base_url: "https://acme.test/v1", api_key: acme-secret-key}}
models: {"*": acme/m}
"""


def azure_call(serving: Service, key: str, **body: object) -> object:
    content = json.dumps({"model": "m", "input": "Hi", **body}).encode()
    path = "/openai/v1/responses?api-version=preview"
    return serving.plan(ClientCall("POST", path, {"api-key": key, "content-type": "application/json"}, content))


def test_the_key_of_an_azure_client_counts(tmp_path: Path) -> None:
    serving = service(tmp_path, AZURE)
    plan = azure_call(serving, "team-key-0123456789")
    refused = azure_call(serving, "another")

    assert isinstance(plan, Exchange)
    assert "team-key" not in repr(attempt_of(plan.begin()))
    assert isinstance(refused, Answer)
    assert (refused.status, refused.code) == (401, "invalid_api_key")


def test_items_belong_to_the_key_of_an_azure_client(tmp_path: Path) -> None:
    keys = "clients: {keys: [team-key-0123456789, other-key-0123456789]}"
    serving = service(tmp_path, AZURE.replace("clients: {keys: [team-key-0123456789]}", keys))
    first = azure_call(serving, "team-key-0123456789")
    assert isinstance(first, Exchange)
    first.begin()
    item_id = result(told(first, CHAT))["output"][0]["id"]

    bodies = []
    for key in ("team-key-0123456789", "other-key-0123456789"):
        plan = azure_call(
            serving, key, input=[{"type": "item_reference", "id": item_id}, {"role": "user", "content": "?"}]
        )
        assert isinstance(plan, Exchange)
        bodies.append(attempt_of(plan.begin()).body)
    assert [b"Hello." in body for body in bodies] == [True, False]


def test_an_answer_with_parallel_calls(tmp_path: Path) -> None:
    exchange, _ = begun(service(tmp_path, config()), {"stream": True})
    events = [CREATED, *text_events(0, "Two."), *call_events(1, "{}"), *call_events(2, "{}", call_id="call_2")]
    final = result(told(exchange, sse(*events, completed(text_item("Two."), call_item(), call_item(call_id="call_2")))))

    assert [item["type"] for item in final["output"]] == ["message", "function_call", "function_call"]
