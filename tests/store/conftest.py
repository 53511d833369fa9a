"""The stores that the tests run against, each with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from addon.store.interface import ResponseStore
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.store.redis_server import redis_server


@dataclass
class Clock:
    """It stands still unless it is moved."""

    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


class Opener(Protocol):
    def __call__(self, limits: Limits = ...) -> ResponseStore: ...


@dataclass
class Backend:
    open: Opener
    """Another store in the same place: another process, as it were. For memory, another place."""
    advance: Callable[[float], None]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened: list[ResponseStore] = []
    match request.param:
        case "memory":
            made = _sqlite(None, opened)
        case "sqlite":
            made = _sqlite(tmp_path / "store.sqlite3", opened)
        case _:
            made = _redis(request.getfixturevalue("redis_url"), opened)
    yield made
    for each in opened:
        each.close()


@pytest.fixture
def store(backend: Backend) -> ResponseStore:
    return backend.open()


def _sqlite(path: Path | None, opened: list[ResponseStore]) -> Backend:
    clock = Clock()

    def open_(limits: Limits = Limits()) -> ResponseStore:  # noqa: B008
        opened.append(SqliteStore(path, limits=limits, now=clock))
        return opened[-1]

    return Backend(open_, clock.advance)


def _redis(url: str, opened: list[ResponseStore]) -> Backend:
    from redis import Redis

    from addon.store.redis import RedisStore

    Redis.from_url(url).flushall()

    def open_(limits: Limits = Limits()) -> ResponseStore:  # noqa: B008
        opened.append(RedisStore(url, limits=limits, monotonic=Clock()))
        return opened[-1]

    return Backend(open_, lambda seconds: _age(url, seconds))


def _age(url: str, seconds: float) -> None:
    """The server's clock is its own: in place of it, the end of all that has one comes closer."""
    from redis import Redis

    with Redis.from_url(url) as client:
        for key in client.scan_iter():
            if (remaining := client.pttl(key)) >= 0:
                client.pexpire(key, remaining - int(seconds * 1000))
