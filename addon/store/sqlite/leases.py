"""Which processes are alive, in SQLite."""

from __future__ import annotations

from typing import Final

from addon.store.records import OwnedResponse
from addon.store.sqlite.database import Database
from addon.store.sqlite.responses import SqliteResponses
from addon.store.sqlite.retention import Retention

_ABANDONED: Final = """
    SELECT seq, owner, id FROM responses
    WHERE runner IS NOT NULL AND runner <> :process
    AND runner NOT IN (SELECT process FROM leases WHERE until > :now)
"""


class SqliteLeases:
    def __init__(self, database: Database, retention: Retention, responses: SqliteResponses) -> None:
        self._database = database
        self._retention = retention
        self._responses = responses

    def hold(self, process: str, seconds: float) -> None:
        now = self._retention.now()
        with self._database.writing() as transaction:
            transaction.execute("INSERT OR REPLACE INTO leases VALUES (?, ?)", (process, now + seconds))
            transaction.execute("DELETE FROM leases WHERE until <= ?", (now,))

    def release(self, process: str) -> None:
        with self._database.writing() as transaction:
            transaction.execute("DELETE FROM leases WHERE process = ?", (process,))

    def abandoned(self, process: str) -> list[OwnedResponse]:
        with self._database.writing() as transaction:
            rows = transaction.execute(_ABANDONED, {"process": process, "now": self._retention.now()}).fetchall()
            taken = [(process, seq) for seq, _, _ in rows]
            transaction.executemany("UPDATE responses SET runner = ? WHERE seq = ?", taken)
        found = ((owner, self._responses.get(owner, response_id)) for _, owner, response_id in rows)
        return [OwnedResponse(owner, stored) for owner, stored in found if stored is not None]
