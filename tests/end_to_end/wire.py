"""Clients that say exactly what a test wants said: a bare TLS connection, and HTTP/2 and nothing else."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Sequence

import h2.config
import h2.connection
import h2.errors
import h2.events

from tests.end_to_end.process import Bridge
from tests.end_to_end.provider import PATIENCE_S


def connect(bridge: Bridge, *alpn: str, host: str = "api.openai.com") -> ssl.SSLSocket:
    """A TLS connection to the host through the proxy."""
    raw = socket.create_connection(bridge.address, timeout=PATIENCE_S)
    raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += raw.recv(4096)
    assert answer.split()[1] == b"200", answer
    context = bridge.tls()
    context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(raw, server_hostname=host)


class Http2:
    """A client that speaks HTTP/2 and nothing else."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        assert connection.selected_alpn_protocol() == "h2"
        self._socket = connection
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._events: deque[h2.events.Event] = deque()
        self.headers: dict[str, str] = {}
        """Those of the last answer."""

    def request(self, method: str, path: str, body: bytes = b"", **pseudo: str) -> tuple[int, bytes]:
        """One request; the status and the body of its answer."""
        stream = self._h2.get_next_available_stream_id()
        target = {":method": method, ":authority": "api.openai.com", ":scheme": "https", ":path": path}
        headers = {**target, **{f":{name}": value for name, value in pseudo.items()}}
        self._h2.send_headers(stream, list(headers.items()), end_stream=method != "CONNECT" and not body)
        while body:
            size = min(len(body), self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if size:
                portion, body = body[:size], body[size:]
                self._h2.send_data(stream, portion, end_stream=not body)
            else:
                self._exchange_bytes()
        return self._answer(stream)

    def send(self, path: str, body: bytes) -> int:
        """Only send a POST; the number of its stream, for `reset`."""
        stream = self._h2.get_next_available_stream_id()
        target = {":method": "POST", ":authority": "api.openai.com", ":scheme": "https", ":path": path}
        self._h2.send_headers(stream, list(target.items()))
        self._h2.send_data(stream, body, end_stream=True)
        self._socket.sendall(self._h2.data_to_send())
        return stream

    def reset(self, stream: int) -> None:
        """Take a request back."""
        self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._socket.sendall(self._h2.data_to_send())

    def answers(self, streams: Sequence[int]) -> dict[int, tuple[int, bytes]]:
        """Status and body of each of these, in whatever order they come."""
        statuses: dict[int, int] = {}
        bodies = dict.fromkeys(streams, b"")
        missing = set(streams)
        while missing:
            match event := self._next_event():
                case h2.events.ResponseReceived(stream_id=int(at)) if at in bodies:
                    statuses[at] = int(dict(event.headers or ())[":status"])
                case h2.events.DataReceived(stream_id=int(at)) if at in bodies:
                    bodies[at] += event.data or b""
                    self._h2.acknowledge_received_data(event.flow_controlled_length, at)
                case h2.events.StreamEnded(stream_id=int(at)):
                    missing.discard(at)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise AssertionError(event)
        return {stream: (statuses[stream], bodies[stream]) for stream in streams}

    def wait_for_reset(self, stream: int) -> None:
        """Read on until the other side takes its answer back."""
        while True:
            match self._next_event():
                case h2.events.DataReceived(stream_id=at) as event if at == stream:
                    self._h2.increment_flow_control_window(event.flow_controlled_length)
                case h2.events.StreamReset(stream_id=at) if at == stream:
                    return

    def _exchange_bytes(self) -> None:
        self._socket.sendall(self._h2.data_to_send())
        data = self._socket.recv(65536)
        assert data, "the connection was closed"
        self._events.extend(self._h2.receive_data(data))

    def _next_event(self) -> h2.events.Event:
        while not self._events:
            self._exchange_bytes()
        return self._events.popleft()

    def _answer(self, stream: int) -> tuple[int, bytes]:
        status, body = 0, b""
        while True:
            match event := self._next_event():
                case h2.events.ResponseReceived(stream_id=at) if at == stream:
                    self.headers = {str(name): str(value) for name, value in event.headers or ()}
                    status = int(self.headers[":status"])
                case h2.events.DataReceived(stream_id=at) if at == stream:
                    body += event.data or b""
                    self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                case h2.events.StreamEnded(stream_id=at) if at == stream:
                    return status, body
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise AssertionError(event)
