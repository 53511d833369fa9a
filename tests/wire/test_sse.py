"""Server-sent events, in any portions and any newline style."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.sse import SSE, LineTooLong, SSEParser, encode


def parse(*portions: bytes) -> list[SSE]:
    parser = SSEParser()
    return [*(event for portion in portions for event in parser.feed(portion)), *parser.flush()]


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut % (len(body) + 1) for cut in cuts)
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param(b"data: a\n\n", [SSE("", "a")], id="plain"),
        pytest.param(b"data:a\n\n", [SSE("", "a")], id="no-space"),
        pytest.param(b"data:  a\n\n", [SSE("", " a")], id="only-one-space-is-taken"),
        pytest.param(b"data: a\ndata: b\n\n", [SSE("", "a\nb")], id="lines"),
        pytest.param(b"data\ndata\n\n", [SSE("", "\n")], id="field-without-colon"),
        pytest.param(b"event: e\ndata: a\n\ndata: b\n\n", [SSE("e", "a"), SSE("", "b")], id="named"),
        pytest.param(b"event: e\n\ndata: b\n\n", [SSE("", "b")], id="a-name-without-data-is-forgotten"),
        pytest.param(b": hi\n\n:\n\nid: 1\nretry: 2\nfoo: x\noops\n\ndata: a\n\n", [SSE("", "a")], id="ignored"),
        pytest.param(b"\n\n\r\n\r\ndata: a\n\n\n\n", [SSE("", "a")], id="blank-lines"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [SSE("", "a")], id="byte-order-mark"),
        pytest.param(b"data: \xff\xc3\n\n", [SSE("", "��")], id="not-utf-8"),
        pytest.param(
            "data: é 😀 \u2028\x0b\n\n".encode(), [SSE("", "é 😀 \u2028\x0b")], id="other-line-breaks-are-text"
        ),
        pytest.param(b'error: {"a":1}\n\n', [SSE("error", '{"a":1}')], id="error-line"),
        pytest.param(b"data: a", [SSE("", "a")], id="no-end"),
        pytest.param(b"data: a\r", [SSE("", "a")], id="half-an-end"),
        pytest.param(b"data: \xc3", [SSE("", "�")], id="half-a-character"),
        pytest.param(b": hi", [], id="comment-without-end"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_parse(body: bytes, events: list[SSE]) -> None:
    assert parse(body) == events


LINES = st.sampled_from(
    ["data: é😀", "data:x", "data: a: b", "event: e", ": c", "id: 1", "", "", "oops", "error: x", "data"]
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(st.lists(LINES, max_size=12), st.data())
def test_any_split_and_any_newlines_give_the_same_events(lines: list[str], data: st.DataObject) -> None:
    ends = data.draw(st.lists(ENDS, min_size=len(lines), max_size=len(lines)))
    # An empty line between CR and LF would be read as one CRLF: after CR it must not be a bare LF.
    for number in range(1, len(lines)):
        if not lines[number] and ends[number - 1] == "\r" and ends[number] == "\n":
            ends[number] = "\r\n"
    body = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    cuts = data.draw(st.lists(st.integers(0, 400), max_size=8))

    assert parse(*split(body, cuts)) == parse("\n".join([*lines, ""]).encode())


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_are_borne(body: bytes, cuts: list[int]) -> None:
    assert parse(*split(body, cuts)) == parse(body)


def test_events_come_as_soon_as_they_are_whole() -> None:
    parser = SSEParser()

    assert list(parser.feed(b"data: a\n")) == []
    assert list(parser.feed(b"\ndata: b")) == [SSE("", "a")]
    assert list(parser.flush()) == [SSE("", "b")]


@pytest.mark.parametrize(
    "portions",
    [
        [b"data: " + b"x" * 20],
        [b"data: xxxxx", b"xxxxx", b"xxxxx"],
        [b": xxxxx", b"xxxxx", b"xxxxx"],
        [b"data: xxxxx\n", b"data: xxxxx\n"],
        [b"error: xxxxx\n", b"error: xxxxx\n"],
    ],
    ids=["line", "portions", "comment", "lines", "error-lines"],
)
def test_the_limit(portions: list[bytes]) -> None:
    parser = SSEParser(max_event_chars=9)

    with pytest.raises(LineTooLong, match="larger than 9 characters"):
        list(chain.from_iterable(map(parser.feed, portions)))


def test_the_limit_is_for_each_event() -> None:
    parser = SSEParser(max_event_chars=9)

    assert len(list(parser.feed(b"data: xxx\n\n" * 50))) == 50


def test_a_long_line_in_small_portions_is_not_slow() -> None:
    parser = SSEParser()
    events = [event for _ in range(200_000) for event in parser.feed(b"data:")]

    assert events == []
    assert len(next(parser.flush()).data) == 5 * 200_000 - 5


@given(st.text().filter(lambda text: not set(text) & set("\r\n")))
def test_what_is_written_can_be_read(data: str) -> None:
    written = encode("response.created", data)

    assert parse(written) == [SSE("response.created", data)]
    assert written.endswith(b"\n\n")
