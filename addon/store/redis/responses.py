"""Responses in Redis, and the chains they make."""

from __future__ import annotations

from collections.abc import Sequence

from addon.store.errors import PredecessorGone
from addon.store.packing import (
    pack_events,
    pack_json,
    pack_response,
    unpack_events,
    unpack_object,
    unpack_objects,
    unpack_response,
)
from addon.store.records import CONTINUABLE, Limits, StoredEvent, StoredResponse, id_of, is_running
from addon.store.redis import scripts
from addon.store.redis.client import RedisClient, Reply
from addon.store.redis.replies import expect_bytes, expect_list, flattened, optional_text, pack_each, pack_output
from addon.wire.json import JsonObject
from addon.wire.responses import ResponseObject


class RedisResponses:
    def __init__(self, client: RedisClient, limits: Limits, ttl: int) -> None:
        self._client = client
        self._limits = limits
        self._ttl = ttl

    def add(self, owner: str, stored: StoredResponse) -> None:
        response = stored.response
        added = self._client.run(
            scripts.ADD,
            owner,
            response["id"],
            stored.parent or "",
            response["status"],
            pack_response(response),
            _describe(response, stored.conversation),
            pack_json(stored.input),
            pack_json(response["output"]),
            (stored.runner or "") if is_running(response) else "",
            _extended(response, stored.conversation),
            self._ttl,
            *_placed(response, stored.input, stored.conversation),
        )
        if stored.parent is not None and not added:
            raise PredecessorGone(stored.parent)

    def update(self, owner: str, response: ResponseObject, events: Sequence[StoredEvent] = ()) -> bool:
        """What was sent, and in which conversation, does not change, so that it may be read before."""
        before = self.get(owner, response["id"])
        if before is None:
            return False
        updated = self._client.run(
            scripts.UPDATE,
            owner,
            response["id"],
            response["status"],
            pack_response(response),
            _describe(response, before.conversation),
            pack_json(response["output"]),
            _extended(response, before.conversation),
            self._ttl,
            *self._batch(events),
            *_placed(response, before.input, before.conversation),
        )
        return updated == 1

    def get(self, owner: str, response_id: str) -> StoredResponse | None:
        reply = expect_list(self._client.run(scripts.GET, owner, response_id))
        return _read(reply) if reply else None

    def delete(self, owner: str, response_id: str) -> bool:
        return self._client.run(scripts.DELETE, owner, response_id) == 1

    def history(self, owner: str, response_id: str) -> list[JsonObject] | None:
        reply = expect_list(self._client.run(scripts.HISTORY, owner, response_id))
        if not reply:
            return None
        return [item for items in reversed(reply) for item in unpack_objects(expect_bytes(items))]

    def find_item(self, owner: str, item_id: str) -> JsonObject | None:
        match expect_list(self._client.run(scripts.FIND_ITEM, owner, item_id)):
            case [b"item", bytes(body)]:
                return unpack_object(body)
            case [b"lists", bytes(output), bytes(sent)]:
                return _last_with(item_id, [*unpack_objects(sent), *unpack_objects(output)])
        return None

    def append_events(self, owner: str, response_id: str, events: Sequence[StoredEvent]) -> bool:
        return self._client.run(scripts.APPEND_EVENTS, owner, response_id, *self._batch(events)) == 1

    def _batch(self, events: Sequence[StoredEvent]) -> tuple[int, bytes, int]:
        """The number of the last one, all of them, and how many bytes of events the response may have."""
        most = self._limits.max_event_bytes
        return (events[-1].number, pack_events(events), most) if events else (0, b"", most)

    def events(self, owner: str, response_id: str, after: int = -1) -> list[StoredEvent]:
        batches = expect_list(self._client.run(scripts.EVENTS, owner, response_id, after))
        return [event for batch in batches for event in _unpack_batch(expect_bytes(batch)) if event.number > after]


def _describe(response: ResponseObject, conversation: str | None) -> bytes:
    """What is told of a response without reading it all."""
    about = {"model": response["model"], "created_at": response["created_at"], "conversation": conversation}
    return pack_json(about)


def _extended(response: ResponseObject, conversation: str | None) -> str:
    """The conversation that gets the items now; empty: none."""
    return (conversation or "") if response["status"] in CONTINUABLE else ""


def _placed(response: ResponseObject, sent: Sequence[JsonObject], conversation: str | None) -> list[str | bytes]:
    """The items to be found by their ids. Their bodies go along if a conversation is to hold them too."""
    items = [*pack_each(sent), *pack_output(response["output"])]
    if not _extended(response, conversation):
        items = [(item_id, b"") for item_id, _ in items]
    return flattened(items)


def _read(reply: list[Reply]) -> StoredResponse:
    body, sent, output, description, parent, runner = reply
    response = unpack_response(expect_bytes(body), unpack_objects(expect_bytes(output)))
    conversation = unpack_object(expect_bytes(description)).get("conversation")
    return StoredResponse(
        response=response,
        input=unpack_objects(expect_bytes(sent)),
        parent=optional_text(parent) or None,
        conversation=conversation if isinstance(conversation, str) else None,
        runner=(optional_text(runner) or "") if is_running(response) else None,
    )


def _last_with(item_id: str, items: Sequence[JsonObject]) -> JsonObject | None:
    return next((item for item in reversed(items) if id_of(item) == item_id), None)


def _unpack_batch(member: bytes) -> list[StoredEvent]:
    """The number of the last event, a colon, and the events."""
    last, _, batch = member.partition(b":")
    return unpack_events(int(last), batch)
