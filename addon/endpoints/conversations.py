"""Conversations: lists of items that clients keep here, and that responses are added to."""

from __future__ import annotations

from collections.abc import Sequence

from addon.actions import Answer
from addon.endpoints.inquiry import Inquiry, listed, unknown_cursor
from addon.state.items import shown_items
from addon.state.turns import no_conversation
from addon.store.paging import Page, UnknownCursor
from addon.store.records import Conversation
from addon.translate.errors import ApiError
from addon.wire.json import Json, JsonObject, dump_bytes
from addon.wire.responses import InvalidRequest, Item, read_request

MOST_AT_ONCE = 20
"""Items that one call may add, as OpenAI has it."""


def create(inquiry: Inquiry) -> Answer:
    """POST /v1/conversations"""
    body = inquiry.read_body()
    items = _new_items(inquiry, body)
    conversation = Conversation(inquiry.ids("conv"), int(inquiry.now()), _metadata(body))
    inquiry.store.conversations.create(inquiry.caller, conversation, items)
    return Answer.json(_shown(conversation))


def retrieve(inquiry: Inquiry, conversation_id: str) -> Answer:
    """GET /v1/conversations/{id}"""
    return Answer.json(_shown(_found(inquiry, conversation_id)))


def update(inquiry: Inquiry, conversation_id: str) -> Answer:
    """POST /v1/conversations/{id}: its metadata, all of them."""
    metadata = _metadata(inquiry.read_body())
    changed = inquiry.store.conversations.set_metadata(inquiry.caller, conversation_id, metadata)
    if changed is None:
        raise no_conversation(conversation_id)
    return Answer.json(_shown(changed))


def delete(inquiry: Inquiry, conversation_id: str) -> Answer:
    """DELETE /v1/conversations/{id}"""
    if not inquiry.store.conversations.delete(inquiry.caller, conversation_id):
        raise no_conversation(conversation_id)
    return Answer.json({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


def add_items(inquiry: Inquiry, conversation_id: str) -> Answer:
    """POST /v1/conversations/{id}/items"""
    items = _new_items(inquiry, inquiry.read_body())
    if not inquiry.store.conversations.add_items(inquiry.caller, conversation_id, items):
        raise no_conversation(conversation_id)
    return Answer.json(listed(Page(items, has_more=False), shown_items(items, inquiry.query.include)))


def list_items(inquiry: Inquiry, conversation_id: str) -> Answer:
    """GET /v1/conversations/{id}/items"""
    try:
        page = inquiry.store.conversations.page(inquiry.caller, conversation_id, inquiry.query.paging)
    except UnknownCursor as error:
        raise unknown_cursor(error) from None
    if page is None:
        raise no_conversation(conversation_id)
    return Answer.json(listed(page, shown_items(page.items, inquiry.query.include)))


def retrieve_item(inquiry: Inquiry, conversation_id: str, item_id: str) -> Answer:
    """GET /v1/conversations/{id}/items/{item}"""
    item = inquiry.store.conversations.item(inquiry.caller, conversation_id, item_id)
    shown = shown_items([] if item is None else [item], inquiry.query.include)
    if not shown:
        raise _no_item(inquiry, conversation_id, item_id)
    return Answer.json(shown[0])


def delete_item(inquiry: Inquiry, conversation_id: str, item_id: str) -> Answer:
    """DELETE /v1/conversations/{id}/items/{item}"""
    if not inquiry.store.conversations.delete_item(inquiry.caller, conversation_id, item_id):
        raise _no_item(inquiry, conversation_id, item_id)
    return retrieve(inquiry, conversation_id)


def _found(inquiry: Inquiry, conversation_id: str) -> Conversation:
    found = inquiry.store.conversations.get(inquiry.caller, conversation_id)
    if found is None:
        raise no_conversation(conversation_id)
    return found


def _no_item(inquiry: Inquiry, conversation_id: str, item_id: str) -> ApiError:
    """Which of the two is not there."""
    _found(inquiry, conversation_id)
    message = f"Item with id '{item_id}' not found in conversation '{conversation_id}'."
    return ApiError(404, message, "item_not_found")


def _shown(conversation: Conversation) -> JsonObject:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created_at,
        "metadata": conversation.metadata,
    }


def _metadata(body: JsonObject) -> JsonObject:
    match body.get("metadata"):
        case None:
            return {}
        case dict(metadata) if all(isinstance(value, str) for value in metadata.values()):
            return metadata
    raise ApiError.bad_request("Invalid value for 'metadata': expected an object of strings.", param="metadata")


def _new_items(inquiry: Inquiry, body: JsonObject) -> list[JsonObject]:
    items = list(inquiry.state.resolved(inquiry.caller, _read(body.get("items"))))
    return inquiry.state.stored(items)


def _read(items: Json) -> Sequence[Item]:
    """Items are read as those of a request are."""
    if items is None:
        return []
    if not isinstance(items, list):
        raise ApiError.bad_request("Invalid value for 'items': expected a list.", param="items")
    if len(items) > MOST_AT_ONCE:
        message = f"Invalid value for 'items': {len(items)} of them. Add {MOST_AT_ONCE} at a time."
        raise ApiError.bad_request(message, param="items")
    try:
        return read_request(dump_bytes({"input": items})).items()
    except InvalidRequest as error:
        param = (error.param or "input").replace("input", "items", 1)
        message = str(error).replace(f"'{error.param}'", f"'{param}'", 1)
        raise ApiError.bad_request(message, param=param) from None
