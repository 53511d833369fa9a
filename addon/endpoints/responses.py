"""What has become of earlier responses: retrieve, replay, delete, cancel, and what they were asked."""

from __future__ import annotations

from collections.abc import Sequence

from addon.actions import Answer
from addon.client_answer import encoded
from addon.endpoints.inquiry import Inquiry, listed, unknown_cursor
from addon.exchange import Exchange
from addon.state.items import shown_items, shown_response
from addon.store.paging import UnknownCursor, page_of
from addon.store.records import StoredResponse
from addon.translate.errors import ApiError
from addon.translate.replay import replay
from addon.wire.responses import Event, ResponseObject


def retrieve(inquiry: Inquiry, response_id: str) -> Answer | Exchange:
    """GET /v1/responses/{id}; with `stream=true` the events that tell of it, after the one that is named."""
    response = shown_response(_found(inquiry, response_id).response, inquiry.query.include)
    if not inquiry.query.stream:
        return Answer.json(response)
    if response["background"]:
        return inquiry.jobs.follow(inquiry.caller, response, inquiry.query.starting_after)
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Answer(200, headers, encoded(_events(response, inquiry.query.starting_after)))


def _events(response: ResponseObject, after: int) -> Sequence[Event]:
    return [event for event in replay(response) if event.sequence_number > after]


def delete(inquiry: Inquiry, response_id: str) -> Answer:
    """DELETE /v1/responses/{id}"""
    if not inquiry.store.responses.delete(inquiry.caller, response_id):
        raise _unknown(inquiry, response_id)
    inquiry.jobs.deleted(inquiry.caller, response_id)
    return Answer.json({"id": response_id, "object": "response.deleted", "deleted": True})


def cancel(inquiry: Inquiry, response_id: str) -> Answer:
    """POST /v1/responses/{id}/cancel"""
    response = _found(inquiry, response_id).response
    if not response["background"]:
        raise ApiError.bad_request(
            "Cannot cancel a synchronous response: only responses created with background=true can be cancelled.",
            param="response_id",
            code="not_cancellable",
        )
    ended = inquiry.jobs.cancel(inquiry.caller, response_id)
    if ended is None:
        raise _unknown(inquiry, response_id)
    return Answer.json(shown_response(ended.response, ()))


def input_items(inquiry: Inquiry, response_id: str) -> Answer:
    """GET /v1/responses/{id}/input_items"""
    try:
        page = page_of(_found(inquiry, response_id).input, inquiry.query.paging)
    except UnknownCursor as error:
        raise unknown_cursor(error) from None
    return Answer.json(listed(page, shown_items(page.items, inquiry.query.include)))


def _found(inquiry: Inquiry, response_id: str) -> StoredResponse:
    found = inquiry.store.responses.get(inquiry.caller, response_id)
    if found is None:
        raise _unknown(inquiry, response_id)
    return found


def _unknown(inquiry: Inquiry, response_id: str) -> ApiError:
    why = inquiry.state.why_lost(inquiry.caller, response_id)
    return ApiError(404, f"Response with id '{response_id}' not found.{why}", "response_not_found")
