"""One call of a client over HTTP/1.1 or HTTP/2, and a second one on the same connection."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from ssl import SSLSocket
from typing import Any

from tests.end_to_end.process import Bridge, events_of
from tests.end_to_end.wire import Http2, connect

PATH = "/v1/responses"


@dataclass(frozen=True)
class Heard:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    seconds: float
    next_status: int
    """Of the next call on the same connection."""

    @property
    def json(self) -> dict[str, Any]:
        content = json.loads(self.body)
        assert isinstance(content, dict)
        return content

    @property
    def events(self) -> Sequence[dict[str, Any]]:
        return events_of(self.body.decode())


def call(bridge: Bridge, model: str, *, stream: bool, http2: bool, next_model: str) -> Heard:
    body = {"model": model, "input": "Hi", "stream": stream, "tools": [WEATHER]}
    with connect(bridge, "h2" if http2 else "http/1.1") as connection:
        ask = _over_http2(connection) if http2 else _over_http1(connection)
        began = time.monotonic()
        status, headers, answer = ask(body)
        seconds = time.monotonic() - began
        return Heard(status, headers, answer, seconds, ask({"model": next_model, "input": "Hi"})[0])


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def _over_http1(connection: SSLSocket) -> Any:
    def ask(body: Mapping[str, object]) -> tuple[int, dict[str, str], bytes]:
        raw = json.dumps(body).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: {len(raw)}\r\n\r\n"
        connection.sendall(head.encode() + raw)
        response = HTTPResponse(connection, method="POST")
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()

    return ask


def _over_http2(connection: SSLSocket) -> Any:
    client = Http2(connection)

    def ask(body: Mapping[str, object]) -> tuple[int, dict[str, str], bytes]:
        status, answer = client.request("POST", PATH, json.dumps(body).encode())
        return status, client.headers, answer

    return ask
