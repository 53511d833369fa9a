"""A provider that does as it is told: a small chat/completions server on loopback, with a script for each model.

A `Behaviour` is called with a `Reply` for each request, and does whatever it wants with the connection. Waiting is done
on gates (`threading.Event`), never by the clock.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

PATIENCE_S = 15.0
"""What anything may take before a test has failed."""

Chunk = Mapping[str, Any]


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire. Header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    connection: int
    """Which connection it came on; the same number is the same connection."""

    @property
    def body(self) -> dict[str, Any]:
        content = json.loads(self.raw) if self.raw else {}
        assert isinstance(content, dict)
        return content

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))


class Reply:
    """What a behaviour has in its hands: the request, and the connection to answer on."""

    def __init__(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        self._handler = handler
        self._chunked = False
        self.received = received

    def start(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        """The status and headers of an answer that is sent in portions.

        `retry_after="3"` is a header Retry-After; without a value a header is left out.
        """
        self._head(status, {"content-type": content_type, "transfer-encoding": "chunked", **headers})
        self._chunked = True

    def send(self, data: bytes) -> None:
        """One portion of the body."""
        self._write(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    def finish(self) -> None:
        """The end of an answer that is sent in portions."""
        self._write(b"0\r\n\r\n")

    def whole(self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> None:
        """An answer at once."""
        self._head(status, {"content-type": content_type, "content-length": str(len(body)), **headers})
        self._write(body)

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self._write(data)

    def cut(self) -> None:
        """Drop the connection."""
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Drop the connection as a machine does that has crashed: nothing that was sent is certain to arrive."""
        self._handler.close_connection = True
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())

    def closed_by_peer(self) -> bool:
        """Wait until the other side closes the connection; False if it does not."""
        self._handler.connection.settimeout(PATIENCE_S)
        self._handler.close_connection = True
        try:
            return self._handler.connection.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self._handler.send_response_only(status)
        for name, value in headers.items():
            if value:
                self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def _write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()


Behaviour: TypeAlias = Callable[[Reply], None]


# --- what providers say


def chunk(delta: Chunk | None = None, *, finish: str | None = None, **more: object) -> dict[str, Any]:
    """One chunk of a stream. `chunk({"content": "Hi"})`, `chunk(finish="stop")`."""
    choice = {"index": 0, "delta": dict(delta or {}), "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [choice], **more}


def usage(prompt: int = 7, completion: int = 3) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def text_chunks(*texts: str) -> list[dict[str, Any]]:
    """A whole stream: these texts, one a chunk, then the end and the usage."""
    deltas = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    return [*deltas, chunk(finish="stop"), {**chunk(), "choices": [], "usage": usage()}]


def call_chunks(*calls: tuple[str, str, str]) -> list[dict[str, Any]]:
    """A whole stream that calls tools: (call id, name, arguments) each."""
    chunks = [chunk({"role": "assistant", "content": None})]
    for index, (call_id, name, arguments) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        chunks.append(
            chunk({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        )
        chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
    return [*chunks, chunk(finish="tool_calls"), {**chunk(), "choices": [], "usage": usage()}]


def completion(text: str = "Hello.", **message: object) -> dict[str, Any]:
    """A whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage()}


def merged(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """The whole answer that a stream of chunks amounts to."""
    content: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish = "stop"
    for choice in (choice for each in chunks for choice in each["choices"]):
        content.append(choice["delta"].get("content") or "")
        finish = choice["finish_reason"] or finish
        for call in choice["delta"].get("tool_calls", ()):
            known = calls.setdefault(call["index"], {**call, "function": {"name": "", "arguments": ""}})
            for key, value in call["function"].items():
                known["function"][key] += value
    message: dict[str, Any] = {"role": "assistant", "content": "".join(content)}
    if calls:
        message["tool_calls"] = list(calls.values())
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage()}


def event(data: Chunk) -> bytes:
    """A chunk as an event of the stream."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


# --- behaviours


def answers(*chunks: Chunk) -> Behaviour:
    """Streams the chunks if the request asks for a stream, else says the same as one completion."""

    def behave(reply: Reply) -> None:
        if reply.received.body.get("stream"):
            streams(*map(event, chunks), DONE)(reply)
        else:
            reply.whole(json.dumps(merged(chunks)).encode())

    return behave


def says(*texts: str) -> Behaviour:
    """`answers` with plain text."""
    return answers(*text_chunks(*texts))


def calls_tools(*calls: tuple[str, str, str]) -> Behaviour:
    """`answers` with calls of tools: (call id, name, arguments) each."""
    return answers(*call_chunks(*calls))


def streams(*portions: bytes | threading.Event, **headers: str) -> Behaviour:
    """A stream of these bytes, and nothing else; at an event it waits until that is set."""

    def behave(reply: Reply) -> None:
        reply.start(**headers)
        for portion in portions:
            if isinstance(portion, bytes):
                reply.send(portion)
            else:
                assert portion.wait(PATIENCE_S)
        reply.finish()

    return behave


def streams_then_cuts(*portions: bytes) -> Behaviour:
    """A stream whose connection breaks in the middle."""

    def behave(reply: Reply) -> None:
        reply.start()
        for portion in portions:
            reply.send(portion)
        reply.cut()

    return behave


def sends(body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Behaviour:
    """Exactly this answer."""
    return lambda reply: reply.whole(body, status, content_type, **headers)


def sends_json(body: object, status: int = 200, **headers: str) -> Behaviour:
    return sends(json.dumps(body).encode(), status, **headers)


def fails(status: int, message: str = "no", code: str = "bad", **headers: str) -> Behaviour:
    """An error as OpenAI and its imitators send it."""
    return sends_json({"error": {"message": message, "type": "error", "param": None, "code": code}}, status, **headers)


def sends_gzip(body: object) -> Behaviour:
    return sends(gzip.compress(json.dumps(body).encode()), content_encoding="gzip")


def cuts(reply: Reply) -> None:
    """Drops the connection before a word was said."""
    reply.cut()


def cuts_after_headers(reply: Reply) -> None:
    reply.start()
    reply.cut()


def closes_when_reused(behaviour: Behaviour) -> Behaviour:
    """Answers with `behaviour` and promises to keep the connection, then closes it when the next request comes."""
    seen: set[int] = set()

    def behave(reply: Reply) -> None:
        if reply.received.connection in seen:
            reply.cut()
            return
        seen.add(reply.received.connection)
        behaviour(reply)

    return behave


def holds(gate: threading.Event, behaviour: Behaviour) -> Behaviour:
    """Says nothing until the gate opens."""

    def behave(reply: Reply) -> None:
        assert gate.wait(PATIENCE_S)
        behaviour(reply)

    return behave


def together(count: int, behaviour: Behaviour) -> Behaviour:
    """Answers nobody until `count` requests are there."""
    barrier = threading.Barrier(count)

    def behave(reply: Reply) -> None:
        barrier.wait(PATIENCE_S)
        behaviour(reply)

    return behave


@dataclass
class Watched:
    """Streams one portion, then waits for the other side to go: `gone` is set when it has."""

    first: bytes
    started: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def __call__(self, reply: Reply) -> None:
        if self.first:
            reply.start()
            reply.send(self.first)
        self.started.set()
        if reply.closed_by_peer():
            self.gone.set()


# --- the server


class Provider(ThreadingHTTPServer):
    """Answers POSTs by the script of the model they name; models without one are told "Hello."."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self._scripts: dict[str, deque[Behaviour]] = {}
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._open: set[int] = set()
        self.connection_numbers = itertools.count(1)

    @property
    def base_url(self) -> str:
        """For `base_url:` of a provider in bridge.yaml."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def script(self, model: str, *behaviours: Behaviour) -> None:
        """What happens to the requests for this model, one after the other; the last one holds for all that follow."""
        with self._lock:
            self._scripts[model] = deque(behaviours)

    def calls(self, model: str | None = None) -> list[Received]:
        """The requests that have come, for one model or for all."""
        with self._lock:
            return [each for each in self._received if model is None or each.model == model]

    @property
    def open_connections(self) -> int:
        """How many stand at this moment."""
        with self._lock:
            return len(self._open)

    def opened(self, connection: int) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: int) -> None:
        with self._lock:
            self._open.discard(connection)

    def call(self, model: str) -> Received:
        """The one request that has come for this model."""
        found = self.calls(model)
        assert len(found) == 1, f"{len(found)} calls of {model}"
        return found[0]

    def take(self, received: Received) -> Behaviour:
        """Put a request on record; what is to happen to it."""
        with self._lock:
            self._received.append(received)
            script = self._scripts.get(received.model)
            if not script:
                return says("Hello.")
            return script.popleft() if len(script) > 1 else script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """That the other side has gone is for the test to judge; anything else is a mistake in a behaviour."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.number = next(self.server.connection_numbers)
        self.server.opened(self.number)

    def finish(self) -> None:
        self.server.closed(self.number)
        super().finish()

    def do_POST(self) -> None:
        received = Received(
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("content-length", "0"))),
            self.number,
        )
        self.server.take(received)(Reply(self, received))

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `Provider.calls`."""


@contextmanager
def serving(provider: Provider | None = None) -> Iterator[Provider]:
    """A provider while the block runs."""
    with provider or Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            provider.shutdown()
            thread.join()
