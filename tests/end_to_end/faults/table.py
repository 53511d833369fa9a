"""The faults: what a provider does, and what a client then hears. The expectations of every cell follow from a row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.end_to_end.faults.servers import Place
from tests.end_to_end.provider import (
    DONE,
    Behaviour,
    Reply,
    call_chunks,
    chunk,
    completion,
    cuts,
    cuts_after_headers,
    event,
    fails,
    sends,
    sends_json,
    streams,
    streams_then_cuts,
    text_chunks,
)

SHORT_S = 0.4
"""The patience of the bridge with a provider that says nothing."""

KIB = 1024
LIMITS = {"answer_bytes": 512 * KIB, "event_chars": 64 * KIB}
"""Of the bridge: so small that too much is soon sent."""

Ending = Literal["completed", "incomplete", "failed"]


@dataclass(frozen=True, eq=False)
class Fault:
    """One way to fail. `status`, `code`, `words` and `headers` are the error for the client, if it gets one."""

    id: str
    does: Behaviour = cuts
    at: Place = "provider"
    patience: Mapping[str, float] = field(default_factory=dict)
    """Timeouts of the provider's profile."""
    streamed: bool = False
    """It happens in a stream, which the provider is asked for whatever the client wants."""
    opened: bool = False
    """A streaming client has `response.created` by then, and nothing else."""
    told: str | None = None
    """The text a streaming client has by then; None: it has heard of no output item."""
    arguments: str | None = None
    """The arguments of a tool call it has heard of by then."""
    ends: Ending = "failed"
    """How the response ends; if it has not failed there is no other try."""
    moves: bool = True
    """Another target may do better."""
    status: int = 502
    code: str = "server_error"
    words: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def binds(self) -> bool:
        """A streaming client has heard of an output item, with which no other provider can go on."""
        return self.told is not None or self.arguments is not None


# --- what they do


def raw(*portions: bytes) -> Behaviour:
    """Bytes on the wire, then the end of the connection."""

    def behave(reply: Reply) -> None:
        for portion in portions:
            reply.write(portion)
        reply.cut()

    return behave


def resets(reply: Reply) -> None:
    reply.reset()


def resets_after_headers(reply: Reply) -> None:
    reply.start()
    reply.reset()


def is_silent(reply: Reply) -> None:
    reply.closed_by_peer()


def falls_silent_after(*portions: bytes) -> Behaviour:
    def behave(reply: Reply) -> None:
        reply.start()
        for portion in portions:
            reply.send(portion)
        reply.closed_by_peer()

    return behave


def streams_then_writes(portions: Sequence[bytes], rest: bytes) -> Behaviour:
    """A stream that goes on with bytes that are no chunk of a chunked body."""

    def behave(reply: Reply) -> None:
        reply.start()
        for portion in portions:
            reply.send(portion)
        reply.write(rest)
        reply.cut()

    return behave


def writes_without_end(reply: Reply) -> None:
    """One line of a stream, until the other side has had enough."""
    reply.start()
    reply.send(b"data: ")
    for _ in range(64):
        reply.send(b"x" * 16 * KIB)
    reply.finish()


def head(status: str = "200 OK", content_type: str = "application/json", **headers: object) -> bytes:
    fields = {"content-type": content_type, **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode()


HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>nginx is sad</h1></body></html>"
ANSWER = json.dumps(completion("Hello.")).encode()
HELLO = [event(each) for each in text_chunks("Hel", "lo.")]
ROLE, HEL, LO, STOP, USAGE = HELLO
CALL = [event(each) for each in call_chunks(("call_1", "get_weather", '{"city": "Par'))][:3]
SAD = event({"error": {"message": "all is lost", "type": "server_error", "code": "overloaded"}})


BOMB = gzip.compress(b'{"x": "' + b"x" * 16 * KIB * KIB)


def _stream_of(content: bytes) -> Behaviour:
    return sends(content, content_type="text/event-stream", content_encoding="gzip")


# --- the table

IMPATIENT = {"connect_timeout_s": SHORT_S, "first_byte_timeout_s": SHORT_S, "idle_timeout_s": SHORT_S}
LATE = {"status": 504, "code": "upstream_timeout"}
UNREADABLE = {"code": "upstream_invalid"}


def _unreachable() -> Iterator[Fault]:
    """There is no connection."""
    yield Fault("refused", at="closed", words=("it was refused",))
    yield Fault("unknown-host", at="unknown", words=("name",))
    yield Fault("tls-to-plain-port", at="tls to plain", words=("TLS",))
    yield Fault("tls-untrusted", at="untrusted", words=("ertificate",))
    yield Fault("tls-silent", at="silent tls", patience=IMPATIENT, words=("could not be connected",), **LATE)
    yield Fault("full", at="full", patience=IMPATIENT, words=("could not be connected",), **LATE)
    yield Fault("closed-at-once", at="closing")


def _broken_heads() -> Iterator[Fault]:
    """The connection ends before there is an answer."""
    yield Fault("cut", cuts)
    yield Fault("reset", resets)
    yield Fault("cut-after-headers", cuts_after_headers)
    yield Fault("reset-after-headers", resets_after_headers)
    yield Fault("half-headers", raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev"))
    yield Fault("garbage", raw(b"\x00\xff\x16\x03garbage\r\n\r\n"))
    yield Fault("another-protocol", raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))
    yield Fault("silent", is_silent, patience=IMPATIENT, words=("did not begin to answer",), **LATE)
    yield Fault("silent-after-headers", falls_silent_after(), streamed=True, patience=IMPATIENT, **LATE)


def _refusals() -> Iterator[Fault]:
    """Errors as providers send them."""
    for status in (408, 409, 425):
        yield Fault(f"{status}", fails(status), status=status, code="bad")
        yield Fault(
            f"{status}-retry-after",
            fails(status, retry_after="7"),
            status=status,
            code="bad",
            headers={"retry-after": "7"},
        )
    limited = {"status": 429, "code": "rate_limit_exceeded"}
    yield Fault("429", fails(429), headers={"retry-after": "5"}, **limited)
    yield Fault("429-retry-after", fails(429, retry_after="7"), headers={"retry-after": "7"}, **limited)
    yield Fault("429-retry-after-ms", fails(429, retry_after_ms="6500"), headers={"retry-after": "7"}, **limited)
    yield Fault("500", fails(500, "all is lost"), words=("all is lost",))
    yield Fault("502-html", sends(HTML, 502, "text/html"), words=("nginx is sad",))
    yield Fault("503", fails(503), status=503)
    yield Fault("503-retry-after", fails(503, retry_after="7"), status=503, headers={"retry-after": "7"})
    yield Fault("504", fails(504), status=504)
    yield Fault("529", fails(529), status=503)
    yield Fault("401", fails(401), status=401, code="invalid_api_key")
    yield Fault("402", fails(402), status=429, code="insufficient_quota", headers={"x-should-retry": "false"})
    yield Fault("403", fails(403), status=403, code="bad")
    yield Fault("404", fails(404), status=404, code="upstream_not_found")
    yield Fault("400", fails(400, "no such thing"), moves=False, status=400, code="bad", words=("no such thing",))
    yield Fault("error-without-end", raw(head("500 Oops", content_length=900), b'{"error": {'))
    yield Fault("redirect", sends(b"", 307, location="http://elsewhere.invalid/"), words=("307",), **UNREADABLE)


def _no_answers() -> Iterator[Fault]:
    """Status 200, and nothing that could be told."""
    yield Fault("html", sends(HTML, content_type="text/html"), words=("not JSON", "nginx is sad"))
    yield Fault("empty", sends(b""))
    yield Fault("204", sends(b"", 204))
    yield Fault("words", sends(b"what?", content_type="text/plain"))
    yield Fault("empty-stream", streams(), streamed=True)
    yield Fault("error-object", sends_json({"error": {"message": "all is lost"}}), words=("all is lost",))
    yield Fault("null-choices", sends_json({"id": "1", "object": "chat.completion", "choices": None}), **UNREADABLE)
    yield Fault("no-choices", sends_json({"id": "1", "object": "chat.completion", "choices": []}), **UNREADABLE)
    yield Fault("error-first", streams(SAD, DONE), streamed=True, words=("all is lost",))
    yield Fault("done-first", streams(DONE), streamed=True)
    yield Fault("garbage-events", streams(b"data: {bad json\n\ndata: \xff\xfe\n\n"), streamed=True)


def _broken_bodies() -> Iterator[Fault]:
    """The body is not what its headers say, before anything could be told."""
    yield Fault("length-too-large", raw(head(content_length=len(ANSWER) + 50), ANSWER))
    yield Fault("length-too-small", raw(head(content_length=len(ANSWER) - 50), ANSWER), words=("not JSON",))
    yield Fault("bad-chunk", streams_then_writes([], b"zz\r\nnot a chunk\r\n"), streamed=True)
    yield Fault("strange-encoding", sends(b"x", content_encoding="rot13"), words=("rot13",), **UNREADABLE)
    yield Fault("not-gzip", sends(b"not gzip", content_encoding="gzip"), **UNREADABLE)
    yield Fault("half-gzip", sends(gzip.compress(ANSWER)[:-30], content_encoding="gzip"), words=("not JSON",))
    yield Fault("bomb", sends(BOMB, content_encoding="gzip"), **UNREADABLE)
    yield Fault("bomb-in-stream", _stream_of(BOMB), streamed=True, **UNREADABLE)
    yield Fault("giant", sends(b'{"x": "' + b"x" * 1024 * KIB), **UNREADABLE)
    yield Fault("giant-head", raw(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1024 * KIB + b"\r\n"))
    yield Fault("endless-line", writes_without_end, streamed=True, **UNREADABLE)


def _broken_streams() -> Iterator[Fault]:
    """The answer has begun."""
    begun: Mapping[str, bool] = {"streamed": True, "opened": True}
    yield Fault("cut-after-role", streams_then_cuts(ROLE), **begun)
    yield Fault("silent-after-role", falls_silent_after(ROLE), patience=IMPATIENT, **LATE, **begun)
    yield Fault("error-after-role", streams(ROLE, SAD), words=("all is lost",), **begun)
    yield Fault("done-after-role", streams(ROLE, DONE), **begun)
    yield Fault("cut-in-text", streams_then_cuts(ROLE, HEL), told="Hel", **begun)
    yield Fault("silent-in-text", falls_silent_after(ROLE, HEL), told="Hel", patience=IMPATIENT, **LATE, **begun)
    yield Fault("error-in-text", streams(ROLE, HEL, SAD), told="Hel", words=("all is lost",), **begun)
    yield Fault("bad-chunk-in-text", streams_then_writes([ROLE, HEL], b"zz\r\nno chunk\r\n"), told="Hel", **begun)
    yield Fault("cut-in-call", streams_then_cuts(*CALL), arguments='{"city": "Par', **begun)
    yield Fault("error-in-call", streams(*CALL, SAD), arguments='{"city": "Par', words=("all is lost",), **begun)
    yield Fault(
        "silent-in-call",
        falls_silent_after(*CALL),
        arguments='{"city": "Par',
        patience=IMPATIENT,
        **LATE,
        **begun,
    )
    yield Fault(
        "cut-in-second-call",
        streams_then_cuts(*CALL, event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}))),
        arguments='{"city": "Par',
        **begun,
    )


def _no_faults() -> Iterator[Fault]:
    """What looks like a fault, and is none, or not one that another try could mend."""
    yield Fault("no-done", streams(*HELLO), streamed=True, told="Hello.", ends="completed")
    yield Fault("no-finish", streams(ROLE, HEL, LO, DONE), streamed=True, told="Hello.", ends="completed")
    yield Fault("cut-after-finish", streams_then_cuts(*HELLO), streamed=True, told="Hello.", ends="completed")
    yield Fault("neither", streams(ROLE, HEL), streamed=True, told="Hel", ends="incomplete")
    gzipped = gzip.compress(ROLE + HEL, mtime=0)[:-8]
    yield Fault("half-gzip-in-text", _stream_of(gzipped), streamed=True, told="Hel", ends="incomplete")


FAULTS = [
    *_unreachable(),
    *_broken_heads(),
    *_refusals(),
    *_no_answers(),
    *_broken_bodies(),
    *_broken_streams(),
    *_no_faults(),
]


# --- the matrix


@dataclass(frozen=True)
class Cell:
    """A fault, and how it is met."""

    number: int
    fault: Fault
    stream: bool
    """The client wants a stream."""
    http2: bool
    second: bool
    """There is a second target, which is well."""

    @property
    def id(self) -> str:
        form, protocol = "stream" if self.stream else "json", "h2" if self.http2 else "h1"
        return f"{self.fault.id}-{form}-{protocol}-{'two' if self.second else 'one'}"

    @property
    def outcome(self) -> Literal["none", "second", "error", "opened", "told"]:
        """What the client hears: as if nothing were wrong, the second target, an error with a status of its own, or a
        stream that was opened, or has told something, before it fails."""
        fault = self.fault
        if fault.ends != "failed":
            return "none"
        if self.stream and fault.binds:
            return "told"
        if self.second and fault.moves:
            return "second"
        return "opened" if self.stream and fault.opened else "error"


def _cells() -> Iterator[Cell]:
    forms = [(stream, http2, second) for stream in (False, True) for http2 in (False, True) for second in (False, True)]
    for fault in FAULTS:
        for form in forms:
            yield Cell(FAULTS.index(fault) * len(forms) + forms.index(form), fault, *form)


CELLS = list(_cells())
