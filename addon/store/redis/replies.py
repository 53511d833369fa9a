"""What the scripts take and what they return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from addon.store.packing import pack_json
from addon.store.records import id_of
from addon.store.redis.client import Reply
from addon.wire.json import JsonObject
from addon.wire.responses import OutputItem

PackedItem: TypeAlias = tuple[str, bytes]
"""Its id and its body."""


def pack_each(items: Iterable[JsonObject]) -> list[PackedItem]:
    return [(id_of(item), pack_json(item)) for item in items]


def pack_output(items: Iterable[OutputItem]) -> list[PackedItem]:
    return [(item["id"], pack_json(item)) for item in items]


def flattened(items: Sequence[PackedItem]) -> list[str | bytes]:
    """Id and body by turns, as the scripts take them."""
    return [part for item in items for part in item]


def expect_bytes(reply: Reply) -> bytes:
    assert isinstance(reply, bytes), "the script returns a string there"
    return reply


def expect_list(reply: Reply) -> list[Reply]:
    assert isinstance(reply, list), "the script returns a list"
    return reply


def optional_text(reply: Reply) -> str | None:
    return None if reply is None else expect_bytes(reply).decode()
