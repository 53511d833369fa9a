"""The connection to the server: short waits, a circuit breaker, and errors in words for who operates the bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from addon.store.errors import StoreError, StoreUnavailable
from addon.store.redis.breaker import Breaker
from addon.store.redis.scripts import SCHEMA, SCHEMA_VERSION, Script

Argument: TypeAlias = bytes | str | int
Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""What a script may return."""


class RedisClient:
    """
    Args:
        url: `redis://`, `rediss://` or `unix://`, as the package redis reads it.
        connect_timeout, timeout: seconds to wait for a connection, and for an answer.
        monotonic: a clock for the breaker.
        pause: seconds for which a server that did not answer is left alone.
    """

    def __init__(
        self, url: str, *, connect_timeout: float, timeout: float, monotonic: Callable[[], float], pause: float
    ) -> None:
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_connect_timeout=connect_timeout,
                socket_timeout=timeout,
                # A connection from the pool may have been closed since it was last used. Whoever had to wait, though,
                # does not wait twice.
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            )
            self._redis.connection_pool.make_connection()  # it checks the options of the address, and connects later
        except (ValueError, TypeError) as error:
            raise StoreError(f"The address of the Redis server cannot be read: {error}.") from error
        self.place = _place(self._redis)
        self._breaker = Breaker(monotonic, pause)
        self._is_checked = False

    def close(self) -> None:
        self._redis.close()

    def run(self, script: Script, *arguments: Argument) -> Reply:
        """
        Raises:
            StoreUnavailable: the server cannot be reached, or has no room.
            StoreError: it refuses.
        """
        with self._guarded():
            if not self._is_checked:
                self._check_schema()
            return self._evaluate(script, *arguments)

    def keys(self, pattern: str) -> Iterator[str]:
        """All keys that match, in no order, some perhaps twice. It takes a while."""
        with self._guarded():
            for key in self._redis.scan_iter(match=pattern, count=1000):
                yield cast(bytes, key).decode()

    def memory_used(self) -> int:
        """Bytes, of all that is in the server."""
        with self._guarded():
            return int(cast("dict[str, int]", self._redis.info("memory"))["used_memory"])

    def _check_schema(self) -> None:
        version = self._evaluate(SCHEMA, SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.place}: another version of the bridge uses this database (schema {version!r}; this one knows "
                f"{SCHEMA_VERSION}). Run the same version everywhere, or name another database number in the address."
            )
        self._is_checked = True

    def _evaluate(self, script: Script, *arguments: Argument) -> Reply:
        try:
            return cast(Reply, self._redis.evalsha(script.digest, 0, *arguments))
        except redis.exceptions.NoScriptError:
            return cast(Reply, self._redis.eval(script.source, 0, *arguments))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        self._breaker.check()
        try:
            yield
        except redis.AuthenticationError as error:
            raise StoreError(f"{self.place}: the server does not know these credentials ({error}).") from error
        except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError) as error:
            reason = (
                f"{self.place}: the server cannot be used now ({error}). See that it runs, is the primary, and can be "
                "reached from here."
            )
            self._breaker.failed(reason)
            raise StoreUnavailable(reason) from error
        except redis.RedisError as error:
            self._breaker.succeeded()
            raise self._refusal(error) from error
        self._breaker.succeeded()

    def _refusal(self, error: redis.RedisError) -> StoreError:
        if "used memory" in str(error):
            return StoreUnavailable(
                f"{self.place}: the server's memory is full. Raise its `maxmemory`, or set `maxmemory-policy` to "
                "volatile-lru, so that what has not been used for longest makes room."
            )
        return StoreError(
            f"{self.place}: the server refuses ({error}). It has to be Redis or Valkey, one server (with replicas, if "
            "you like) and no cluster, and the user has to be allowed scripts and keys that begin with rb:."
        )


def _place(client: redis.Redis) -> str:
    """Where the server is, without the credentials."""
    settings = client.get_connection_kwargs()
    database = settings.get("db") or 0
    if "path" in settings:
        return f"redis unix:{settings['path']} database {database}"
    return f"redis {settings.get('host', 'localhost')}:{settings.get('port', 6379)} database {database}"
