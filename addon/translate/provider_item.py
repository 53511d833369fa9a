"""One output item of a provider's Responses stream while it comes in, and which of them an event is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from addon.translate.items import CallState
from addon.wire.responses_stream import PieceKind, ProviderItem, Where

_HOLDERS: Final[dict[PieceKind, tuple[str, ...]]] = {
    "text": ("message",),
    "refusal": ("message",),
    "reasoning": ("reasoning",),
    "summary": ("reasoning",),
    "arguments": ("function_call", "custom_tool_call"),
}
"""The types of items that hold a kind of piece."""


@dataclass(eq=False, slots=True)
class IncomingItem:
    """What is known of an item, and how much of it the client was told."""

    type: str
    where: Where
    call_id: str = ""
    call: CallState | None = None
    """The call that it is, once its tool is known."""
    may_end: bool = False
    """The call can be told as whole before the answer is."""
    done: bool = False
    annotations: int = 0
    """How many were told."""
    _told: defaultdict[PieceKind, list[str]] = field(default_factory=lambda: defaultdict(list))
    _parts: dict[PieceKind, int] = field(default_factory=dict)

    def told(self, kind: PieceKind) -> str:
        return "".join(self._told[kind])

    def add(self, kind: PieceKind, text: str) -> None:
        self._told[kind].append(text)

    def has(self, kind: PieceKind) -> bool:
        return bool(self._told[kind])

    def begins_part(self, kind: PieceKind, part: int) -> bool:
        """Whether a piece is the first of a part that is not the first."""
        before = self._parts.get(kind)
        self._parts[kind] = part
        return before is not None and part != before

    def rest(self, kind: PieceKind, whole: str) -> str:
        """What is still to be told of the whole text. If another was told it is nothing: that cannot be taken back."""
        told = self.told(kind)
        return whole[len(told) :] if whole.startswith(told) else ""

    def holds(self, kind: PieceKind) -> bool:
        return self.type in _HOLDERS[kind]


class IncomingItems:
    """All items of one answer, in their order.

    Items are told apart by their index. Where that is missing it is the id; where that is missing too, or another one
    in each event, what comes belongs to the item that came last.
    """

    def __init__(self) -> None:
        self._items: list[IncomingItem] = []

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, where: Where, item_type: str, call_id: str = "") -> IncomingItem:
        item = IncomingItem(item_type, where, call_id)
        self._items.append(item)
        return item

    def of_piece(self, where: Where, kind: PieceKind) -> IncomingItem | None:
        """The item that a piece belongs to, perhaps one that is done; None if none is known."""
        if self._items and self._items[-1].holds(kind) and _names(where, self._items[-1]):
            return self._items[-1]
        fitting = [item for item in reversed(self._items) if item.holds(kind)]
        named = next((item for item in fitting if _names(where, item)), None)
        return named or _last_open(fitting, where)

    def of_item(self, where: Where, item: ProviderItem) -> IncomingItem | None:
        """The one that an event shows whole."""
        fitting = [each for each in reversed(self._items) if each.type == item.type and _same_call(each, item)]
        named = next((each for each in fitting if _names(where, each)), None)
        return named or _last_open(fitting, where)

    def matched(self, items: list[ProviderItem]) -> list[tuple[IncomingItem | None, ProviderItem]]:
        """The items of the whole answer, each with the one that it was while it came in."""
        left = list(self._items)
        pairs: list[tuple[IncomingItem | None, ProviderItem]] = []
        for item in items:
            fitting = [each for each in left if each.type == item.type and _same_call(each, item)]
            found = next((each for each in fitting if item.id and each.where.item_id == item.id), None)
            found = found or (fitting[0] if fitting else None)
            if found is not None:
                left.remove(found)
            pairs.append((found, item))
        return pairs


def _names(where: Where, item: IncomingItem) -> bool:
    if where.index is not None and item.where.index is not None:
        return where.index == item.where.index
    return bool(where.item_id) and where.item_id == item.where.item_id


def _last_open(items: Iterable[IncomingItem], where: Where) -> IncomingItem | None:
    """The first of the items that may be meant by something that names none."""
    unnamed = (item for item in items if where.index is None or item.where.index is None)
    return next((item for item in unnamed if not item.done), None)


def _same_call(known: IncomingItem, item: ProviderItem) -> bool:
    """Two calls that have ids are the same if these are."""
    return not known.call_id or not item.call_id or known.call_id == item.call_id
