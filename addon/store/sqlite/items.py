"""Rows of items: those of a response and those of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from addon.store.packing import pack_json, unpack_object
from addon.store.records import id_of
from addon.store.sqlite.database import Transaction
from addon.wire.json import JsonObject
from addon.wire.responses import OutputItem

PackedItem: TypeAlias = tuple[str, bytes]
"""Its id and its body."""

_ADD_TO_RESPONSE: Final = "INSERT INTO items (id, response, output, body) VALUES (?, ?, ?, ?)"
_ADD_TO_CONVERSATION: Final = """
    INSERT INTO items (id, conversation, body) VALUES (?, ?, ?)
    ON CONFLICT (conversation, id) WHERE conversation IS NOT NULL DO UPDATE SET body = excluded.body
"""
_FIND: Final = """
    SELECT items.body FROM items
    LEFT JOIN responses ON responses.seq = items.response
    LEFT JOIN threads ON threads.seq = items.conversation
    WHERE items.id = :id AND (
        responses.owner = :owner AND responses.body IS NOT NULL AND responses.stored_at > :oldest
        OR threads.owner = :owner AND threads.touched_at > :oldest)
    ORDER BY items.seq DESC LIMIT 1
"""


def pack_input(items: Sequence[JsonObject]) -> list[PackedItem]:
    return [(id_of(item), pack_json(item)) for item in items]


def pack_output(items: Sequence[OutputItem]) -> list[PackedItem]:
    return [(item["id"], pack_json(item)) for item in items]


def add_to_response(transaction: Transaction, response: int, items: Sequence[PackedItem], *, output: bool) -> None:
    transaction.executemany(_ADD_TO_RESPONSE, [(item_id, response, output, body) for item_id, body in items])


def add_to_conversation(transaction: Transaction, conversation: int, items: Sequence[PackedItem]) -> None:
    transaction.executemany(_ADD_TO_CONVERSATION, [(item_id, conversation, body) for item_id, body in items])


def packed_of_response(transaction: Transaction, response: int, *, output: bool) -> list[PackedItem]:
    query = "SELECT id, body FROM items WHERE response = ? AND output = ? ORDER BY seq"
    return transaction.execute(query, (response, output)).fetchall()


def items_of_response(transaction: Transaction, response: int, *, output: bool) -> list[JsonObject]:
    return [unpack_object(body) for _, body in packed_of_response(transaction, response, output=output)]


def find_item(transaction: Transaction, owner: str, item_id: str, oldest: float) -> JsonObject | None:
    row = transaction.execute(_FIND, {"owner": owner, "id": item_id, "oldest": oldest}).fetchone()
    return None if row is None else unpack_object(row[0])
