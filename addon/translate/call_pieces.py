"""Pieces of tool calls, as a provider streams them → the calls that they make up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from addon.translate.items import CallState
from addon.wire.chat import CallPiece
from addon.wire.json import JsonObject, is_cut_off


@dataclass(slots=True)
class PartialCall:
    """A tool call while its pieces come in."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)
    custom: bool = False
    state: CallState | None = None
    """Its item in the answer, once that has been told of it: a call needs a name for that."""

    told: int = 0
    """How many of the pieces have been told."""
    begun: bool = False
    """It has more than blanks of them."""

    def is_whole(self) -> bool:
        return not is_cut_off("".join(self.pieces))

    def untold(self) -> str:
        """The arguments that have not been told yet. A first `{}` waits: some servers send the true arguments behind
        it."""
        text = self.rest()
        if not self.begun and text.lstrip().startswith("{}"):
            text = text.lstrip().removeprefix("{}")
            if not text.strip():
                return ""
        self.told = len(self.pieces)
        self.begun = self.begun or bool(text.strip())
        return text

    def rest(self) -> str:
        return "".join(self.pieces[self.told :])


class Calls:
    """Which call a piece belongs to, in all the ways providers number them, or do not."""

    def __init__(self) -> None:
        self._calls: list[PartialCall] = []
        self._by_index: dict[int, PartialCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __iter__(self) -> Iterator[PartialCall]:
        return iter(self._calls)

    def unnamed(self) -> list[PartialCall]:
        return [call for call in self._calls if call.state is None]

    def of(self, piece: CallPiece) -> PartialCall:
        call = self._by_index.get(piece.index) if piece.index is not None else self._without_index(piece)
        if call is not None and _is_another(call, piece):
            call = next((other for other in self._calls if piece.id and not _is_another(other, piece)), None)
        if call is None:
            call = PartialCall()
            self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        call.custom = call.custom or piece.custom
        return call

    def _without_index(self, piece: CallPiece) -> PartialCall | None:
        """A known id continues its call, a new one begins one; without an id it is the last."""
        if piece.id:
            return next((call for call in self._calls if call.id == piece.id), None)
        return self._calls[-1] if self._calls else None


def _is_another(call: PartialCall, piece: CallPiece) -> bool:
    """True if `piece` begins another call, though its index, or the lack of one, says that it continues `call`."""
    if piece.id and call.id and piece.id != call.id:
        return True
    if not piece.name or not call.name:
        return False
    if piece.name != call.name:
        return True
    return not piece.id and call.is_whole() and (piece.index is None or bool(piece.arguments.strip()))
