"""A body that may be a stream or a document, in any portions."""

from __future__ import annotations

import pytest

from addon.wire.answer_body import AnswerBody
from addon.wire.sse import SSE


def read(portions: list[bytes]) -> tuple[list[SSE], bytes]:
    body = AnswerBody()
    events = [event for portion in portions for event in body.feed(portion)]
    return [*events, *body.flush()], body.whole


@pytest.mark.parametrize(
    "start", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"], ids=["nothing", "lines", "mark", "blanks"]
)
@pytest.mark.parametrize(
    ("rest", "events", "whole"),
    [
        (b'{"a":1}', [], b'{"a":1}'),
        (b"[1]", [], b"[1]"),
        (b"<html>", [], b"<html>"),
        (b"data: 1\n\ndata: 2", [SSE("", "1"), SSE("", "2")], b""),
        (b": comment\n\nevent: x\ndata: 1\n\n", [SSE("x", "1")], b""),
    ],
    ids=["object", "list", "page", "stream", "comment"],
)
def test_the_first_byte_tells(start: bytes, rest: bytes, events: list[SSE], whole: bytes) -> None:
    body = start + rest
    for portions in ([body], [body[i : i + 1] for i in range(len(body))]):
        told, document = read(portions)
        assert told == events
        assert document.strip(b"\xef\xbb\xbf \r\n") == whole


def test_nothing_at_all() -> None:
    assert read([]) == ([], b"")
    assert read([b" ", b"\n"])[0] == []
