"""One connection to the file: transactions, and SQLite's errors in words for who operates the bridge."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final, TypeAlias

from addon.store.errors import StoreError, StoreUnavailable
from addon.store.sqlite.schema import APPLICATION_ID, MIGRATIONS, Migration

Transaction: TypeAlias = sqlite3.Connection

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PRIMARY: Final = 0xFF
"""The low byte of an extended result code says what kind of error it is."""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_RETRY_AFTER: Final = 0.005
"""Seconds. SQLite itself does not wait for the switch to another journal mode."""


class Database:
    """A file in WAL mode, or memory.

    In WAL mode readers wait for nobody. Writers come one after the other; each transaction takes the lock when it
    begins, so that none has to be given up halfway, and SQLite waits for the lock. A commit does not wait for the disk
    (`synchronous = NORMAL`): it outlives the end of the process, and after a power cut the last ones may be missing,
    but the file is whole.

    Args:
        path: the file, made if there is none; None: in memory.
        patience: seconds to wait for other processes.
    """

    def __init__(
        self, path: Path | None, *, patience: float = 2.0, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        self.place = "memory" if path is None else str(path)
        self._patience = patience
        self._lock = RLock()
        if path is not None:
            _make_private(path)
        with self._explained():
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path, timeout=patience, isolation_level=None, check_same_thread=False
            )
            # Nobody knows who is the last to need it: a script that is loaded again leaves calls behind that go on.
            weakref.finalize(self, self._connection.close)
            try:
                self._prepare(migrations)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        with self._lock, self._explained():
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Everything read in it is of one moment."""
        with self._transaction("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Everything written in it is there afterwards or, if an exception leaves it, nothing is."""
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    def vacuum(self) -> None:
        with self._lock, self._explained():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._lock, self._explained():
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has rolled back already where it had to
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self, migrations: Sequence[Migration]) -> None:
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if self._version() != len(migrations) or not self._is_ours(len(migrations)):
            self._migrate(migrations)
        self._persevere(lambda: self._connection.execute("PRAGMA journal_mode = WAL"))

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        """Bring the file up to date, all at once; of several processes that start together one does it."""
        with self.writing() as transaction:
            version = self._version()
            self._refuse_foreign(version, len(migrations))
            for migration in migrations[version:]:
                for statement in migration:
                    transaction.execute(statement)
            transaction.execute(f"PRAGMA user_version = {len(migrations)}")

    def _refuse_foreign(self, version: int, known: int) -> None:
        if not self._is_ours(version):
            raise StoreError(f"{self.place}: this is the database of another program. Name another file for the store.")
        if version > known:
            raise StoreError(
                f"{self.place}: a newer version of the bridge has written this file (schema {version}; this one knows "
                f"{known}). Upgrade the bridge, or name another file for the store."
            )

    def _is_ours(self, version: int) -> bool:
        if version == 0:
            return self._number("SELECT count(*) FROM sqlite_master") == 0
        return self._number("PRAGMA application_id") == APPLICATION_ID

    def _version(self) -> int:
        return self._number("PRAGMA user_version")

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _persevere(self, action: Callable[[], object]) -> None:
        """Repeat what fails because another process is at it."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                action()
            except sqlite3.OperationalError as error:
                if _primary(error) not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_AFTER)
            else:
                return

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explanation(error) from error

    def _explanation(self, error: sqlite3.Error) -> StoreError:
        code = _primary(error)
        if code in _BUSY:
            return StoreUnavailable(
                f"{self.place}: another process has kept the store locked for more than {self._patience:g} s. If it is "
                "not busy with `responses-bridge store vacuum`, end the process that has the file open."
            )
        if code == sqlite3.SQLITE_FULL:
            return StoreUnavailable(f"{self.place}: the disk is full. Free some space there.")
        if code in _DAMAGED:
            return StoreError(
                f"{self.place}: the file is damaged or no database ({error}). Move it away together with the files "
                "beside it that end in -wal and -shm, and restart the bridge: it begins with an empty store."
            )
        return StoreError(
            f"{self.place}: the store cannot be used ({error}). See that the file and its directory belong to the user "
            "the bridge runs as, and that the disk is in order."
        )


def _primary(error: sqlite3.Error) -> int | None:
    """The kind of error. Errors of Python's own module have none."""
    code: int | None = error.sqlite_errorcode if hasattr(error, "sqlite_errorcode") else None
    return None if code is None else code & _PRIMARY


def _make_private(path: Path) -> None:
    """Make the file, for its owner alone; SQLite gives its other files the same permissions."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if os.name == "posix" and path.stat().st_mode & _OF_OTHERS:
            path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"{path}: the store cannot be opened ({error.strerror}). Correct the path or its permissions, or set "
            "BRIDGE_STATE_DIR to a directory that the bridge may write to."
        ) from error
