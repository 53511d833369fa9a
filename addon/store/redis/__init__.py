"""The store in a Redis or Valkey server, which the bridges of many machines may share."""

from __future__ import annotations

from addon.store.redis.store import RedisStore

__all__ = ["RedisStore"]
