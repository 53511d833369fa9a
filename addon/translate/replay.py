"""A response that has ended → the events of a stream that tells of it, by the grammar of any other.

Its texts come in one piece each. The ids are those of the response, so whoever puts the events together gets just it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from addon.translate.items import (
    CompactionState,
    CustomCallState,
    FunctionCallState,
    MessageState,
    OutputItemState,
    ReasoningState,
    Write,
)
from addon.translate.unwrap import BareInput
from addon.translate.verbatim_items import KINDS
from addon.wire.json import JsonObject
from addon.wire.responses import (
    Event,
    MessageItem,
    OutputItem,
    ReasoningItem,
    ResponseObject,
)

_TOLD: Final = frozenset({"completed", "incomplete", "failed"})
"""Statuses with an event of their own. The stream of a cancelled response just ends."""

_UNKNOWN_YET: Final[JsonObject] = {
    "status": "in_progress",
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
    "output": [],
    "usage": None,
}
"""What a response says of itself before anything has come of it."""


def replay(response: ResponseObject) -> list[Event]:
    """All events, numbered from 0."""
    told = _Telling()
    begun = {**response, **_UNKNOWN_YET}
    told.emit("response.created", response=begun)
    told.emit("response.in_progress", response=begun)
    for index, item in enumerate(response["output"]):
        _tell(index, item, told)
    if response["status"] == "failed":
        told.emit("error", **_error(response))
    if response["status"] in _TOLD:
        told.emit(f"response.{response['status']}", response=response)
    return told.events


class _Telling:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event_type: str, /, **fields: object) -> None:
        self.events.append(Event(event_type, len(self.events), fields))


def _tell(index: int, item: OutputItem, told: _Telling) -> None:
    grown = _grown(item)
    blank = _blank(item) if grown is None else grown[0].blank()
    told.emit("response.output_item.added", output_index=index, item=blank)
    if grown is None:
        _tell_stages(index, item, told)
    else:
        state, writes = grown
        for write in writes:
            state.write(write, told.emit, lambda: index)
        state.close("completed" if item.get("status") == "completed" else "incomplete", told.emit, lambda: index)
    told.emit("response.output_item.done", output_index=index, item=item)


def _grown(item: OutputItem) -> tuple[OutputItemState, Sequence[Write]] | None:
    """An item that has events of its own, and how it comes to be what it is; None for one told all at once."""
    match item["type"]:
        case "message":
            return MessageState(item["id"], phase=item.get("phase")), list(_said(item))
        case "reasoning":
            return _reasoned(item)
        case "function_call":
            call = FunctionCallState(
                item["id"], call_id=item["call_id"], name=item["name"], namespace=item.get("namespace")
            )
            return call, [Write("arguments", item["arguments"])]
        case "custom_tool_call":
            custom = CustomCallState(
                item["id"],
                call_id=item["call_id"],
                name=item["name"],
                namespace=item.get("namespace"),
                reader=BareInput(),
            )
            return custom, [Write("arguments", item["input"])]
        case "compaction":
            return CompactionState(item["id"], item["encrypted_content"]), []
    return None


def _said(message: MessageItem) -> Iterator[Write]:
    for part in message["content"]:
        if part["type"] == "refusal":
            yield Write("refusal", part["refusal"])
        else:
            yield Write("text", part["text"], part["logprobs"])
            if part["annotations"]:
                yield Write("annotation", values=part["annotations"])


def _reasoned(item: ReasoningItem) -> tuple[OutputItemState, Sequence[Write]]:
    as_summary = bool(item["summary"])
    parts = item["summary"] or item["content"]
    state = ReasoningState(item["id"], as_summary=as_summary, seal=lambda *_: item.get("encrypted_content"))
    return state, [Write("reasoning", part["text"]) for part in parts]


def _blank(item: OutputItem) -> JsonObject:
    """An item told all at once, as it is announced: without what is only known once it is done."""
    shown = cast(JsonObject, dict(item))
    kind = KINDS.get(item["type"])
    if "status" in shown:
        shown["status"] = "in_progress"
    if item["type"] == "tool_search_call" and shown.get("execution") == "client":
        shown["arguments"] = {}
    for name in kind.found if kind is not None else ():
        if name in shown:
            shown[name] = None
    return shown


def _tell_stages(index: int, item: OutputItem, told: _Telling) -> None:
    kind = KINDS.get(item["type"])
    stages = () if kind is None else kind.stages
    for stage in stages[:-1] if item.get("status") == "failed" else stages:
        told.emit(f"response.{item['type']}.{stage}", item_id=item["id"], output_index=index)


def _error(response: ResponseObject) -> Mapping[str, object]:
    error = response["error"] or {"code": "server_error", "message": ""}
    nested = {"type": "server_error", "code": error["code"], "message": error["message"], "param": None}
    return {"code": error["code"], "message": error["message"], "param": None, "error": nested}
