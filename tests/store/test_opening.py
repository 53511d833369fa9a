"""The word in the configuration, and the store it opens."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from addon.store.errors import StoreError
from addon.store.interface import ResponseStore
from addon.store.opening import Clocks, open_store
from addon.store.records import Limits
from tests.store.builders import OWNER, stored
from tests.store.conftest import Clock


def opened(where: str, directory: Path) -> ResponseStore | None:
    return open_store(where, directory=directory, limits=Limits(), clocks=Clocks(Clock(), Clock()))


def place(where: str, directory: Path) -> str:
    store = opened(where, directory)
    assert store is not None
    with closing(store):
        store.responses.add(OWNER, stored("a"))
        return store.inspection.stats().place


def test_files_and_memory(tmp_path: Path) -> None:
    assert place("sqlite", tmp_path) == f"{tmp_path}/store.sqlite3"
    assert place(f"sqlite://{tmp_path}/my%20state/x.db", tmp_path) == f"{tmp_path}/my state/x.db"
    assert place("memory", tmp_path) == "memory"


def test_a_server(redis_url: str, tmp_path: Path) -> None:
    assert place(redis_url, tmp_path) == f"redis unix:{redis_url.removeprefix('unix://')} database 0"


@pytest.mark.parametrize("where", ["redis://h:1/2", "rediss://u:p@h:1/2", "valkey://h:1/2", "valkeys://h:1/2"])
def test_a_server_is_not_asked_before_it_is_needed(where: str, tmp_path: Path) -> None:
    store = opened(where, tmp_path)
    assert store is not None
    store.close()


def test_off(tmp_path: Path) -> None:
    assert opened("off", tmp_path) is None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("postgres://me:secret@host", r"No store is named 'host'\. Say sqlite, .* off"),
        ("SQLite", "No store is named 'SQLite'"),
        ("", "No store is named ''"),
        ("sqlite://state/x.db", "has to be absolute"),
        ("sqlite://", "has to be absolute"),
    ],
)
def test_what_is_no_store(where: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=message):
        opened(where, tmp_path)


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("addon.store.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(StoreError, match=r"pip install 'responses-bridge\[redis\]'"):
        opened("redis://localhost", tmp_path)
