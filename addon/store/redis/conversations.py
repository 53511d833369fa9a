"""Conversations in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from addon.store.packing import pack_conversation, unpack_conversation, unpack_object
from addon.store.paging import Page, Paging, UnknownCursor
from addon.store.records import Conversation
from addon.store.redis import scripts
from addon.store.redis.client import RedisClient
from addon.store.redis.replies import expect_bytes, expect_list, flattened, pack_each
from addon.wire.json import JsonObject


class RedisConversations:
    """
    Args:
        ttl: milliseconds for which they are kept after their last change.
    """

    def __init__(self, client: RedisClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    def create(self, owner: str, conversation: Conversation, items: Sequence[JsonObject] = ()) -> None:
        packed = flattened(pack_each(items))
        body = pack_conversation(conversation)
        self._client.run(scripts.CREATE_CONVERSATION, owner, conversation.id, body, self._ttl, *packed)

    def get(self, owner: str, conversation_id: str) -> Conversation | None:
        body = self._client.run(scripts.CONVERSATION, owner, conversation_id)
        return None if body is None else unpack_conversation(expect_bytes(body))

    def set_metadata(self, owner: str, conversation_id: str, metadata: JsonObject) -> Conversation | None:
        before = self.get(owner, conversation_id)
        if before is None:
            return None
        after = replace(before, metadata=metadata)
        body = pack_conversation(after)
        return after if self._client.run(scripts.SET_CONVERSATION, owner, conversation_id, body, self._ttl) else None

    def delete(self, owner: str, conversation_id: str) -> bool:
        return self._client.run(scripts.DELETE_CONVERSATION, owner, conversation_id) == 1

    def add_items(self, owner: str, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        packed = flattened(pack_each(items))
        return self._client.run(scripts.ADD_ITEMS, owner, conversation_id, self._ttl, *packed) == 1

    def items(self, owner: str, conversation_id: str) -> list[JsonObject] | None:
        return self._page(owner, conversation_id, "", "", newest_first=False)

    def page(self, owner: str, conversation_id: str, paging: Paging) -> Page | None:
        count = paging.limit + 1
        found = self._page(owner, conversation_id, paging.after or "", count, newest_first=paging.newest_first)
        return None if found is None else Page(found[: paging.limit], has_more=len(found) == count)

    def item(self, owner: str, conversation_id: str, item_id: str) -> JsonObject | None:
        body = self._client.run(scripts.ITEM, owner, conversation_id, item_id)
        return None if body is None else unpack_object(expect_bytes(body))

    def delete_item(self, owner: str, conversation_id: str, item_id: str) -> bool:
        return self._client.run(scripts.DELETE_ITEM, owner, conversation_id, item_id) == 1

    def _page(
        self, owner: str, conversation_id: str, after: str, count: int | str, *, newest_first: bool
    ) -> list[JsonObject] | None:
        reply = self._client.run(scripts.PAGE, owner, conversation_id, after, count, int(newest_first))
        match expect_list(reply):
            case [b"found", *bodies]:
                return [unpack_object(expect_bytes(body)) for body in bodies]
            case [b"no cursor"]:
                raise UnknownCursor(after)
        return None
