"""What is in the file, for who operates the bridge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from addon.store.records import OwnedResponse, Stats, Summary
from addon.store.sqlite.database import Database
from addon.store.sqlite.responses import SqliteResponses
from addon.store.sqlite.retention import Retention, bytes_used, response_count

_SUMMARIES: Final = """
    SELECT owner, id, status, model, created_at, conversation, length(body) + event_bytes
        + (SELECT ifnull(sum(length(body)), 0) FROM items WHERE response = responses.seq)
    FROM responses WHERE body IS NOT NULL AND stored_at > ? ORDER BY seq
"""
_OWNERS: Final = "SELECT owner FROM responses WHERE id = ? ORDER BY seq"
_EVERYTHING: Final = -1


class SqliteInspection:
    def __init__(self, database: Database, retention: Retention, responses: SqliteResponses) -> None:
        self._database = database
        self._retention = retention
        self._responses = responses

    def summaries(self) -> Iterator[Summary]:
        with self._database.reading() as transaction:
            rows = transaction.execute(_SUMMARIES, (self._retention.oldest,)).fetchall()
        return (Summary(*row) for row in rows)

    def find(self, response_id: str) -> list[OwnedResponse]:
        with self._database.reading() as transaction:
            owners = [owner for (owner,) in transaction.execute(_OWNERS, (response_id,))]
        found = ((owner, self._responses.get(owner, response_id)) for owner in owners)
        return [OwnedResponse(owner, stored) for owner, stored in found if stored is not None]

    def stats(self) -> Stats:
        with self._database.reading() as transaction:
            conversations = transaction.execute("SELECT count(*) FROM threads WHERE conversation IS NOT NULL")
            values = transaction.execute('SELECT count(*) FROM "values"')
            return Stats(
                place=self._database.place,
                responses=response_count(transaction),
                conversations=conversations.fetchone()[0],
                values=values.fetchone()[0],
                size=bytes_used(transaction),
            )

    def vacuum(self) -> None:
        with self._database.writing() as transaction:
            self._retention.expire(transaction, _EVERYTHING)
        self._database.vacuum()
