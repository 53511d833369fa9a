"""What is too much: the client, or the provider, is told so, and nothing else suffers."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli
import httpx
import pytest
import zstandard

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.original import standing_in
from tests.end_to_end.process import PROVIDER_KEY, Bridge, events_of, eventually, launch
from tests.end_to_end.provider import (
    DONE,
    PATIENCE_S,
    Behaviour,
    Provider,
    Reply,
    event,
    says,
    sends,
    sends_json,
    streams,
    text_chunks,
)
from tests.grammar import check_stream

MIB = 1024 * 1024
LIMITS = {
    "body_bytes": MIB,
    "header_bytes": 4096,
    "json_depth": 20,
    "items": 10,
    "answer_bytes": MIB,
    "event_chars": 10_000,
}


@pytest.fixture(scope="module")
def strict(provider: Provider, confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge with low limits."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "bridge.yaml").write_text(config_for(provider, limits=json.dumps(LIMITS)), "utf-8")
    with standing_in(confdir) as original:
        environment = {"ORIGINAL_PORT": str(original.port)}
        bridge = launch(folder, confdir, addons=["redirect"], env=environment, args=["--ssl-insecure"])
        assert bridge.address
        yield bridge
        bridge.stop()
    bridge.assert_sound()


def code_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


def nested(depth: int) -> bytes:
    """A request with this many levels in it, its own included."""
    deep = '{"a":' * (depth - 1) + "1" + "}" * (depth - 1)
    return f'{{"model": "m", "input": "Hi", "metadata_of_mine": {deep}}}'.encode()


# --- what a client sends


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(nested(20), 200, None, id="deep"),
        pytest.param(nested(21), 400, "invalid_value", id="too-deep"),
        pytest.param(nested(250), 400, "invalid_value", id="deeper-than-any"),
        pytest.param(nested(100_000), 400, "invalid_value", id="a-stack-of-its-own"),
        pytest.param(b"[" * 900_000, 400, "invalid_value", id="nothing-but-brackets"),
        pytest.param(json.dumps({"model": "m", "input": "x" * MIB}).encode(), 413, "request_too_large", id="large"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_a_request(strict: Bridge, path: str, body: bytes, status: int, code: str | None) -> None:
    if path.endswith("completions"):
        body = body.replace(b'"input": "Hi"', b'"messages": [{"role": "user", "content": "Hi"}]')
    with strict.client() as client:
        response = client.post(path, content=body, headers={"content-type": "application/json"})
        assert response.status_code == status, response.text
        assert code is None or code_of(response) == code
        assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize(("count", "status"), [(10, 200), (11, 400)])
def test_many_items(strict: Bridge, count: int, status: int) -> None:
    response = strict.respond("m", input=[{"role": "user", "content": "Hi"}] * count)
    assert response.status_code == status
    assert status == 200 or code_of(response) == "too_many_items"


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_a_large_head(strict: Bridge, http2: bool) -> None:
    with strict.client(http2=http2) as client:
        response = client.get("/v1/models", headers={"x-long": "x" * 5000})
    assert response.status_code == 431
    assert code_of(response) == "headers_too_large"


# --- what a provider answers


def compressed(body: bytes) -> list[tuple[str, bytes]]:
    return [
        ("identity", body),
        ("gzip", gzip.compress(body)),
        ("br", brotli.compress(body)),
        ("zstd", zstandard.compress(body)),
    ]


@pytest.mark.parametrize(
    ("encoding", "body"), [pytest.param(*each, id=each[0]) for each in compressed(b" " * 50 * MIB)]
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_swells(
    strict: Bridge, provider: Provider, model: str, encoding: str, body: bytes, stream: bool
) -> None:
    provider.script(model, sends(body, content_encoding=encoding))
    response = strict.respond(model, stream=stream)
    assert response.status_code == 502
    assert "limits.answer_bytes" in response.json()["error"]["message"]


@pytest.mark.parametrize(("encoding", "body"), [pytest.param(*each, id=each[0]) for each in compressed(b"No " * MIB)])
def test_an_error_that_swells(strict: Bridge, provider: Provider, model: str, encoding: str, body: bytes) -> None:
    """Its beginning is enough to tell what is wrong."""
    provider.script(model, sends(body, 400, "text/plain", content_encoding=encoding))
    response = strict.respond(model)
    assert response.status_code == 400
    assert "No No No" in response.json()["error"]["message"]
    assert len(response.content) < 100_000


DEEP = b'{"choices":' + b"[" * 50_000


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(sends(DEEP + b"]" * 50_000 + b"}"), id="deep"),
        pytest.param(sends(DEEP), id="deep-and-cut"),
        pytest.param(streams(b"data: " + b"[" * 5_000 + b"\n\n", DONE), id="a-deep-chunk"),
        pytest.param(streams(b"data: " + b"x" * 20_000), id="a-long-line"),
        pytest.param(streams(*[b"data: " + b" " * 1_000 + b"\n"] * 20), id="a-long-event"),
        pytest.param(sends_json(json.loads("[" * 150 + "]" * 150)), id="as-deep-as-may-be"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_nobody_can_read(
    strict: Bridge, provider: Provider, model: str, behaviour: Behaviour, stream: bool
) -> None:
    provider.script(model, behaviour)
    response = strict.respond(model, stream=stream)
    assert response.status_code == 502, response.text
    assert code_of(response) in ("upstream_invalid", "server_error")


def test_a_stream_that_swells(strict: Bridge, provider: Provider, model: str) -> None:
    """What was told stays told, and the stream ends as it should."""
    hello = [event(each) for each in text_chunks("Hel", "lo.")]
    provider.script(model, streams(*hello[:2], *[b": " + b"x" * 8_000 + b"\n\n"] * 200, *hello[2:], DONE))
    events = events_of(strict.respond(model, stream=True).text)
    check_stream(events)
    assert events[-1]["type"] == "response.failed"
    assert "limits.answer_bytes" in str(events[-1]["response"]["error"])


# --- how many at once


class Counting:
    """Answers when the gate is open, and knows how many were there at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, reply: Reply) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.gate.wait(PATIENCE_S)
        with self._lock:
            self.now -= 1
        says("Hello.")(reply)


@pytest.mark.parametrize(
    ("of_provider", "of_all"), [(", max_concurrent: 2", 100), ("", 2)], ids=["one-provider", "in-all"]
)
def test_calls_wait_for_their_turn(
    start_bridge: StartBridge, provider: Provider, model: str, of_provider: str, of_all: int
) -> None:
    one = f"{{test: {{base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}{of_provider}}}}}"
    limits = f"{{concurrent_calls: {of_all}, queued_calls: 6}}"
    bridge = start_bridge(config_for(provider, providers=one, models="{'*': 'test/{model}'}", limits=limits))
    counting = Counting()
    provider.script(model, counting)
    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(bridge.respond, model) for _ in range(9)]
        eventually(lambda: any(answer.done() for answer in answers), "one is turned away")
        eventually(lambda: counting.now == 2, "two are served")
        counting.gate.set()
        statuses = sorted(answer.result(PATIENCE_S).status_code for answer in answers)
        (refused,) = [answer.result() for answer in answers if answer.result().status_code == 429]

    assert statuses == [200] * 8 + [429]
    assert counting.most == 2
    assert code_of(refused) == "too_many_requests"
    assert refused.headers["retry-after"]


def test_a_full_provider_makes_way_for_another(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    common = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}"
    providers = f"{{full: {{{common}, max_concurrent: 1}}, spare: {{{common}}}}}"
    models = f"{{'{model}': [full/{model}, spare/{model}-spare]}}"
    bridge = start_bridge(config_for(provider, providers=providers, models=models, limits="{queued_calls: 0}"))
    counting = Counting()
    provider.script(model, counting)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bridge.respond, model)
        eventually(lambda: counting.now, "the provider is busy")
        second = bridge.respond(model)
        counting.gate.set()

        assert first.result(PATIENCE_S).headers["x-bridge-target"] == f"full/{model}"
        assert second.headers["x-bridge-target"] == f"spare/{model}-spare"
    assert bridge.respond(model).headers["x-bridge-target"] == f"full/{model}", "which has not failed"
