"""Everything in one SQLite database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from addon.store.records import Limits
from addon.store.sqlite.conversations import SqliteConversations
from addon.store.sqlite.database import Database
from addon.store.sqlite.inspection import SqliteInspection
from addon.store.sqlite.leases import SqliteLeases
from addon.store.sqlite.responses import SqliteResponses
from addon.store.sqlite.retention import Retention
from addon.store.sqlite.schema import MIGRATIONS, Migration
from addon.store.sqlite.values import SqliteValues


class SqliteStore:
    """
    Args:
        path: the file, made if there is none; None: in memory, for this process alone.
        now: seconds since the epoch.
        patience: seconds to wait for other processes that write.

    Raises:
        StoreError: the file cannot be opened, is damaged, or is of a newer version.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        limits: Limits,
        now: Callable[[], float],
        patience: float = 2.0,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        retention = Retention(limits, now)
        self._database = Database(path, patience=patience, migrations=migrations)
        self.conversations = SqliteConversations(self._database, retention)
        self.responses = SqliteResponses(self._database, retention, self.conversations)
        self.values = SqliteValues(self._database, retention)
        self.leases = SqliteLeases(self._database, retention, self.responses)
        self.inspection = SqliteInspection(self._database, retention, self.responses)

    def close(self) -> None:
        self._database.close()
