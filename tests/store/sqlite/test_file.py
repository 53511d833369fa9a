"""The file: who may read it, older and newer ones, and what happens when it or its disk is not in order."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from addon.store.errors import StoreError, StoreUnavailable
from addon.store.records import Conversation, Limits
from addon.store.sqlite import SqliteStore
from addon.store.sqlite.schema import MIGRATIONS, Migration
from tests.store.builders import OWNER, events, ids, message, response, running, stored
from tests.store.conftest import Clock

VERSION_1 = Path(__file__).parent / "version_1.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.sqlite3"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def opened(
    path: Path, migrations: tuple[Migration, ...] = tuple(MIGRATIONS), limits: Limits | None = None
) -> SqliteStore:
    return SqliteStore(path, limits=limits or Limits(), now=Clock(), patience=0.05, migrations=migrations)


# --- permissions ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_has_access(path: Path) -> None:
    with closing(opened(path)) as store:
        store.responses.add(OWNER, stored("a"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in [path.parent, *path.parent.iterdir()]}
    assert modes == {"state": 0o700, "store.sqlite3": 0o600, "store.sqlite3-wal": 0o600, "store.sqlite3-shm": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_others_could_read_is_taken_from_them(path: Path) -> None:
    opened(path).close()
    path.chmod(0o644)
    opened(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"store\.sqlite3: the store cannot be opened \(.*\)\. .* BRIDGE_STATE_DIR"):
        opened(tmp_path / "file" / "store.sqlite3")
    with pytest.raises(StoreError, match=r"the store cannot be opened \(Is a directory\)"):
        opened(tmp_path)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_file_of_the_first_version_is_read(path: Path) -> None:
    """The dump was made by that version; it stays as it is whatever the schema becomes."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text("utf-8"))
    with closing(opened(path)) as store:
        assert store.responses.get(OWNER, "b") == stored("b", parent="a", conversation="conv_1")
        assert ids(store.responses.history(OWNER, "b")) == ["a.in", "a.out", "b.in", "b.out"]
        assert store.responses.events(OWNER, "c") == events(0, "zero", "one")
        assert store.responses.update(OWNER, response("c"))
        assert store.conversations.get(OWNER, "conv_1") == Conversation("conv_1", 1, {"topic": "cats"})
        assert ids(store.conversations.items(OWNER, "conv_1")) == ["one", "b.in", "b.out"]
        assert store.values.get("quirk", "key") == b"value"
        store.responses.add(OWNER, stored("d", parent="b"))


def test_a_migration_keeps_what_is_there(path: Path) -> None:
    with closing(opened(path)) as store:
        store.responses.add(OWNER, stored("a"))
    newer = (*MIGRATIONS, ["ALTER TABLE responses ADD COLUMN note TEXT DEFAULT 'none'"])
    with closing(opened(path, newer)) as store:
        assert store.responses.get(OWNER, "a") == stored("a")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT note FROM responses").fetchall() == [("none",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    with closing(opened(path)) as store:
        store.responses.add(OWNER, stored("a"))
    broken = (*MIGRATIONS, ["DROP TABLE items", "DROP TABLE no_such_table"])
    with pytest.raises(StoreError, match="no such table"):
        opened(path, broken)
    with closing(opened(path)) as store:
        assert store.responses.get(OWNER, "a") == stored("a")


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    opened(path, (*MIGRATIONS, [], [])).close()
    with pytest.raises(StoreError, match=r"a newer version of the bridge .* \(schema 3; this one knows 1\)\. Upgrade"):
        opened(path)
    opened(path, (*MIGRATIONS, [], [])).close()


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_refused_and_left_alone(path: Path, version: int) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE cookies (name); PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match="the database of another program"):
        opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("cookies",)]


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"This is not a database. " * 100)
    with pytest.raises(StoreError, match=r"store\.sqlite3: the file is damaged .* Move it away"):
        opened(path)
    assert path.read_bytes().startswith(b"This"), "it may be something else"


def test_a_damaged_file(path: Path) -> None:
    with closing(opened(path)) as store:
        for number in range(50):
            store.responses.add(OWNER, stored(f"r{number}"))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="the file is damaged"), closing(opened(path)) as store:
        store.responses.get(OWNER, "r1")


def test_a_damaged_entry(path: Path) -> None:
    with closing(opened(path)) as store:
        store.responses.add(OWNER, stored("a"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE items SET body = x'7a00'")
    with closing(opened(path)) as store, pytest.raises(StoreError, match="cannot be read"):
        store.responses.history(OWNER, "a")


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says the same when the file has as many pages as it may have."""
    with closing(opened(path)) as store:
        store.responses.add(OWNER, stored("a"))
        _allow_pages(store, 40)
        big = stored("b", sent=[message("b.in", os.urandom(150_000).hex())])
        with pytest.raises(StoreUnavailable, match=r"store\.sqlite3: the disk is full"):
            store.responses.add(OWNER, big)
        assert store.responses.get(OWNER, "a") == stored("a")
        assert store.responses.get(OWNER, "b") is None, "all of it or nothing"
        _allow_pages(store, 10_000)
        store.responses.add(OWNER, big)
        assert store.responses.get(OWNER, "b") == big


def _allow_pages(store: SqliteStore, count: int) -> None:
    with store._database.reading() as transaction:
        transaction.execute(f"PRAGMA max_page_count = {count}")


def test_a_closed_store(path: Path) -> None:
    store = opened(path)
    store.close()
    with pytest.raises(StoreError, match="cannot be used"):
        store.responses.get(OWNER, "a")


# --- size -------------------------------------------------------------------------------------------------------------


def test_storage_grows_with_what_is_said(path: Path) -> None:
    """And not with what was said before: the last hundred turns of a long chain take no more than the first."""
    sizes = []
    with closing(opened(path)) as store:
        for number in range(1000):
            parent = f"r{number - 1}" if number else None
            store.responses.add(OWNER, stored(f"r{number}", parent=parent))
            if number % 100 == 99:
                sizes.append(store.inspection.stats().size)
    growth = [after - before for before, after in pairwise(sizes)]
    assert max(growth) < 1.3 * min(growth)
    assert sizes[-1] < 1000 * 2000


def test_space_is_given_back(path: Path) -> None:
    with closing(opened(path)) as store:
        for number in range(20):
            store.responses.add(OWNER, stored(f"r{number}", sent=[message("m", os.urandom(20_000).hex())]))
            store.responses.delete(OWNER, f"r{number}") if number else None
        store.inspection.vacuum()
        before = path.stat().st_size
        store.responses.delete(OWNER, "r0")
        store.inspection.vacuum()
        assert path.stat().st_size < before - 20_000


def test_running_responses_survive_a_vacuum(path: Path) -> None:
    with closing(opened(path)) as store:
        store.responses.add(OWNER, running("a"))
        store.inspection.vacuum()
        assert store.responses.update(OWNER, response("a"))
