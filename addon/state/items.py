"""Items as they are stored, and as a client is shown them.

What is stored is what was sent, with an id: so it means the same to the model when it is read again, to the last byte.
What is shown has the form of OpenAI's lists, without what a client has not asked to be included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from addon.wire.json import Json, JsonObject
from addon.wire.responses import (
    CompactionTrigger,
    Item,
    LocalShellCall,
    LocalShellCallOutput,
    OutputItem,
    ResponseObject,
)

SEALED: Final = "reasoning.encrypted_content"
"""What `include` says of the reasoning that clients keep for the bridge."""

_PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "compaction": "cmp",
}


def stored(items: Sequence[Item], ids: Callable[[str], str], history: Iterable[Item] = ()) -> list[JsonObject]:
    """Items for the store. Those without an id get one; what asks for a summary is done with, and left out.

    Args:
        history: what came before them.
    """
    calls = {call.id: call.call_id for call in (*history, *items) if isinstance(call, LocalShellCall) and call.id}
    return [_stored(item, ids, calls) for item in items if not isinstance(item, CompactionTrigger)]


def _stored(item: Item, ids: Callable[[str], str], calls: Mapping[str, str]) -> JsonObject:
    sent: JsonObject = item.model_dump(by_alias=True, exclude_unset=True)
    new_id = ids(_PREFIXES.get(item.type, "item"))
    if isinstance(item, LocalShellCallOutput):  # its id is that of the call, so it cannot be its own
        return {**sent, "type": item.type, "id": new_id, "call_id": item.call_id or calls.get(item.id, item.id)}
    return {**sent, "type": item.type, "id": sent.get("id") or new_id}


def shown_response(response: ResponseObject, include: Collection[str]) -> ResponseObject:
    """A stored response as its caller gets it."""
    output = cast("Sequence[JsonObject]", response["output"])
    shown = response.copy()
    shown["output"] = cast("list[OutputItem]", list(_without_seals(output, include)))
    return shown


def shown_items(items: Iterable[JsonObject], include: Collection[str]) -> list[JsonObject]:
    """Stored items as lists have them."""
    return [_listed(item) for item in _without_seals(items, include)]


def _without_seals(items: Iterable[JsonObject], include: Collection[str]) -> Iterator[JsonObject]:
    """Reasoning that says nothing but its seal is not there without it."""
    for item in items:
        if item["type"] != "reasoning" or SEALED in include:
            yield item
        elif item.get("summary") or item.get("content"):
            yield {**item, "encrypted_content": None}


def _listed(item: JsonObject) -> JsonObject:
    """Messages have their texts in parts, and a status."""
    if item["type"] != "message":
        return item
    content, role = item.get("content"), item.get("role")
    if isinstance(content, str):
        content = [_output_text(content) if role == "assistant" else {"type": "input_text", "text": content}]
    return {**item, "status": item.get("status") or "completed", "content": content}


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
