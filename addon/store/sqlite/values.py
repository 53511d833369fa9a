"""Values with an end, in SQLite."""

from __future__ import annotations

import math
from typing import Final

from addon.store.packing import pack, unpack
from addon.store.sqlite.database import Database
from addon.store.sqlite.retention import Retention

_PUT: Final = 'INSERT OR REPLACE INTO "values" (kind, key, expires_at, value) VALUES (?, ?, ?, ?)'
_GET: Final = 'SELECT value FROM "values" WHERE kind = ? AND key = ? AND expires_at > ?'
_KEEP: Final = 'INSERT INTO "values" (kind, key, expires_at, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'
_DELETE: Final = 'DELETE FROM "values" WHERE kind = ? AND key = ?'


class SqliteValues:
    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention

    def get(self, kind: str, key: str) -> bytes | None:
        with self._database.reading() as transaction:
            row = transaction.execute(_GET, (kind, key, self._retention.now())).fetchone()
        return None if row is None else unpack(row[0])

    def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        row = (kind, key, self._retention.now() + ttl, pack(value))
        with self._database.writing() as transaction:
            transaction.execute(_PUT, row)
            self._retention.make_room(transaction)

    def delete(self, kind: str, key: str) -> None:
        with self._database.writing() as transaction:
            transaction.execute(_DELETE, (kind, key))

    def settle(self, kind: str, key: str, value: bytes) -> bytes:
        """Values make room in the order in which they end, so what has no end goes last."""
        with self._database.writing() as transaction:
            transaction.execute(_KEEP, (kind, key, math.inf, pack(value)))
            row = transaction.execute(_GET, (kind, key, self._retention.now())).fetchone()
        return unpack(row[0])
