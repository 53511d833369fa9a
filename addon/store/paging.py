"""One page of a list of items, as `after`, `limit` and `order` ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from addon.store.records import id_of
from addon.wire.json import JsonObject


class UnknownCursor(LookupError):
    """No item of the list has the id that the page should begin after."""


@dataclass(frozen=True, slots=True)
class Paging:
    limit: int = 20
    after: str | None = None
    """The page begins behind the item with this id, in the order asked for."""
    newest_first: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    items: Sequence[JsonObject]
    has_more: bool


def page_of(items: Sequence[JsonObject], paging: Paging) -> Page:
    """A page of items that are given oldest first.

    Raises:
        UnknownCursor: `after` is none of them.
    """
    ordered = items[::-1] if paging.newest_first else items
    start = 0 if paging.after is None else _position(ordered, paging.after) + 1
    end = start + paging.limit
    return Page(ordered[start:end], has_more=len(ordered) > end)


def _position(items: Sequence[JsonObject], item_id: str) -> int:
    for position, item in enumerate(items):
        if id_of(item) == item_id:
            return position
    raise UnknownCursor(item_id)
