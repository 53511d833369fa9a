"""Output items that tell what a provider's own tools have done, as the provider tells them.

Only a native Responses endpoint has such items. They are told at once, when they are whole; whatever the client's types
demand and the provider left out gets its empty value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from addon.translate.items import Emit, Ending, OutputItemState, Write
from addon.wire.json import Json, JsonObject
from addon.wire.responses import OutputItem, Status


@dataclass(frozen=True, slots=True)
class VerbatimKind:
    """One type of item: what clients expect of it."""

    prefix: str
    """Of its ids."""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """What it must have, with the values that stand for nothing."""
    found: tuple[str, ...] = ()
    """What is not known before it is done."""
    stages: tuple[str, ...] = ()
    """Events between `added` and `done`; the last one says that it went well."""
    statuses: tuple[str, ...] = ("in_progress", "completed", "incomplete", "failed")
    """Empty: it has none."""


_NO_SEARCH: JsonObject = {"type": "search", "query": ""}
_ACTIONS = ("search", "open_page", "find_in_page")
_MCP: Mapping[str, Json] = {"server_label": "", "name": "", "arguments": ""}

KINDS: Mapping[str, VerbatimKind] = {
    "web_search_call": VerbatimKind(
        "ws", {"action": _NO_SEARCH}, stages=("in_progress", "searching", "completed"), statuses=("completed", "failed")
    ),
    "file_search_call": VerbatimKind(
        "fs", {"queries": []}, found=("results",), stages=("in_progress", "searching", "completed")
    ),
    "code_interpreter_call": VerbatimKind(
        "ci", {"container_id": ""}, found=("outputs",), stages=("in_progress", "interpreting", "completed")
    ),
    "image_generation_call": VerbatimKind(
        "ig",
        found=("result",),
        stages=("in_progress", "generating", "completed"),
        statuses=("completed", "failed"),
    ),
    "mcp_call": VerbatimKind("mcp", _MCP, found=("output", "error"), stages=("in_progress", "completed")),
    "mcp_list_tools": VerbatimKind(
        "mcpl", {"server_label": "", "tools": []}, stages=("in_progress", "completed"), statuses=()
    ),
    "mcp_approval_request": VerbatimKind("mcpr", _MCP, statuses=()),
    "computer_call": VerbatimKind(
        "cu", {"call_id": "", "pending_safety_checks": []}, statuses=("completed", "incomplete")
    ),
    "tool_search_call": VerbatimKind(
        "tsc", {"arguments": {}, "execution": "server"}, statuses=("completed", "incomplete")
    ),
    "tool_search_output": VerbatimKind(
        "tso", {"tools": [], "execution": "server"}, statuses=("completed", "incomplete")
    ),
}
"""By the item's type."""


class VerbatimState(OutputItemState):
    """An item that is whole when it is heard of."""

    def __init__(self, item_id: str, item: JsonObject) -> None:
        super().__init__(item_id)
        self._kind = KINDS[str(item["type"])]
        self._item = _filled(item, self._kind)

    def blank(self) -> OutputItem:
        return self._shown({name: None for name in self._kind.found if name in self._item}, "in_progress")

    def snapshot(self, status: Status) -> OutputItem:
        return self._shown({}, self._status)

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        """There is nothing to add to it."""

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        index = announce()
        stages = self._kind.stages[:-1] if self._status == "failed" else self._kind.stages
        for stage in stages:
            emit(f"response.{self._item['type']}.{stage}", item_id=self.id, output_index=index)
        return "completed"

    @property
    def _status(self) -> str:
        status = self._item.get("status")
        return status if isinstance(status, str) and status in self._kind.statuses else "completed"

    def _shown(self, replaced: JsonObject, status: str) -> OutputItem:
        shown: JsonObject = {**self._item, "id": self.id, **replaced}
        if self._kind.statuses:
            shown["status"] = status
        return cast(OutputItem, shown)


def _filled(item: JsonObject, kind: VerbatimKind) -> JsonObject:
    filled = {name: value for name, value in item.items() if value is not None or name not in kind.fields}
    for name, empty in kind.fields.items():
        if not isinstance(filled.get(name), type(empty)):
            filled[name] = empty
    action = filled.get("action")
    if item["type"] == "web_search_call" and isinstance(action, dict) and action.get("type") not in _ACTIONS:
        filled["action"] = _NO_SEARCH
    return filled
