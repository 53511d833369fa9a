"""Server-sent events: bytes in any portions → events, and back.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT_CHARS = 16 * 1024 * 1024


class LineTooLong(ValueError):
    """A single line, or the data of a single event, is larger than the limit."""


@dataclass(frozen=True, slots=True)
class SSE:
    """One event as it stands on the wire. `event` is "" when the stream names none."""

    event: str
    data: str


class SSEParser:
    """Feed it bytes as they come; it yields each event once its blank line was seen.

    Tolerant as browsers are: CR, LF and CRLF mixed, a byte order mark, no space after the colon, comments,
    unknown fields, bytes that are not UTF-8 (U+FFFD). `flush` gives what a sender left without its blank line.
    """

    def __init__(self, *, max_event_chars: int = MAX_EVENT_CHARS) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._max = max_event_chars
        self._rest: list[str] = []
        self._rest_chars = 0
        self._skip_lf = False
        self._event = ""
        self._data: list[str] = []
        self._data_chars = 0

    def feed(self, chunk: bytes) -> Iterator[SSE]:
        """The events that `chunk` completes.

        Raises:
            LineTooLong: if the limit is passed; the parser is of no use afterwards.
        """
        yield from self._lines(self._decode(chunk))

    def flush(self) -> Iterator[SSE]:
        """The event that the end of the stream cut off before its blank line, if it has data."""
        yield from self._lines(self._decode(b"", True) + "\n\n")

    def _lines(self, text: str) -> Iterator[SSE]:
        if self._skip_lf and text:
            text = text[1:] if text[0] == "\n" else text
            self._skip_lf = False
        if not text:
            return
        self._skip_lf = text[-1] == "\r"
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        for line in lines:
            if self._rest:
                line = "".join([*self._rest, line])
                self._rest.clear()
                self._rest_chars = 0
            event = self._line(line)
            if event is not None:
                yield event
        if rest:
            self._rest.append(rest)
            self._rest_chars += len(rest)
            self._check(self._rest_chars)

    def _line(self, line: str) -> SSE | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name in ("data", "error"):
            if name == "error":  # not in the standard: some servers write `error: {...}` in the place of data
                self._event = "error"
            self._data_chars += len(value) + bool(self._data)  # lines are joined by a line break
            self._data.append(value)
            self._check(self._data_chars)
        return None

    def _dispatch(self) -> SSE | None:
        event, self._event = self._event, ""
        if not self._data:
            return None
        data = "\n".join(self._data)
        self._data.clear()
        self._data_chars = 0
        return SSE(event, data)

    def _check(self, chars: int) -> None:
        if chars > self._max:
            raise LineTooLong(f"an event of the stream is larger than {self._max} characters")


def encode(event: str, data: str) -> bytes:
    """One event of one data line. `data` holds no line break (JSON escapes them)."""
    return f"event: {event}\ndata: {data}\n\n".encode()
