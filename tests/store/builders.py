"""Responses and items as short as they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from addon.store.records import StoredEvent, StoredResponse
from addon.wire.json import JsonObject
from addon.wire.responses import OutputItem, ResponseObject

OWNER = "0123abcd"
OTHER = "4567cdef"


def message(item_id: str, text: str = "Hello.", role: str = "user") -> JsonObject:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"id": item_id, "type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def said(item_id: str, text: str = "Hi.") -> JsonObject:
    return message(item_id, text, "assistant")


def response(response_id: str, status: str = "completed", output: Sequence[JsonObject] = ()) -> ResponseObject:
    made = {
        "id": response_id,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "qwen3-max",
        "output": cast("list[OutputItem]", list(output)),
        "metadata": {"topic": "tests"},
        "usage": None,
    }
    return cast(ResponseObject, made)


def stored(
    response_id: str,
    *,
    parent: str | None = None,
    status: str = "completed",
    sent: Sequence[JsonObject] | None = None,
    output: Sequence[JsonObject] | None = None,
    conversation: str | None = None,
    runner: str | None = None,
) -> StoredResponse:
    """A response of one item each way, named after it, unless other items are given."""
    return StoredResponse(
        response=response(response_id, status, [said(f"{response_id}.out")] if output is None else output),
        input=[message(f"{response_id}.in")] if sent is None else sent,
        parent=parent,
        conversation=conversation,
        runner=runner,
    )


def running(response_id: str, runner: str = "process-1", **more: str) -> StoredResponse:
    return stored(response_id, status="in_progress", output=[], runner=runner, **more)


def events(first: int, *texts: str) -> list[StoredEvent]:
    return [StoredEvent(number, text.encode()) for number, text in enumerate(texts, start=first)]


def ids(items: Sequence[JsonObject] | None) -> list[str] | None:
    return None if items is None else [str(item["id"]) for item in items]
