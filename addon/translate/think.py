"""Thinking inside the text: `<think>…</think>` at the beginning of what the model says, cut into portions anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from addon.wire.chat import Piece


class ThinkSplitter:
    """Text as it comes → pieces of reasoning and of text.

    Only a block at the very beginning counts: tags in later text are the model's words (it may write about HTML).
    A block that is never closed is all reasoning. The last piece of a closed one may be empty.

    Args:
        tags: pairs of an opening and a closing tag.
    """

    def __init__(self, tags: Sequence[tuple[str, str]]) -> None:
        self._tags = tags
        self._pending = ""
        self._closing = ""
        self._begun = False
        self._decided = not tags

    def feed(self, text: str) -> Iterator[Piece]:
        if self._decided and not self._closing:
            yield Piece("text", text)
            return
        self._pending += text
        if not self._decided:
            self._decide()
        if self._closing:
            yield from self._inside()
        elif self._decided:
            yield from self._rest()

    def flush(self) -> Iterator[Piece]:
        """What was held because it could still become a tag. Tags from here on are text."""
        self._decided = True
        if self._pending:
            yield Piece("reasoning" if self._closing else "text", self._pending)
        self._pending = self._closing = ""

    def _decide(self) -> None:
        start = self._pending.lstrip()
        for opening, closing in self._tags:
            if start.startswith(opening):
                self._decided, self._closing = True, closing
                self._pending = start.removeprefix(opening)
                return
        self._decided = bool(start) and not any(opening.startswith(start) for opening, _ in self._tags)

    def _inside(self) -> Iterator[Piece]:
        if not self._begun and self._pending:
            self._begun = True
            self._pending = self._pending.removeprefix("\n")
        thought, closing, rest = self._pending.partition(self._closing)
        if closing:
            self._closing = ""
            self._pending = rest
            yield Piece("reasoning", thought.rstrip("\n"))
            yield from self._rest()
            return
        # Hold what may be the closing tag's beginning, and line ends, which belong to the tag if it follows.
        keep = _overlap(thought, self._closing)
        safe = thought[: len(thought) - keep].rstrip("\n")
        self._pending = thought[len(safe) :]
        if safe:
            yield Piece("reasoning", safe)

    def _rest(self) -> Iterator[Piece]:
        text, self._pending = self._pending, ""
        if text:
            yield Piece("text", text)


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` are the beginning of `tag`."""
    for length in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
