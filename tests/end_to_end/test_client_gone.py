"""The client goes away: at whatever stage its call is, the call of the provider ends and nothing is left of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import PROVIDER_KEY, Bridge, eventually
from tests.end_to_end.provider import (
    PATIENCE_S,
    Provider,
    Watched,
    event,
    holds,
    says,
    text_chunks,
)
from tests.end_to_end.wire import Http2, connect

HELLO = [event(each) for each in text_chunks("Hel", "lo.")]


class Caller:
    """One call whose answer nobody waits for: over HTTP/1.1 it goes with its connection, over HTTP/2 by a reset."""

    def __init__(self, bridge: Bridge, protocol: str) -> None:
        self._connection = connect(bridge, protocol)
        self._http2 = Http2(self._connection) if protocol == "h2" else None
        self._stream = 0

    def call(self, model: str, text: str = "Hi") -> None:
        body = json.dumps({"model": model, "input": text, "stream": True}).encode()
        if self._http2 is not None:
            self._stream = self._http2.send("/v1/responses", body)
        else:
            head = f"POST /v1/responses HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: {len(body)}\r\n\r\n"
            self._connection.sendall(head.encode() + body)

    def hear(self, word: bytes) -> None:
        """Wait for a word of the answer."""
        heard = b""
        while self._http2 is None and word not in heard:
            heard += self._connection.recv(4096)

    def go(self) -> None:
        if self._http2 is not None:
            self._http2.reset(self._stream)
        else:
            self._connection.close()

    def close(self) -> None:
        self._connection.close()


both_protocols = pytest.mark.parametrize("protocol", ["http/1.1", "h2"])


@both_protocols
@pytest.mark.parametrize("first", [b"", HELLO[1]], ids=["before-the-headers", "in-the-stream"])
def test_a_call_that_the_provider_serves(
    bridge: Bridge, provider: Provider, model: str, protocol: str, first: bytes
) -> None:
    watched = Watched(first)
    provider.script(model, watched)
    files = len(bridge.open_files())
    caller = Caller(bridge, protocol)
    caller.call(model)
    assert watched.started.wait(PATIENCE_S)

    caller.go()

    assert watched.gone.wait(PATIENCE_S)
    caller.close()
    eventually(lambda: len(bridge.open_files()) <= files, "its connections are closed")


@both_protocols
def test_a_call_that_waits_for_its_turn(
    start_bridge: StartBridge, provider: Provider, model: str, protocol: str
) -> None:
    """It leaves the line: its provider never hears of it, and the next one moves up."""
    one = f"{{test: {{base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}, max_concurrent: 1}}}}"
    bridge = start_bridge(
        config_for(provider, providers=one, models="{'*': 'test/{model}'}", keepalive="{early_headers_after_s: 0.1}")
    )
    gate = threading.Event()
    provider.script(f"{model}-first", holds(gate, says("First.")))
    with ExitStack() as stack:
        first, gone, last = (Caller(bridge, protocol) for _ in range(3))
        for caller in (first, gone, last):
            stack.callback(caller.close)
        first.call(f"{model}-first")
        eventually(lambda: provider.calls(f"{model}-first"), "the first is served")
        gone.call(f"{model}-gone")
        gone.hear(b"response.created")
        last.call(f"{model}-last")
        gone.go()
        bridge.logged(f"responses {model}-gone -> test/{model}-gone")
        eventually(lambda: "client gone" in bridge.log, "it has left")
        assert not provider.calls(f"{model}-last")
        gate.set()
        eventually(lambda: provider.calls(f"{model}-last"), "the last one has its turn")

    assert not provider.calls(f"{model}-gone")


@contextmanager
def full_server() -> Iterator[str]:
    """The URL of a server whose machine does not take any more connections: they do not come to stand."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def mute_server() -> Iterator[str]:
    """The URL of a server that takes connections, and never says a word of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"


@both_protocols
@pytest.mark.parametrize("server", [full_server, mute_server], ids=["connecting", "in-the-tls-handshake"])
def test_a_call_that_is_being_connected(start_bridge: StartBridge, protocol: str, server: object) -> None:
    assert callable(server)
    with server() as url:
        bridge = start_bridge(f"providers: {{test: {{base_url: '{url}', api_key: none, profile: generic}}}}")
        caller = Caller(bridge, protocol)
        caller.call("m")
        eventually(lambda: connecting(bridge, url), "it is being connected")
        caller.go()
        bridge.logged("responses m -> test/m 0 client gone")
        eventually(lambda: not connecting(bridge, url), "it is no longer being connected")
        caller.close()


def connecting(bridge: Bridge, url: str) -> bool:
    """Whether the bridge has a socket for this server."""
    port = f":{int(url.split(':')[2].split('/')[0]):04X}"
    inodes = {link.split("[")[1][:-1] for link in bridge.open_files() if link.startswith("socket:")}
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(port) and row[9] in inodes for row in rows)


def test_a_provider_that_does_not_take_the_request(start_bridge: StartBridge) -> None:
    """What it has not read is dropped with the connection, which would stay open for it."""
    with mute_server() as url:
        plain = url.replace("https", "http")
        bridge = start_bridge(f"providers: {{test: {{base_url: '{plain}', api_key: none, profile: generic}}}}")
        caller = Caller(bridge, "http/1.1")
        caller.call("m", "long " * 4_000_000)
        eventually(lambda: connecting(bridge, url), "the request is on its way")
        caller.go()
        bridge.logged("responses m -> test/m 0 client gone")
        eventually(lambda: not connecting(bridge, url), "nothing stays open")
