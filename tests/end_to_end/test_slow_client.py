"""A client that does not read: its provider has to wait with it, and the bridge's memory stays what it was."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import Bridge, eventually
from tests.end_to_end.provider import DONE, PATIENCE_S, Provider, Reply, chunk, event, text_chunks
from tests.end_to_end.wire import Http2, connect

MIB = 1024 * 1024
PORTION = "x" * 32 * 1024


class Torrent:
    """Says more than anybody can hold, as fast as it is taken, and counts it."""

    def __init__(self, portions: int) -> None:
        self.portions = portions
        self.sent = 0
        self.gone = threading.Event()

    def __call__(self, reply: Reply) -> None:
        first, *_, last, end = text_chunks("")
        try:
            reply.start()
            reply.send(event(first))
            for _ in range(self.portions):
                reply.send(event(chunk({"content": PORTION})))
                self.sent += len(PORTION)
            for portion in (event(last), event(end), DONE):
                reply.send(portion)
            reply.finish()
        except OSError:
            self.gone.set()
            raise


def memory(bridge: Bridge) -> int:
    """Bytes that the process occupies."""
    return int(Path(f"/proc/{bridge.process.pid}/statm").read_text().split()[1]) * 4096


def at_rest(number: Callable[[], int]) -> Callable[[], bool]:
    """Whether a number has not changed for 50 looks at it."""
    seen: list[int] = []

    def look() -> bool:
        seen.append(number())
        return len(seen) > 50 and len(set(seen[-50:])) == 1

    return look


def asks(connection: ssl.SSLSocket, model: str) -> None:
    body = json.dumps({"model": model, "input": "Hi", "stream": True}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def test_the_provider_waits_for_the_client(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge()
    assert bridge.respond("warm-up", stream=True).status_code == 200
    torrent = Torrent(portions=1500)
    provider.script(model, torrent)
    before = memory(bridge)
    with connect(bridge, "http/1.1") as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        asks(connection, model)
        eventually(at_rest(lambda: torrent.sent), "nothing more is taken")

        assert 0 < torrent.sent < 20 * MIB, "the rest of it is what the sockets hold"
        assert memory(bridge) - before < 40 * MIB

        heard = 0
        while b"response.completed" not in (data := connection.recv(MIB)):
            assert data
            heard += len(data)
        assert torrent.sent == 1500 * len(PORTION)
        assert heard > torrent.sent


def test_an_http2_client_that_lets_nothing_through(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    """Its stream is reset; its other calls are served."""
    bridge = start_bridge(config_for(provider, limits="{unsent_bytes: 1048576}"))
    torrent = Torrent(portions=1500)
    provider.script(model, torrent)
    before = memory(bridge)
    with connect(bridge, "h2") as connection:
        client = Http2(connection)
        body = json.dumps({"model": model, "input": "Hi", "stream": True}).encode()
        stream = client.send("/v1/responses", body)
        bridge.logged("An answer has been cut off: the client does not take its answer (limits.unsent_bytes)")

        assert torrent.gone.wait(PATIENCE_S)
        assert torrent.sent < 20 * MIB
        assert memory(bridge) - before < 40 * MIB
        client.wait_for_reset(stream)
        other = json.dumps({"model": f"{model}-other", "input": "Hi"}).encode()
        assert client.request("POST", "/v1/responses", other)[0] == 200


def test_a_client_that_never_reads_again(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(config_for(provider, limits="{unread_s: 1}"))
    torrent = Torrent(portions=1500)
    provider.script(model, torrent)
    with connect(bridge, "http/1.1") as connection:
        asks(connection, model)
        bridge.logged("A client has been dropped: it has not read its answer for a long time (limits.unread_s)")

        assert torrent.gone.wait(PATIENCE_S)
        bridge.logged("client gone")
