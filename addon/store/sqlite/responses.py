"""Responses in SQLite, and the chains they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from addon.store.errors import PredecessorGone
from addon.store.packing import pack_events, pack_response, unpack_events, unpack_object, unpack_response
from addon.store.records import CONTINUABLE, StoredEvent, StoredResponse, is_running
from addon.store.sqlite.conversations import SqliteConversations
from addon.store.sqlite.database import Database, Transaction
from addon.store.sqlite.items import (
    add_to_response,
    find_item,
    items_of_response,
    pack_input,
    pack_output,
    packed_of_response,
)
from addon.store.sqlite.retention import Retention
from addon.wire.json import JsonObject
from addon.wire.responses import ResponseObject

_FIND: Final = """
    SELECT seq, thread, conversation, runner, body FROM responses
    WHERE owner = :owner AND id = :id AND body IS NOT NULL AND stored_at > :oldest
"""
_START_THREAD: Final = "INSERT INTO threads (owner, touched_at) VALUES (?, ?)"
_INSERT: Final = """
    INSERT INTO responses
        (thread, parent, owner, id, stored_at, created_at, status, model, conversation, runner, body)
    VALUES (:thread, :parent, :owner, :id, :now, :created_at, :status, :model, :conversation, :runner, :body)
"""
_UPDATE: Final = "UPDATE responses SET status = ?, model = ?, runner = ?, body = ? WHERE seq = ?"
_CHAIN: Final = """
    WITH RECURSIVE chain (seq, parent, depth) AS (
        SELECT seq, parent, 0 FROM responses
        WHERE owner = :owner AND id = :id AND body IS NOT NULL AND stored_at > :oldest
        UNION ALL
        SELECT responses.seq, responses.parent, depth + 1 FROM chain JOIN responses ON responses.seq = chain.parent
    )
    SELECT items.body FROM chain LEFT JOIN items ON items.response = chain.seq ORDER BY depth DESC, items.seq
"""
_COUNT_EVENTS: Final = "UPDATE responses SET event_bytes = min(event_bytes + :size, :beyond) WHERE seq = :seq"
_FORGET: Final = "UPDATE responses SET body = NULL, runner = NULL, status = 'deleted' WHERE seq = ?"
_DROP_UNLESS_NEEDED: Final = """
    DELETE FROM responses
    WHERE seq = :seq AND body IS NULL AND NOT EXISTS (SELECT 1 FROM responses WHERE parent = :seq)
"""
_DROP_THREAD_IF_EMPTY: Final = """
    DELETE FROM threads WHERE seq = :thread AND NOT EXISTS (SELECT 1 FROM responses WHERE thread = :thread)
"""


@dataclass(frozen=True, slots=True)
class _Found:
    seq: int
    thread: int
    conversation: str | None
    runner: str | None
    body: bytes


class SqliteResponses:
    def __init__(self, database: Database, retention: Retention, conversations: SqliteConversations) -> None:
        self._database = database
        self._retention = retention
        self._conversations = conversations

    def add(self, owner: str, stored: StoredResponse) -> None:
        response = stored.response
        body, sent, said = pack_response(response), pack_input(stored.input), pack_output(response["output"])
        with self._database.writing() as transaction:
            if _is_there(transaction, owner, response["id"]):
                return
            parent, thread = self._place(transaction, owner, stored.parent)
            seq = self._insert(transaction, owner, stored, body, parent, thread)
            add_to_response(transaction, seq, sent, output=False)
            add_to_response(transaction, seq, said, output=True)
            self._touch(transaction, thread)
            if stored.conversation is not None and response["status"] in CONTINUABLE:
                self._conversations.append(transaction, owner, stored.conversation, [*sent, *said])

    def update(self, owner: str, response: ResponseObject, events: Sequence[StoredEvent] = ()) -> bool:
        batch = pack_events(events)
        body, said = pack_response(response), pack_output(response["output"])
        with self._database.writing() as transaction:
            found = self._find_running(transaction, owner, response["id"])
            if found is None:
                return False
            self._append(transaction, found.seq, events, batch)
            runner = found.runner if is_running(response) else None
            transaction.execute(_UPDATE, (response["status"], response["model"], runner, body, found.seq))
            transaction.execute("DELETE FROM items WHERE response = ? AND output", (found.seq,))
            add_to_response(transaction, found.seq, said, output=True)
            self._touch(transaction, found.thread)
            if found.conversation is not None and response["status"] in CONTINUABLE:
                sent = packed_of_response(transaction, found.seq, output=False)
                self._conversations.append(transaction, owner, found.conversation, [*sent, *said])
            return True

    def get(self, owner: str, response_id: str) -> StoredResponse | None:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, response_id)
            return None if found is None else _read(transaction, found)

    def delete(self, owner: str, response_id: str) -> bool:
        with self._database.writing() as transaction:
            found = self._find(transaction, owner, response_id)
            if found is None:
                return False
            transaction.execute("DELETE FROM events WHERE response = ?", (found.seq,))
            transaction.execute(_FORGET, (found.seq,))
            _drop_unneeded(transaction, found)
            return True

    def history(self, owner: str, response_id: str) -> list[JsonObject] | None:
        parameters = self._named(owner, response_id)
        with self._database.reading() as transaction:
            rows = transaction.execute(_CHAIN, parameters).fetchall()
        return [unpack_object(body) for (body,) in rows if body is not None] if rows else None

    def find_item(self, owner: str, item_id: str) -> JsonObject | None:
        with self._database.reading() as transaction:
            return find_item(transaction, owner, item_id, self._retention.oldest)

    def append_events(self, owner: str, response_id: str, events: Sequence[StoredEvent]) -> bool:
        batch = pack_events(events)
        with self._database.writing() as transaction:
            found = self._find_running(transaction, owner, response_id)
            if found is not None:
                self._append(transaction, found.seq, events, batch)
            return found is not None

    def events(self, owner: str, response_id: str, after: int = -1) -> list[StoredEvent]:
        with self._database.reading() as transaction:
            found = self._find(transaction, owner, response_id)
            if found is None:
                return []
            query = "SELECT last, body FROM events WHERE response = ? AND last > ? ORDER BY last"
            rows = transaction.execute(query, (found.seq, after)).fetchall()
        return [event for last, body in rows for event in unpack_events(last, body) if event.number > after]

    def _named(self, owner: str, response_id: str) -> dict[str, str | float]:
        return {"owner": owner, "id": response_id, "oldest": self._retention.oldest}

    def _find(self, transaction: Transaction, owner: str, response_id: str) -> _Found | None:
        row = transaction.execute(_FIND, self._named(owner, response_id)).fetchone()
        return None if row is None else _Found(*row)

    def _find_running(self, transaction: Transaction, owner: str, response_id: str) -> _Found | None:
        found = self._find(transaction, owner, response_id)
        return None if found is None or found.runner is None else found

    def _place(self, transaction: Transaction, owner: str, parent: str | None) -> tuple[int | None, int]:
        """What the new response continues, and the thread it belongs to."""
        if parent is None:
            row = (owner, self._retention.now())
            return None, _seq(transaction.execute(_START_THREAD, row).lastrowid)
        found = self._find(transaction, owner, parent)
        if found is None:
            raise PredecessorGone(parent)
        return found.seq, found.thread

    def _insert(
        self,
        transaction: Transaction,
        owner: str,
        stored: StoredResponse,
        body: bytes,
        parent: int | None,
        thread: int,
    ) -> int:
        response = stored.response
        row = {
            "thread": thread,
            "parent": parent,
            "owner": owner,
            "id": response["id"],
            "now": self._retention.now(),
            "created_at": response["created_at"],
            "status": response["status"],
            "model": response["model"],
            "conversation": stored.conversation,
            "runner": stored.runner if is_running(response) else None,
            "body": body,
        }
        return _seq(transaction.execute(_INSERT, row).lastrowid)

    def _touch(self, transaction: Transaction, thread: int) -> None:
        transaction.execute("UPDATE threads SET touched_at = ? WHERE seq = ?", (self._retention.now(), thread))
        self._retention.make_room(transaction, keep=thread)

    def _append(self, transaction: Transaction, seq: int, events: Sequence[StoredEvent], batch: bytes) -> None:
        if events and self._has_room_for_events(transaction, seq, len(batch)):
            transaction.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", (seq, events[-1].number, batch))

    def _has_room_for_events(self, transaction: Transaction, seq: int, size: int) -> bool:
        """Once there was none there is none any more, so that no gap is followed by more."""
        most = self._retention.limits.max_event_bytes
        transaction.execute(_COUNT_EVENTS, {"seq": seq, "size": size, "beyond": most + 1})
        counted = transaction.execute("SELECT event_bytes FROM responses WHERE seq = ?", (seq,)).fetchone()
        return bool(counted[0] <= most)


def _is_there(transaction: Transaction, owner: str, response_id: str) -> bool:
    query = "SELECT 1 FROM responses WHERE owner = ? AND id = ?"
    return transaction.execute(query, (owner, response_id)).fetchone() is not None


def _read(transaction: Transaction, found: _Found) -> StoredResponse:
    parent = transaction.execute(
        "SELECT parents.id FROM responses JOIN responses AS parents ON parents.seq = responses.parent"
        " WHERE responses.seq = ?",
        (found.seq,),
    ).fetchone()
    return StoredResponse(
        response=unpack_response(found.body, items_of_response(transaction, found.seq, output=True)),
        input=items_of_response(transaction, found.seq, output=False),
        parent=None if parent is None else parent[0],
        conversation=found.conversation,
        runner=found.runner,
    )


def _drop_unneeded(transaction: Transaction, found: _Found) -> None:
    """Erase a deleted response that nothing continues, and then what it continued, if the same is true of that."""
    seq: int | None = found.seq
    while seq is not None:
        parent = transaction.execute("SELECT parent FROM responses WHERE seq = ?", (seq,)).fetchone()
        if transaction.execute(_DROP_UNLESS_NEEDED, {"seq": seq}).rowcount == 0:
            return
        seq = parent[0]
    transaction.execute(_DROP_THREAD_IF_EMPTY, {"thread": found.thread})


def _seq(lastrowid: int | None) -> int:
    assert lastrowid is not None, "a row has been inserted"
    return lastrowid
