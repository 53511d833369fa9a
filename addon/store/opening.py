"""From the word in the configuration to the store it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from addon.store.errors import StoreError
from addon.store.interface import ResponseStore
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore

FILE_NAME: Final = "store.sqlite3"

_SCHEMES: Final[Mapping[str, str]] = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
"""Addresses of servers, and how the package redis spells them."""


@dataclass(frozen=True, slots=True)
class Clocks:
    now: Callable[[], float]
    """Seconds since the epoch."""
    monotonic: Callable[[], float]
    """Seconds since whenever; nobody can set it back."""


def open_store(where: str, *, directory: Path, limits: Limits, clocks: Clocks) -> ResponseStore | None:
    """The store that `where` names: `sqlite`, `sqlite:///<path>`, `memory`, `redis://<host>`, or `off`; None for that.

    Args:
        directory: where the file of `sqlite` is.

    Raises:
        StoreError: there is no such store, or it cannot be opened. A server is not asked before it is needed.
    """
    match where:
        case "off":
            return None
        case "memory":
            return SqliteStore(None, limits=limits, now=clocks.now)
        case "sqlite":
            return SqliteStore(directory / FILE_NAME, limits=limits, now=clocks.now)
    scheme, separator, rest = where.partition("://")
    if separator and scheme == "sqlite":
        return SqliteStore(_path(where), limits=limits, now=clocks.now)
    if separator and scheme in _SCHEMES:
        return _on_server(f"{_SCHEMES[scheme]}://{rest}", limits, clocks)
    raise StoreError(
        f"No store is named {_shown(where)!r}. Say sqlite, sqlite:///<path>, memory, redis://<host> or off."
    )


def _on_server(url: str, limits: Limits, clocks: Clocks) -> ResponseStore:
    try:
        from addon.store.redis import RedisStore
    except ModuleNotFoundError as error:
        raise StoreError(
            "A store in Redis needs a package that is not installed: pip install 'responses-bridge[redis]'."
        ) from error
    return RedisStore(url, limits=limits, monotonic=clocks.monotonic)


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if os.name == "nt":
        path = path.removeprefix("/")  # sqlite:///C:/state/store.sqlite3
    if parts.netloc or not Path(path).is_absolute():
        raise StoreError(f"{url}: the path of the store has to be absolute, with three slashes: sqlite:///var/lib/…")
    return Path(path)


def _shown(where: str) -> str:
    """Without what may be a password."""
    return where.rpartition("@")[2]
