"""What goes when it is old, or when others need its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from addon.store.errors import StoreError
from addon.store.records import Limits
from addon.store.sqlite.database import Transaction

_AT_ONCE: Final = 20
"""At most so many threads, or values, make room in one transaction, so that nobody waits long for the lock."""

_EXPIRE_THREADS: Final = """
    DELETE FROM threads WHERE seq IN (
        SELECT seq FROM threads WHERE touched_at <= :oldest ORDER BY touched_at LIMIT :count)
"""
_EXPIRE_VALUES: Final = """
    DELETE FROM "values" WHERE rowid IN (
        SELECT rowid FROM "values" WHERE expires_at <= :now ORDER BY expires_at LIMIT :count)
"""
_EVICT_VALUES: Final = """
    DELETE FROM "values" WHERE rowid IN (SELECT rowid FROM "values" ORDER BY expires_at LIMIT :count)
"""
_EVICT_THREAD: Final = """
    DELETE FROM threads WHERE seq IN (
        SELECT seq FROM threads WHERE seq IS NOT :keep ORDER BY touched_at, seq LIMIT 1)
"""
_EVICT_CHAIN: Final = """
    DELETE FROM threads WHERE seq IN (
        SELECT seq FROM threads WHERE seq IS NOT :keep AND conversation IS NULL ORDER BY touched_at, seq LIMIT 1)
"""


class Retention:
    """The limits, and the clock they go by."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self.limits = limits
        self.now = now

    @property
    def oldest(self) -> float:
        """What has been stored at this moment or before is as good as gone."""
        return self.now() - self.limits.ttl

    def make_room(self, transaction: Transaction, keep: int | None = None) -> None:
        """Delete what has expired, and what is beyond the limits, except for the thread that has just been written.

        Raises:
            StoreError: that thread alone is beyond them.
        """
        self.expire(transaction, _AT_ONCE)
        self._bound_bytes(transaction, keep)
        self._bound_count(transaction, keep)

    def expire(self, transaction: Transaction, count: int) -> None:
        transaction.execute(_EXPIRE_THREADS, {"oldest": self.oldest, "count": count})
        transaction.execute(_EXPIRE_VALUES, {"now": self.now(), "count": count})

    def _bound_bytes(self, transaction: Transaction, keep: int | None) -> None:
        """Values go first: what they hold can be had again."""
        if bytes_used(transaction) > self.limits.max_bytes:
            transaction.execute(_EVICT_VALUES, {"count": _AT_ONCE})
        for _ in range(_AT_ONCE):
            if bytes_used(transaction) <= self.limits.max_bytes:
                return
            if transaction.execute(_EVICT_THREAD, {"keep": keep}).rowcount == 0:
                raise self._too_long(f"{self.limits.max_bytes} bytes")

    def _bound_count(self, transaction: Transaction, keep: int | None) -> None:
        for _ in range(_AT_ONCE):
            if response_count(transaction) <= self.limits.max_responses:
                return
            if transaction.execute(_EVICT_CHAIN, {"keep": keep}).rowcount == 0:
                raise self._too_long(f"{self.limits.max_responses} responses")

    def _too_long(self, limit: str) -> StoreError:
        return StoreError(
            f"What is being continued takes up the whole store: it may hold {limit}. Allow it more, or begin anew."
        )


def bytes_used(transaction: Transaction) -> int:
    """Bytes of the pages that hold something."""
    pages = _pragma(transaction, "page_count") - _pragma(transaction, "freelist_count")
    return pages * _pragma(transaction, "page_size")


def _pragma(transaction: Transaction, name: str) -> int:
    return int(transaction.execute(f"PRAGMA {name}").fetchone()[0])


def response_count(transaction: Transaction) -> int:
    return int(transaction.execute("SELECT responses FROM totals").fetchone()[0])
