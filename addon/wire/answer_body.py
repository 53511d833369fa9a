"""A provider's body in any portions → server-sent events, or one whole document: whichever it turns out to be."""

from __future__ import annotations

from collections.abc import Iterator

from addon.wire.sse import MAX_EVENT_CHARS, SSE, SSEParser


class AnswerBody:
    """Tells by the first byte whether a body is a stream, whatever was asked for and whatever its headers say.

    Args:
        event_chars: the largest event that is read.
    """

    def __init__(self, event_chars: int = MAX_EVENT_CHARS) -> None:
        self.is_stream = False
        self._is_known = False
        self._sse = SSEParser(max_event_chars=event_chars)
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[SSE]:
        """The events that `data` completes; none of a whole document.

        Raises:
            LineTooLong: an event is larger than is read.
        """
        if not self._is_known:
            data = self._sniff(data)
        if self.is_stream:
            yield from self._sse.feed(data)
        elif data:
            self._rest.append(data)

    def flush(self) -> Iterator[SSE]:
        """The event that the end of the body cut off before its blank line.

        Raises: as `feed`.
        """
        if self.is_stream:
            yield from self._sse.flush()

    @property
    def whole(self) -> bytes:
        """The document, if the body is none of events."""
        return b"".join(self._rest)

    def _sniff(self, data: bytes) -> bytes:
        """Returns what was held back till then. Blank lines may come for minutes before the first byte."""
        data = b"".join([*self._rest, data])
        self._rest.clear()
        start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start:
            return data[-4:]
        self._is_known = True
        self.is_stream = start[:1] not in (b"{", b"[", b"<", b'"')
        return data
