"""Values with an end, in Redis."""

from __future__ import annotations

from addon.store.packing import pack, unpack
from addon.store.redis import scripts
from addon.store.redis.client import RedisClient
from addon.store.redis.replies import expect_bytes


class RedisValues:
    def __init__(self, client: RedisClient) -> None:
        self._client = client

    def get(self, kind: str, key: str) -> bytes | None:
        packed = self._client.run(scripts.VALUE, f"{kind}:{key}")
        return None if packed is None else unpack(expect_bytes(packed))

    def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        self._client.run(scripts.PUT_VALUE, f"{kind}:{key}", pack(value), max(1, int(ttl * 1000)))

    def delete(self, kind: str, key: str) -> None:
        self._client.run(scripts.DELETE_VALUE, f"{kind}:{key}")

    def settle(self, kind: str, key: str, value: bytes) -> bytes:
        return unpack(expect_bytes(self._client.run(scripts.SETTLE_VALUE, f"{kind}:{key}", pack(value))))
