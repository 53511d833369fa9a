"""Trouble with the provider: what the client is told, before and after the first byte of its answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import Bridge, events_of
from tests.end_to_end.provider import (
    DONE,
    PATIENCE_S,
    Behaviour,
    Provider,
    Reply,
    Watched,
    chunk,
    closes_when_reused,
    completion,
    cuts,
    cuts_after_headers,
    event,
    fails,
    holds,
    says,
    sends,
    sends_gzip,
    sends_json,
    streams,
    streams_then_cuts,
    text_chunks,
)
from tests.end_to_end.wire import Http2, connect
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response

HELLO = [event(each) for each in text_chunks("Hel", "lo.")]
HTML = b"<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"


@pytest.fixture
def client(bridge: Bridge) -> Iterator[httpx.Client]:
    with bridge.client() as client:
        yield client


def ask(client: httpx.Client, model: str, *, stream: bool = False) -> httpx.Response:
    return client.post("/v1/responses", json={"model": model, "input": "Hi", "stream": stream})


def assert_error(response: httpx.Response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert all(word in error["message"] for word in words), error["message"]


def checked(response: httpx.Response) -> list[dict[str, object]]:
    """The events of a whole and correct stream."""
    assert response.status_code == 200, response.text
    events = events_of(response.text)
    check_stream(events)
    for each in events:
        validate_event(each)
    return events


def text_of(events: list[dict[str, object]]) -> str:
    return "".join(str(each["delta"]) for each in events if each["type"] == "response.output_text.delta")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(cuts, ("test", "failed"), id="cut-before-headers"),
        pytest.param(cuts_after_headers, ("test", "failed"), id="cut-after-headers"),
        pytest.param(sends(HTML, content_type="text/html"), ("It works!",), id="html"),
        pytest.param(sends(b"what?", content_type="text/plain"), (), id="words"),
        pytest.param(sends(b""), (), id="nothing"),
        pytest.param(streams(), (), id="empty-stream"),
        pytest.param(lambda reply: reply.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), (), id="another-protocol"),
        pytest.param(sends_json({"error": {"message": "all is lost"}}), ("all is lost",), id="error-with-status-200"),
        pytest.param(fails(500, "all is lost"), ("all is lost",), id="error"),
        pytest.param(sends(b"x", content_encoding="rot13"), ("rot13",), id="strange-encoding"),
        pytest.param(sends(b"not gzip", content_encoding="gzip"), (), id="not-gzip"),
    ],
)
def test_nothing_useful_came(
    client: httpx.Client, provider: Provider, model: str, behaviour: Behaviour, words: tuple[str, ...], stream: bool
) -> None:
    """The client gets an error with a status, even when it asked for a stream."""
    provider.script(model, behaviour)

    assert_error(ask(client, model, stream=stream), 502, *words)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_port_where_nobody_listens(start_bridge: StartBridge, stream: bool) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        bridge = start_bridge(f"providers: {{gone: {{base_url: '{url}', api_key: none, profile: generic}}}}")
        with bridge.client() as client:
            assert_error(ask(client, "m", stream=stream), 502, "gone", url.split("/")[2])


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(streams_then_cuts(*HELLO[:2]), id="cut"),
        pytest.param(streams(*HELLO[:2]), id="ended-without-a-reason"),
        pytest.param(streams(*HELLO[:2], event({"error": {"message": "all is lost", "code": 500}})), id="error-event"),
        pytest.param(streams(*HELLO[:2], b"data: {bad json\n\n"), id="garbage"),
    ],
)
def test_a_stream_that_breaks(client: httpx.Client, provider: Provider, model: str, behaviour: Behaviour) -> None:
    """The open item is closed, the error is told, and the stream ends as a stream should."""
    provider.script(model, behaviour)

    events = checked(ask(client, model, stream=True))

    assert text_of(events) == "Hel"
    assert events[-1]["type"] in ("response.failed", "response.incomplete")


def test_a_cut_is_told_as_failed(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, streams_then_cuts(*HELLO[:2]))

    events = checked(ask(client, model, stream=True))

    assert [each["type"] for each in events[-2:]] == ["error", "response.failed"]


def test_a_cut_in_the_answer_for_a_client_that_wants_it_whole(
    client: httpx.Client, provider: Provider, model: str
) -> None:
    def behave(reply: Reply) -> None:
        reply.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
        reply.cut()

    provider.script(model, behave)

    assert_error(ask(client, model), 502, "failed")


def test_no_done_marker(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, streams(*HELLO))

    assert checked(ask(client, model, stream=True))[-1]["type"] == "response.completed"


def test_a_stream_that_goes_on_after_its_end(client: httpx.Client, provider: Provider, model: str) -> None:
    """Nobody waits for what comes after [DONE], and the next call is none the worse for it."""
    provider.script(model, streams(*HELLO, DONE, b": more\n\n" * 20_000, DONE), says("Again."))

    assert text_of(checked(ask(client, model, stream=True))) == "Hello."
    assert text_of(checked(ask(client, model, stream=True))) == "Again."


def test_a_stream_that_never_closes_after_its_end(client: httpx.Client, provider: Provider, model: str) -> None:
    gate = threading.Event()
    provider.script(model, streams(*HELLO, DONE, gate), says("Again."))

    assert text_of(checked(ask(client, model, stream=True))) == "Hello."
    assert text_of(checked(ask(client, model, stream=True))) == "Again."
    gate.set()


@pytest.mark.parametrize(
    "behaviour", [sends_json(completion("Hello.")), sends_gzip(completion("Hello."))], ids=["plain", "gzip"]
)
def test_json_for_a_stream(client: httpx.Client, provider: Provider, model: str, behaviour: Behaviour) -> None:
    provider.script(model, behaviour)

    events = checked(ask(client, model, stream=True))

    assert text_of(events) == "Hello."
    assert events[-1]["type"] == "response.completed"


def test_a_stream_for_json(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, streams(*HELLO, DONE))

    response = ask(client, model)

    validate_response(response.json())
    assert response.json()["output"][0]["content"][0]["text"] == "Hello."


def test_events_come_as_they_are_made(client: httpx.Client, provider: Provider, model: str) -> None:
    """The provider says the second word only after the client has read the first."""
    gate = threading.Event()
    provider.script(model, streams(*HELLO[:2], gate, *HELLO[2:], DONE))

    with client.stream("POST", "/v1/responses", json={"model": model, "input": "Hi", "stream": True}) as response:
        for line in response.iter_lines():
            if '"delta":"Hel"' in line:
                gate.set()

    assert gate.is_set()


def test_a_connection_is_kept(client: httpx.Client, provider: Provider, model: str) -> None:
    for stream in (False, True, True, False):
        assert ask(client, model, stream=stream).status_code == 200

    assert len({call.connection for call in provider.calls(model)}) == 1


def test_a_kept_connection_that_has_died_is_replaced(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, closes_when_reused(says("Hello.")))

    first, second = ask(client, model), ask(client, model)

    assert (first.status_code, second.status_code) == (200, 200)
    kept, stale, fresh = [call.connection for call in provider.calls(model)]
    assert kept == stale != fresh


@pytest.mark.parametrize("first", [HELLO[1], b""], ids=["in-the-stream", "before-the-headers"])
def test_a_client_that_goes_takes_the_upstream_call_with_it(
    bridge: Bridge, provider: Provider, model: str, first: bytes
) -> None:
    watched = Watched(first)
    provider.script(model, watched)
    raw = json.dumps({"model": model, "input": "Hi", "stream": True}).encode()
    with connect(bridge, "http/1.1") as connection:
        head = "POST /v1/responses HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head.encode() % len(raw) + raw)
        assert watched.started.wait(PATIENCE_S)

    assert watched.gone.wait(PATIENCE_S)


@pytest.mark.parametrize("first", [HELLO[1], b""], ids=["in-the-stream", "before-the-headers"])
def test_a_client_that_takes_its_call_back(bridge: Bridge, provider: Provider, model: str, first: bytes) -> None:
    """Over HTTP/2 the connection lives on, and so do the other calls on it."""
    watched = Watched(first)
    provider.script(model, watched)
    with connect(bridge, "h2") as connection:
        client = Http2(connection)
        stream = client.send("/v1/responses", json.dumps({"model": model, "input": "Hi", "stream": True}).encode())
        assert watched.started.wait(PATIENCE_S)
        client.reset(stream)

        assert watched.gone.wait(PATIENCE_S)
        other = json.dumps({"model": f"{model}-other", "input": "Hi"}).encode()
        assert client.request("POST", "/v1/responses", other)[0] == 200


def test_a_slow_provider_holds_up_nobody_else(client: httpx.Client, provider: Provider, model: str) -> None:
    gate = threading.Event()
    provider.script(model, holds(gate, says("Slow.")))
    slow: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: slow.append(ask(client, model)))
    thread.start()

    assert ask(client, f"{model}-other").status_code == 200
    gate.set()
    thread.join(PATIENCE_S)
    assert slow[0].status_code == 200


def test_a_chat_stream_that_breaks(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, streams_then_cuts(*HELLO[:2]))

    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    response = client.post("/v1/chat/completions", json=body)

    assert response.status_code == 200
    assert "error" in events_of(response.text)[-1]


def test_a_chat_answer_that_only_comes_in_a_stream(client: httpx.Client, provider: Provider, model: str) -> None:
    model = f"streaming-{model}"
    provider.script(model, streams(*HELLO, DONE))

    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    response = client.post("/v1/chat/completions", json=body)

    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == {**completion(), "choices": [{**completion()["choices"][0], "logprobs": None}]}
    sent = provider.call(model).body
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_a_chat_stream_that_breaks_for_a_client_that_wants_one_answer(
    client: httpx.Client, provider: Provider, model: str
) -> None:
    model = f"streaming-{model}"
    provider.script(model, streams_then_cuts(*HELLO[:2]))

    response = client.post(
        "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    )

    assert response.status_code == 502
    assert response.json()["error"]["code"] == "server_error"


def test_a_key_that_is_missing(start_bridge: StartBridge, provider: Provider) -> None:
    """Nothing is sent without it, and the client learns which variable the operator forgot."""
    before = len(provider.calls())
    test = f"{{base_url: '{provider.base_url}', api_key: '${{FORGOTTEN_KEY}}'}}"
    bridge = start_bridge(config_for(provider, providers=f"{{test: {test}}}", models="{'*': 'test/{model}'}"))

    response = bridge.respond("m")

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "provider_key_missing"
    assert "FORGOTTEN_KEY" in response.json()["error"]["message"]
    assert len(provider.calls()) == before


def test_a_model_that_nobody_serves(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(config_for(provider, models="{'known-*': 'test/{model}'}"))

    response = bridge.respond("unknown")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_what_has_no_choices(client: httpx.Client, provider: Provider, model: str) -> None:
    """Chunks that hold nothing are no answer either."""
    provider.script(model, streams(event({**chunk(), "choices": []}), DONE))

    assert ask(client, model, stream=True).status_code in (200, 502)
