"""The items a client gets."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from addon.wire.json import JsonObject

Status: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
"""Of responses. Items are never queued or cancelled."""


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: list[JsonObject]
    logprobs: list[JsonObject]


class OutputRefusal(TypedDict):
    type: Literal["refusal"]
    refusal: str


class MessageItem(TypedDict):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: Status
    content: list[OutputText | OutputRefusal]
    phase: NotRequired[str]
    """`commentary` or `final_answer`, from models that tell them apart."""


class ReasoningText(TypedDict):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class ReasoningItem(TypedDict):
    id: str
    type: Literal["reasoning"]
    status: Status
    summary: list[SummaryText]
    content: list[ReasoningText]
    encrypted_content: NotRequired[str | None]


class FunctionCallItem(TypedDict):
    id: str
    type: Literal["function_call"]
    status: Status
    call_id: str
    name: str
    namespace: NotRequired[str]
    arguments: str


class CustomToolCallItem(TypedDict):
    id: str
    type: Literal["custom_tool_call"]
    status: Status
    call_id: str
    name: str
    namespace: NotRequired[str]
    input: str


class UrlSource(TypedDict):
    type: Literal["url"]
    url: str


class SearchAction(TypedDict):
    type: Literal["search"]
    query: str
    sources: list[UrlSource]


class WebSearchCallItem(TypedDict):
    id: str
    type: Literal["web_search_call"]
    status: Status
    action: SearchAction


class ToolSearchCallItem(TypedDict):
    id: str
    type: Literal["tool_search_call"]
    status: Status
    call_id: str
    execution: Literal["client"]
    arguments: JsonObject


class ShellActionItem(TypedDict):
    commands: list[str]
    timeout_ms: int | None
    max_output_length: int | None


class ShellCallItem(TypedDict):
    id: str
    type: Literal["shell_call"]
    status: Status
    call_id: str
    action: ShellActionItem
    environment: None


class LocalShellActionItem(TypedDict):
    type: Literal["exec"]
    command: list[str]
    env: dict[str, str]
    timeout_ms: int | None
    user: None
    working_directory: str | None


class LocalShellCallItem(TypedDict):
    id: str
    type: Literal["local_shell_call"]
    status: Status
    call_id: str
    action: LocalShellActionItem


class PatchOperationItem(TypedDict):
    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: NotRequired[str]


class ApplyPatchCallItem(TypedDict):
    id: str
    type: Literal["apply_patch_call"]
    status: Status
    call_id: str
    operation: PatchOperationItem


class CompactionItem(TypedDict):
    id: str
    type: Literal["compaction"]
    encrypted_content: str


OutputItem: TypeAlias = (
    MessageItem
    | ReasoningItem
    | FunctionCallItem
    | CustomToolCallItem
    | ToolSearchCallItem
    | ShellCallItem
    | LocalShellCallItem
    | ApplyPatchCallItem
    | CompactionItem
    | WebSearchCallItem
)
