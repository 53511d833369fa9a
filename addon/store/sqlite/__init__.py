"""The store in one SQLite file, which several processes of a machine may share, or in memory."""

from __future__ import annotations

from addon.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
