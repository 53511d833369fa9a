"""The items of recent answers, so that a client may send `item_reference` in their place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from addon.wire.json import dumps, loads
from addon.wire.responses import Item, OutputItem, read_item


class RecentItems:
    """Items by caller and id, in memory; the least recently used go first.

    Args:
        max_items, max_chars: what it holds at most, in all (characters of JSON).
    """

    def __init__(self, *, max_items: int = 20_000, max_chars: int = 64 * 1024 * 1024) -> None:
        self._items: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._max_items = max_items
        self._max_chars = max_chars
        self._chars = 0

    def add(self, caller: str, items: Iterable[OutputItem]) -> None:
        for item in items:
            key, text = (caller, item["id"]), dumps(item)
            self._forget(key)
            self._items[key] = text
            self._chars += len(text)
        while len(self._items) > self._max_items or self._chars > self._max_chars:
            self._forget(next(iter(self._items)))

    def get(self, caller: str, item_id: str) -> Item | None:
        """The item that this caller was given under this id; None if it is not, or no longer, known."""
        text = self._items.get((caller, item_id))
        if text is None:
            return None
        self._items.move_to_end((caller, item_id))
        return read_item(loads(text))

    def _forget(self, key: tuple[str, str]) -> None:
        text = self._items.pop(key, None)
        if text is not None:
            self._chars -= len(text)
