"""Which processes are alive, in Redis: by the server's clock, so that those of the machines need not agree."""

from __future__ import annotations

from addon.store.records import OwnedResponse
from addon.store.redis import scripts
from addon.store.redis.client import RedisClient
from addon.store.redis.replies import expect_bytes, expect_list
from addon.store.redis.responses import RedisResponses


class RedisLeases:
    def __init__(self, client: RedisClient, responses: RedisResponses) -> None:
        self._client = client
        self._responses = responses

    def hold(self, process: str, seconds: float) -> None:
        self._client.run(scripts.HOLD, process, max(1, int(seconds * 1000)))

    def release(self, process: str) -> None:
        self._client.run(scripts.RELEASE, process)

    def abandoned(self, process: str) -> list[OwnedResponse]:
        places = expect_list(self._client.run(scripts.ABANDONED, process))
        pairs = [expect_bytes(place).decode().split(":", 1) for place in places]
        found = ((owner, self._responses.get(owner, response_id)) for owner, response_id in pairs)
        return [OwnedResponse(owner, stored) for owner, stored in found if stored is not None]
