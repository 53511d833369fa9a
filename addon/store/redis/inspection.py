"""What is in the server, for who operates the bridge."""

from __future__ import annotations

import re
from collections.abc import Iterator

from addon.store.packing import unpack_object
from addon.store.records import OwnedResponse, Stats, Summary
from addon.store.redis import scripts
from addon.store.redis.client import RedisClient
from addon.store.redis.replies import expect_list
from addon.store.redis.responses import RedisResponses

_SPECIAL = re.compile(r"([\\*?\[\]])")
"""What has a meaning in a pattern for keys."""


class RedisInspection:
    def __init__(self, client: RedisClient, responses: RedisResponses) -> None:
        self._client = client
        self._responses = responses

    def summaries(self) -> Iterator[Summary]:
        for owner, response_id in self._places("*"):
            match expect_list(self._client.run(scripts.SUMMARY, owner, response_id)):
                case [bytes(status), bytes(description), int(size)]:
                    yield _summary(owner, response_id, status.decode(), description, size)

    def find(self, response_id: str) -> list[OwnedResponse]:
        places = self._places("*:" + _SPECIAL.sub(r"\\\1", response_id))
        found = ((owner, self._responses.get(owner, found_id)) for owner, found_id in places if found_id == response_id)
        return [OwnedResponse(owner, stored) for owner, stored in found if stored is not None]

    def stats(self) -> Stats:
        return Stats(
            place=self._client.place,
            responses=self._count("rb:r:*"),
            conversations=self._count("rb:c:*"),
            values=self._count("rb:v:*"),
            size=self._client.memory_used(),
        )

    def vacuum(self) -> None:
        """The server does it by itself."""

    def _places(self, pattern: str) -> list[tuple[str, str]]:
        """Owner and id of each response."""
        keys = sorted(set(self._client.keys(f"rb:r:{pattern}")))
        return [(owner, response_id) for owner, _, response_id in (key[5:].partition(":") for key in keys)]

    def _count(self, pattern: str) -> int:
        return len(set(self._client.keys(pattern)))


def _summary(owner: str, response_id: str, status: str, description: bytes, size: int) -> Summary:
    about = unpack_object(description)
    model, created_at, conversation = about.get("model"), about.get("created_at"), about.get("conversation")
    return Summary(
        owner=owner,
        id=response_id,
        status=status,
        model=model if isinstance(model, str) else "",
        created_at=created_at if isinstance(created_at, int) else 0,
        conversation=conversation if isinstance(conversation, str) else None,
        size=size,
    )
