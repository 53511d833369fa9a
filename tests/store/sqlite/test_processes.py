"""One file and several processes, some of which come to a sudden end."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from addon.store.errors import StoreUnavailable
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.store.builders import OWNER, ids, stored
from tests.store.conftest import Clock
from tests.store.sqlite.writer import LEASE, TURNS

ROOT = Path(__file__).parents[3]


@contextmanager
def writer(path: Path, name: str, chains: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.store.sqlite.writer", str(path), name, str(chains)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(path: Path, later: float = 0) -> SqliteStore:
    return SqliteStore(path, limits=Limits(), now=lambda: time.time() + later, patience=30)


def assert_whole(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def expected_history(response_id: str) -> list[str]:
    chain, _, turn = response_id.rpartition(".")
    return [f"{chain}.{number}.{side}" for number in range(int(turn) + 1) for side in ("in", "out")]


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path, names, chains = tmp_path / "store.sqlite3", ["one", "two", "three"], 30
    with writer(path, "one", chains) as one, writer(path, "two", chains) as two, writer(path, "three", chains) as three:
        results = [process.communicate() for process in (one, two, three)]
    assert [errors for _, errors in results] == ["", "", ""]
    written = {line for output, _ in results for line in output.splitlines()}
    assert len(written) == len(names) * chains * TURNS
    store = opened(path)
    assert {summary.id for summary in store.inspection.summaries() if summary.status == "completed"} == written
    for response_id in written:
        assert ids(store.responses.history(OWNER, response_id)) == expected_history(response_id)
    store.close()
    assert_whole(path)


def test_giving_space_back_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with writer(path, "one", 20) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        written = [process.stdout.readline()]
        with_us = opened(path)
        for _ in range(5):
            with_us.inspection.vacuum()
        written += process.stdout
        assert process.stderr.read() == ""
    assert len(written) == 20 * TURNS == with_us.inspection.stats().responses - 20
    with_us.close()


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_was_written_before_a_kill_is_there(tmp_path: Path, after: int) -> None:
    path = tmp_path / "store.sqlite3"
    with writer(path, "one", 1_000_000) as process:
        assert process.stdout is not None
        written = [line.strip() for line in islice(process.stdout, after)]
        process.kill()
        written += [line.strip() for line in process.stdout if line.endswith("\n")]
    store = opened(path, later=LEASE + 1)
    for response_id in written:
        assert ids(store.responses.history(OWNER, response_id)) == expected_history(response_id)
    there = {summary.id: summary.status for summary in store.inspection.summaries()}
    unheard = {name for name, status in there.items() if status == "completed"} - set(written)
    assert len(unheard) <= 1, "the one it had no time left to tell of"
    still_running = {name for name, status in there.items() if status == "in_progress"}
    assert {owned.stored.response["id"] for owned in store.leases.abandoned("heir")} == still_running
    store.close()
    assert_whole(path)


def test_many_that_start_at_once_make_one_file(tmp_path: Path) -> None:
    path, count = tmp_path / "store.sqlite3", 8
    barrier = threading.Barrier(count)
    problems: list[Exception] = []

    def start(number: int) -> None:
        barrier.wait()
        try:
            store = opened(path)
            store.responses.add(OWNER, stored(f"r{number}"))
            store.close()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    store = opened(path)
    assert {summary.id for summary in store.inspection.summaries()} == {f"r{number}" for number in range(count)}
    store.close()


def test_a_store_serves_many_threads(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.sqlite3")

    def write(name: str) -> None:
        for number in range(25):
            parent = f"{name}.{number - 1}" if number else None
            store.responses.add(OWNER, stored(f"{name}.{number}", parent=parent))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert ids(store.responses.history(OWNER, f"{name}.24")) == expected_history(f"{name}.24")
    store.close()


def test_who_keeps_the_file_locked_is_not_waited_for_without_end(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = SqliteStore(path, limits=Limits(), now=Clock(), patience=0.01)
    store.responses.add(OWNER, stored("a"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite3: another process .* for more than 0\.01 s"):
        store.responses.add(OWNER, stored("b"))
    assert store.responses.get(OWNER, "a") == stored("a"), "reading needs no lock"
    other.execute("ROLLBACK")
    store.responses.add(OWNER, stored("b"))
    assert store.responses.get(OWNER, "b") == stored("b")
    other.close()
    store.close()
