"""Exchanges that are carried out without a proxy, against a provider on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.actions import Answer
from addon.commands.check import service_for
from addon.config import load_config
from addon.direct_calls import DirectCaller
from addon.exchange import ClientCall, Exchange
from addon.store.learned import Learned
from tests.end_to_end.original import standing_in
from tests.end_to_end.provider import (
    Behaviour,
    Provider,
    Reply,
    chunk,
    completion,
    event,
    fails,
    holds,
    says,
    sends_gzip,
    serving,
    streams_then_cuts,
)

KEY = "live-0123456789abcdef"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


def exchange(base_url: str, folder: Path, model: str, *, stream: bool = False) -> Exchange:
    """A client's call of a bridge whose one provider is at `base_url`."""
    path = folder / "bridge.yaml"
    path.write_text(f"providers: {{test: {{base_url: '{base_url}', api_key: {KEY}, query: {{region: eu}}}}}}\n")
    service = service_for(Learned(None, now=lambda: 0.0, valid=lambda overrides: True), load_config(path, {}))
    body = json.dumps({"model": model, "input": "Hi", "stream": stream}).encode()
    plan = service.plan(ClientCall("POST", "/v1/responses", {}, body))
    assert isinstance(plan, Exchange)
    return plan


def caller(timeout: float = 10, trust: ssl.SSLContext | None = None) -> DirectCaller:
    return DirectCaller(timeout=timeout, trust=trust or ssl.create_default_context())


def text(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["output"][0]["content"][0]["text"])


def error(answer: Answer) -> str:
    return str(json.loads(answer.body)["error"]["message"])


def test_the_answer_and_what_was_sent(provider: Provider, tmp_path: Path):
    provider.script("plain", says("Hello."))
    assert text(caller().answer(exchange(provider.base_url, tmp_path, "plain"))) == "Hello."
    received = provider.call("plain")
    assert received.path == "/v1/chat/completions?region=eu"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_stream_is_put_together(provider: Provider, tmp_path: Path):
    provider.script("streamed", says("Hel", "lo."))
    answer = caller().answer(exchange(provider.base_url, tmp_path, "streamed", stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.startswith(b"event: response.created\n")
    assert b"event: response.completed\n" in answer.body


def test_a_body_without_a_length_is_read_to_its_end(provider: Provider, tmp_path: Path):
    def until_closed(reply: Reply) -> None:
        reply.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
        reply.write(json.dumps(completion("All of it.")).encode())
        reply.cut()

    provider.script("closing", until_closed)
    assert text(caller().answer(exchange(provider.base_url, tmp_path, "closing"))) == "All of it."


def test_an_encoding_is_the_exchanges_business(provider: Provider, tmp_path: Path):
    provider.script("zipped", sends_gzip(completion("Unzipped.")))
    assert text(caller().answer(exchange(provider.base_url, tmp_path, "zipped"))) == "Unzipped."


def half(reply: Reply) -> None:
    """Less than was promised."""
    reply.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
    reply.cut()


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param(fails(404, "no such model: x", "model_not_found"), "under `models:`", id="an error"),
        pytest.param(half, "The connection to the provider test", id="half a body"),
        pytest.param(Reply.cut, "The connection to the provider test", id="no answer"),
        pytest.param(lambda reply: reply.write(b"hello\r\n\r\n"), "The connection to the provider test", id="no HTTP"),
    ],
)
def test_failures_are_told(behaviour: Behaviour, told: str, provider: Provider, tmp_path: Path):
    provider.script("broken", behaviour)
    answer = caller().answer(exchange(provider.base_url, tmp_path, "broken"))
    assert answer.status in (404, 502)
    assert told in error(answer)


def test_a_stream_that_breaks_ends_truthfully(provider: Provider, tmp_path: Path):
    provider.script("cut", streams_then_cuts(event(chunk({"content": "Hel"}))))
    answer = caller().answer(exchange(provider.base_url, tmp_path, "cut", stream=True))
    assert b"event: response.failed\n" in answer.body


def test_a_silent_provider_is_not_waited_for_forever(provider: Provider, tmp_path: Path):
    gate = threading.Event()
    provider.script("silent", holds(gate, says("Too late.")))
    answer = caller(timeout=0.1).answer(exchange(provider.base_url, tmp_path, "silent"))
    gate.set()
    assert "there was no answer in time" in error(answer)


def test_nobody_listens(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    assert "it was refused" in error(caller().answer(exchange(base_url, tmp_path, "any")))


def test_a_server_that_is_not_trusted_hears_nothing(tmp_path: Path):
    with standing_in(tmp_path) as server:
        base_url = f"https://127.0.0.1:{server.port}/v1"
        answer = caller().answer(exchange(base_url, tmp_path, "any"))
        assert server.requests == []
    assert "certificate verify failed" in error(answer).lower()


def test_an_authority_of_ones_own_can_be_trusted(tmp_path: Path):
    with standing_in(tmp_path) as server:
        trust = ssl.create_default_context(cafile=server.certificate)
        caller(trust=trust).answer(exchange(f"https://localhost:{server.port}/v1", tmp_path, "any"))
        assert len(server.requests) == 1


def test_proxies_of_the_environment_are_not_used(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert text(caller().answer(exchange(provider.base_url, tmp_path, "direct"))) == "Hello."


def test_a_refused_request_is_sent_again_changed(provider: Provider, tmp_path: Path):
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    provider.script("healed", fails(400, message, "unsupported_parameter"), says("Better."))
    body = json.dumps({"model": "healed", "input": "Hi", "max_output_tokens": 50}).encode()
    path = tmp_path / "bridge.yaml"
    path.write_text(f"providers: {{test: {{base_url: '{provider.base_url}'}}}}\n")
    service = service_for(Learned(None, now=lambda: 0.0, valid=lambda overrides: True), load_config(path, {}))
    plan = service.plan(ClientCall("POST", "/v1/responses", {}, body))
    assert isinstance(plan, Exchange)
    assert text(caller().answer(plan)) == "Better."
    assert "max_completion_tokens" in provider.calls("healed")[1].body
