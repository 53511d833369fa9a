"""Providers that serve the Responses API themselves, and clients of Azure, through a real mitmdump."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import CLIENT_KEY, PROVIDER_KEY, Bridge, events_of
from tests.end_to_end.provider import Behaviour, Provider, Reply, fails, says, sends_json, streams, streams_then_cuts
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.translate.native_answers import CREATED, call_events, hello, response, sse, text_events, text_item

AZURE = "https://my.openai.azure.com"


def native_config(provider: Provider, mode: str = "responses", **more: str) -> str:
    settings = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}, mode: {mode}"
    own = f"{{test: {{{settings}, overrides: {{native_responses: 'yes'}}}}}}"
    return config_for(provider, **{"providers": own, "models": "{'*': 'test/{model}'}", **more})


def by_endpoint(native: Behaviour, chat: Behaviour) -> Behaviour:
    """A provider with both endpoints."""

    def behave(reply: Reply) -> None:
        (native if reply.received.path.endswith("/responses") else chat)(reply)

    return behave


@pytest.fixture
def native_bridge(start_bridge: StartBridge, provider: Provider) -> Bridge:
    return start_bridge(native_config(provider))


def test_a_stream(native_bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, streams(hello("Hel", "lo."), hello()))

    answer = native_bridge.respond(model, stream=True)

    events = events_of(answer.text)
    check_stream(events)
    for event in events:
        validate_event(event)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello."
    sent = provider.call(model)
    assert sent.path == "/v1/responses"
    assert sent.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert sent.headers["accept"] == "text/event-stream"
    assert sent.body == {
        "model": model,
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
        "stream": True,
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_whole_answer(native_bridge: Bridge, provider: Provider, model: str, stream: bool) -> None:
    """Also to a client that asked for a stream."""
    provider.script(model, sends_json(response(text_item("Hello."))))

    answer = native_bridge.respond(model, stream=stream)

    told = events_of(answer.text)[-1]["response"] if stream else answer.json()
    validate_response(told)
    assert told["output"][0]["content"][0]["text"] == "Hello."
    assert told["usage"]["input_tokens"] == 20


def test_a_stream_that_breaks(native_bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, streams_then_cuts(sse(CREATED, *text_events(0, "Hel")), sse(*call_events(1, '{"a')[:2])))

    events = events_of(native_bridge.respond(model, stream=True).text)

    check_stream(events)
    assert events[-1]["type"] == "response.failed"


def test_an_error(native_bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, fails(429, "slow down", retry_after="7"))

    answer = native_bridge.respond(model, stream=True)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_auto_goes_over_to_chat_where_there_is_no_such_endpoint(
    start_bridge: StartBridge, provider: Provider, model: str
) -> None:
    bridge = start_bridge(native_config(provider, "auto"))
    provider.script(model, by_endpoint(fails(404, "404 page not found"), says("Hello.")))

    first, second = (bridge.respond(model, stream=stream) for stream in (True, False))

    assert events_of(first.text)[-1]["response"]["status"] == "completed"
    assert second.json()["status"] == "completed"
    assert [call.path for call in provider.calls(model)] == [
        "/v1/responses",
        "/v1/chat/completions",
        "/v1/chat/completions",
    ]


def test_reasoning_survives_a_restart(
    start_bridge: StartBridge, provider: Provider, model: str, tmp_path: Path
) -> None:
    """It is in what the client keeps, signed by a key that stays."""
    thought = {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "gAAAA="}
    provider.script(model, sends_json(response(thought, text_item("Hello."))))
    state = {"BRIDGE_STATE_DIR": str(tmp_path / "state")}
    include = ["reasoning.encrypted_content"]

    first = start_bridge(native_config(provider), env=state)
    output = first.respond(model, include=include).json()["output"]
    first.stop()
    history = [{"role": "user", "content": "Hi"}, *output, {"role": "user", "content": "And?"}]
    start_bridge(native_config(provider), env=state).respond(model, include=include, input=history)

    assert "gAAAA" not in json.dumps(output)
    assert thought in provider.calls(model)[-1].body["input"]


# --- clients of Azure


def test_a_client_of_azure(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    """Its host and path by configuration; its key counts as any client's, and goes nowhere."""
    bridge = start_bridge(
        config_for(
            provider,
            hosts="[my.openai.azure.com]",
            base_paths='["/openai/v1"]',
            clients=f"{{keys: [{CLIENT_KEY}]}}",
        ),
        args=["--set", "flow_detail=4"],
    )
    provider.script(model, says("Hello."))
    path, body = "/openai/v1/responses?api-version=preview", {"model": model, "input": "Hi"}

    with bridge.client(base_url=AZURE) as client:
        del client.headers["authorization"]
        served = client.post(path, json=body, headers={"api-key": CLIENT_KEY})
        refused = client.post(path, json=body, headers={"api-key": "another"})

    assert served.json()["output"][0]["content"][0]["text"] == "Hello."
    assert refused.status_code == 401
    call = provider.call(model)
    assert CLIENT_KEY not in str(call.headers)
    assert "api-key" not in call.headers
    assert CLIENT_KEY.encode() not in call.raw
