"""Conversations in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from addon.store.packing import pack_conversation, unpack_conversation, unpack_object
from addon.store.paging import Page, Paging, UnknownCursor
from addon.store.records import Conversation
from addon.store.sqlite.database import Database, Transaction
from addon.store.sqlite.items import PackedItem, add_to_conversation, pack_input
from addon.store.sqlite.retention import Retention
from addon.wire.json import JsonObject

_FIND: Final = """
    SELECT seq, body FROM threads
    WHERE owner = :owner AND conversation = :id AND conversation IS NOT NULL AND touched_at > :oldest
"""
_CREATE: Final = "INSERT OR IGNORE INTO threads (owner, conversation, touched_at, body) VALUES (?, ?, ?, ?)"
_PAGE: Final = {
    False: "SELECT body FROM items WHERE conversation = ? AND seq > ? ORDER BY seq LIMIT ?",
    True: "SELECT body FROM items WHERE conversation = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
}
_BEFORE_ALL: Final = {False: -1, True: 2**63 - 1}


class SqliteConversations:
    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention

    def create(self, owner: str, conversation: Conversation, items: Sequence[JsonObject] = ()) -> None:
        packed = pack_input(items)
        row = (owner, conversation.id, self._retention.now(), pack_conversation(conversation))
        with self._database.writing() as transaction:
            created = transaction.execute(_CREATE, row)
            if created.rowcount and (seq := created.lastrowid) is not None:
                add_to_conversation(transaction, seq, packed)
                self._retention.make_room(transaction, keep=seq)

    def get(self, owner: str, conversation_id: str) -> Conversation | None:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, conversation_id)
            return None if found is None else unpack_conversation(found[1])

    def set_metadata(self, owner: str, conversation_id: str, metadata: JsonObject) -> Conversation | None:
        with self._database.writing() as transaction:
            found = self._find(transaction, owner, conversation_id)
            if found is None:
                return None
            after = replace(unpack_conversation(found[1]), metadata=metadata)
            transaction.execute("UPDATE threads SET body = ? WHERE seq = ?", (pack_conversation(after), found[0]))
            self._touch(transaction, found[0])
            return after

    def delete(self, owner: str, conversation_id: str) -> bool:
        with self._database.writing() as transaction:
            found = self._find(transaction, owner, conversation_id)
            if found is not None:
                transaction.execute("DELETE FROM threads WHERE seq = ?", (found[0],))
            return found is not None

    def add_items(self, owner: str, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        packed = pack_input(items)
        with self._database.writing() as transaction:
            return self.append(transaction, owner, conversation_id, packed)

    def append(self, transaction: Transaction, owner: str, conversation_id: str, items: Sequence[PackedItem]) -> bool:
        """Append within a transaction that does more than this."""
        found = self._find(transaction, owner, conversation_id)
        if found is None:
            return False
        add_to_conversation(transaction, found[0], items)
        self._touch(transaction, found[0])
        return True

    def items(self, owner: str, conversation_id: str) -> list[JsonObject] | None:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, conversation_id)
            if found is None:
                return None
            rows = transaction.execute("SELECT body FROM items WHERE conversation = ? ORDER BY seq", (found[0],))
            return [unpack_object(body) for (body,) in rows]

    def page(self, owner: str, conversation_id: str, paging: Paging) -> Page | None:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, conversation_id)
            return None if found is None else _page(transaction, found[0], paging)

    def item(self, owner: str, conversation_id: str, item_id: str) -> JsonObject | None:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, conversation_id)
            if found is None:
                return None
            query = "SELECT body FROM items WHERE conversation = ? AND id = ?"
            row = transaction.execute(query, (found[0], item_id)).fetchone()
            return None if row is None else unpack_object(row[0])

    def delete_item(self, owner: str, conversation_id: str, item_id: str) -> bool:
        with self._database.writing() as transaction:
            found = self._find(transaction, owner, conversation_id)
            if found is None:
                return False
            query = "DELETE FROM items WHERE conversation = ? AND id = ?"
            return transaction.execute(query, (found[0], item_id)).rowcount > 0

    def _find(self, transaction: Transaction, owner: str, conversation_id: str) -> tuple[int, bytes] | None:
        parameters = {"owner": owner, "id": conversation_id, "oldest": self._retention.oldest}
        row: tuple[int, bytes] | None = transaction.execute(_FIND, parameters).fetchone()
        return row

    def _touch(self, transaction: Transaction, seq: int) -> None:
        transaction.execute("UPDATE threads SET touched_at = ? WHERE seq = ?", (self._retention.now(), seq))
        self._retention.make_room(transaction, keep=seq)


def _page(transaction: Transaction, conversation: int, paging: Paging) -> Page:
    start = _start(transaction, conversation, paging)
    rows = transaction.execute(_PAGE[paging.newest_first], (conversation, start, paging.limit + 1)).fetchall()
    return Page([unpack_object(body) for (body,) in rows[: paging.limit]], has_more=len(rows) > paging.limit)


def _start(transaction: Transaction, conversation: int, paging: Paging) -> int:
    if paging.after is None:
        return _BEFORE_ALL[paging.newest_first]
    query = "SELECT seq FROM items WHERE conversation = ? AND id = ?"
    row = transaction.execute(query, (conversation, paging.after)).fetchone()
    if row is None:
        raise UnknownCursor(paging.after)
    return int(row[0])
