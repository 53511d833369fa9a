"""Everything in one Redis or Valkey server."""

from __future__ import annotations

from collections.abc import Callable

from addon.store.records import Limits
from addon.store.redis.client import RedisClient
from addon.store.redis.conversations import RedisConversations
from addon.store.redis.inspection import RedisInspection
from addon.store.redis.leases import RedisLeases
from addon.store.redis.responses import RedisResponses
from addon.store.redis.values import RedisValues


class RedisStore:
    """Of the limits, the number of responses and of bytes are the server's own: see its `maxmemory`.

    Args:
        url: `redis://`, `rediss://` or `unix://`. The server need not be there yet.
        monotonic: a clock in seconds, for how long a server that failed is left alone.
        connect_timeout, timeout: seconds to wait for a connection, and for an answer.
        pause: seconds for which a server that failed is left alone.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits,
        monotonic: Callable[[], float],
        connect_timeout: float = 0.25,
        timeout: float = 1.0,
        pause: float = 5.0,
    ) -> None:
        ttl = int(limits.ttl * 1000)
        self._client = RedisClient(
            url, connect_timeout=connect_timeout, timeout=timeout, monotonic=monotonic, pause=pause
        )
        self.conversations = RedisConversations(self._client, ttl)
        self.responses = RedisResponses(self._client, limits, ttl)
        self.values = RedisValues(self._client)
        self.leases = RedisLeases(self._client, self.responses)
        self.inspection = RedisInspection(self._client, self.responses)

    def close(self) -> None:
        self._client.close()
