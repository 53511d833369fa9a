"""What was dropped or bent on the way, for the log line, the trace and the header `x-bridge-notes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One thing the provider got differently than the client sent it.

    `what` is the path of the parameter or the kind of the item ("truncation", "tools: web_search"), `why` a clause
    a user understands without this code.
    """

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class Notes:
    """The notes of one call, in order, each once."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}

    def add(self, what: str, why: str) -> None:
        self._notes.setdefault(Note(what, why))

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes)

    def __len__(self) -> int:
        return len(self._notes)

    def header(self, limit: int = 2000) -> str:
        """All notes in one header value: printable ASCII, `limit` characters at most."""
        return header_value("; ".join(str(note) for note in self._notes), limit)


def header_value(text: str, limit: int = 2000) -> str:
    """Text as the value of a header, which nothing in it can end."""
    text = "".join(char if " " <= char <= "~" else "?" for char in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."
