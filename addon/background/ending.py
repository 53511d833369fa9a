"""How a response ends that nobody works on any more: as failed, with the events that say so."""

from __future__ import annotations

from dataclasses import replace

from addon.background.log import stored_event
from addon.state.items import shown_response
from addon.store.interface import Responses
from addon.store.records import OwnedResponse, StoredEvent
from addon.translate.errors import ApiError
from addon.translate.replay import replay
from addon.wire.responses import ResponseObject


def failed(response: ResponseObject, error: ApiError) -> ResponseObject:
    ended = response.copy()
    ended["status"] = "failed"
    ended["error"] = {"code": error.code, "message": error.message}
    return ended


def abandon(responses: Responses, found: OwnedResponse) -> None:
    """Bring a response to its end whose process is gone. Raises: StoreError."""
    ended = failed(found.stored.response, _left(found.stored.response))
    responses.update(found.owner, ended, _last_events(responses, found.owner, ended))


def _last_events(responses: Responses, owner: str, ended: ResponseObject) -> list[StoredEvent]:
    told = responses.events(owner, ended["id"])
    number = told[-1].number + 1 if told else 0
    last = replay(shown_response(ended, ()))[-2:]
    return [stored_event(replace(event, sequence_number=number + place)) for place, event in enumerate(last)]


def _left(response: ResponseObject) -> ApiError:
    stage = "before it came to this response" if response["status"] == "queued" else "while it made this response"
    return ApiError.bridge(f"The bridge was stopped or restarted {stage}. Create it again.", code="server_error")
