"""Connections to providers: kept and shared, HTTP/2 where it is wanted, and through proxies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartBridge
from tests.end_to_end.http2_provider import HANGS, Http2Provider, serving_http2
from tests.end_to_end.original import Original
from tests.end_to_end.process import ADDONS, PROVIDER_KEY, Bridge, events_of, eventually, launch
from tests.end_to_end.provider import Provider, says, together
from tests.end_to_end.wire import Http2, connect
from tests.grammar import check_stream


@pytest.fixture
def modern(original: Original) -> Iterator[Http2Provider]:
    with serving_http2(original.certificate) as provider:
        yield provider


@pytest.fixture
def proxy(confdir: Path, tmp_path: Path) -> Iterator[Bridge]:
    """A mitmdump that has no part in the bridge: any proxy would do."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    environment = {"ORIGINAL_PORT": "9"}
    process = launch(folder, confdir, script=ADDONS / "redirect.py", args=["--ssl-insecure"], env=environment)
    assert process.address
    yield process
    process.stop()
    assert "mitmproxy has crashed" not in process.log


def only(base_url: str, **more: object) -> str:
    provider = {"base_url": base_url, "api_key": PROVIDER_KEY, "profile": "generic", **more}
    return json.dumps({"providers": {"test": provider}, "models": {"*": "test/{model}"}})


def body(model: str) -> bytes:
    return json.dumps({"model": model, "input": "Hi", "stream": True}).encode()


def assert_hello(answer: bytes) -> None:
    events = events_of(answer.decode())
    check_stream(events)
    assert events[-1]["type"] == "response.completed"


def test_one_connection_serves_all_calls_of_a_client(start_bridge: StartBridge, modern: Http2Provider) -> None:
    bridge = start_bridge(only(modern.base_url, http2=True))
    with bridge.client() as client:
        for number in range(3):
            answer = client.post("/v1/responses", content=body(f"m-{number}"))
            assert_hello(answer.content)
    assert modern.protocols == ["h2"]
    assert modern.models == ["m-0", "m-1", "m-2"]


def test_http2_is_offered_only_if_it_is_wanted(start_bridge: StartBridge, modern: Http2Provider) -> None:
    bridge = start_bridge(only(modern.base_url))
    assert bridge.respond("m").status_code == 502
    assert set(modern.protocols) == {"http/1.1"}


def test_a_call_that_is_taken_back_leaves_the_others_alone(start_bridge: StartBridge, modern: Http2Provider) -> None:
    """One connection on either side of the bridge, and four calls on it."""
    bridge = start_bridge(only(modern.base_url, http2=True))
    with connect(bridge, "h2") as connection:
        client = Http2(connection)
        assert client.request("POST", "/v1/responses", body("first"))[0] == 200
        hanging = client.send("/v1/responses", body(HANGS))
        eventually(lambda: HANGS in modern.models, "the call is served")
        others = [client.send("/v1/responses", body(f"m-{number}")) for number in range(2)]
        client.reset(hanging)
        eventually(lambda: modern.resets == [HANGS], "the provider hears of it")
        for status, answer in client.answers(others).values():
            assert status == 200
            assert_hello(answer)
        assert client.request("POST", "/v1/responses", body("last"))[0] == 200
    assert modern.protocols == ["h2"]


def test_many_calls_at_once_on_one_connection(bridge: Bridge, provider: Provider, model: str) -> None:
    """The provider speaks HTTP/1.1 and answers nobody until all are there: none waits for a connection."""
    provider.script(model, together(64, says("Hello.")))
    sockets = bridge.open_sockets()
    with connect(bridge, "h2") as connection:
        client = Http2(connection)
        streams = [client.send("/v1/responses", body(model)) for _ in range(64)]
        for status, answer in client.answers(streams).values():
            assert status == 200
            assert_hello(answer)
        eventually(lambda: bridge.open_sockets() <= sockets + 1, "connections that serve once are closed")


def test_a_client_keeps_its_connection_to_a_provider(bridge: Bridge, provider: Provider, model: str) -> None:
    with bridge.client() as client:
        for stream in (True, False, True):
            assert client.post("/v1/responses", json={"model": model, "input": "Hi", "stream": stream}).is_success
    assert len({call.connection for call in provider.calls(model)}) == 1


def test_a_provider_that_comes_back_is_found(start_bridge: StartBridge, original: Original) -> None:
    """It was out of reach for an earlier call of the same client, on the same connection."""
    with serving_http2(original.certificate) as gone:
        url = gone.base_url
    bridge = start_bridge(only(url, http2=True, overrides={"connect_timeout_s": 5}))
    with bridge.client() as client:
        for _ in range(2):
            assert client.post("/v1/responses", json={"model": "m", "input": "Hi"}).status_code == 502
        assert bridge.log.count("error establishing server connection") == 2, "the second call has tried it again"


def test_a_tls_session_is_taken_up_again(start_bridge: StartBridge, modern: Http2Provider) -> None:
    """By another client of the same bridge, once the connection of the first one has ended."""
    bridge = start_bridge(only(modern.base_url, http2=True))
    for number in range(4):
        assert bridge.respond("m", stream=True).status_code == 200
        eventually(lambda number=number: bridge.log.count("server disconnect") == number + 1, "it has ended")
    assert not modern.resumed[0]
    assert True in modern.resumed  # with some releases of the libraries every session can be taken up, with others not


@pytest.mark.parametrize("mode", ["of-the-provider", "of-mitmproxy"])
@pytest.mark.parametrize("kind", ["plain", "http2"])
def test_through_a_proxy(
    start_bridge: StartBridge, provider: Provider, modern: Http2Provider, proxy: Bridge, mode: str, kind: str
) -> None:
    url = provider.base_url if kind == "plain" else modern.base_url
    own = mode == "of-the-provider"
    config = only(url, http2=kind == "http2", **({"proxy": proxy.url} if own else {}))
    bridge = start_bridge(config, args=[] if own else ["--mode", f"upstream:{proxy.url}"])
    with bridge.client() as client:
        for _ in range(2):
            assert_hello(client.post("/v1/responses", content=body("m")).content)
    proxy.logged(f"server connect {url.split('/')[2]}")
    assert proxy.log.count("client connect") == 1
    assert PROVIDER_KEY not in bridge.log


def test_a_proxy_that_is_not_there(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(only(provider.base_url, proxy="http://127.0.0.1:9"))
    response = bridge.respond("m")
    assert response.status_code == 502
    assert "127.0.0.1:9" in response.json()["error"]["message"]
