"""The items of a conversation, as a client sends them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter

from addon.wire.json import Json, JsonObject
from addon.wire.responses.parts import TEXT_OR_LIST, Content, Part
from addon.wire.responses.tools import Tool
from addon.wire.responses.values import JsonText, Text, Wire, kind_of


class Message(Wire):
    """A message of the user, the developer, the system or, from an earlier answer, the assistant."""

    type: Annotated[Literal["message"], BeforeValidator(lambda value: value or "message")] = "message"
    role: str
    content: Content = ""
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class FunctionCall(Wire):
    type: Literal["function_call"]
    call_id: Text = ""
    name: Text = ""
    arguments: JsonText = ""
    namespace: str | None = None
    id: str | None = None
    status: str | None = None


class FunctionCallOutput(Wire):
    type: Literal["function_call_output"]
    call_id: Text = ""
    output: Content = ""
    name: str | None = None
    id: str | None = None
    status: str | None = None


class CustomToolCall(Wire):
    type: Literal["custom_tool_call"]
    call_id: Text = ""
    name: Text = ""
    input: Text = ""
    namespace: str | None = None
    id: str | None = None


class CustomToolCallOutput(Wire):
    type: Literal["custom_tool_call_output"]
    call_id: Text = ""
    output: Content = ""
    name: str | None = None
    id: str | None = None


class ToolSearchCall(Wire):
    type: Literal["tool_search_call"]
    call_id: Text = ""
    arguments: JsonText = ""
    execution: str | None = None
    id: str | None = None
    status: str | None = None


class ToolSearchOutput(Wire):
    type: Literal["tool_search_output"]
    call_id: Text = ""
    tools: list[Tool] = Field(default_factory=list)
    execution: str | None = None
    id: str | None = None
    status: str | None = None


class ShellAction(Wire):
    commands: list[str] = Field(default_factory=list)
    timeout_ms: int | None = None
    max_output_length: int | None = None


class ShellCall(Wire):
    type: Literal["shell_call"]
    call_id: Text = ""
    action: ShellAction = Field(default_factory=ShellAction)
    environment: JsonObject | None = None
    id: str | None = None
    status: str | None = None


class ShellOutcome(Wire):
    """How a command ended: `exit` with a code, or `timeout`."""

    type: Text = ""
    exit_code: int | None = None


class ShellResult(Wire):
    """What one command wrote, and how it ended."""

    stdout: Text = ""
    stderr: Text = ""
    outcome: ShellOutcome | None = None


def _shell_results(value: Any) -> Any:
    """A text instead of the list is what was written, all in one."""
    return [{"stdout": value}] if isinstance(value, str) else value or []


class ShellCallOutput(Wire):
    type: Literal["shell_call_output"]
    call_id: Text = ""
    output: Annotated[list[ShellResult], BeforeValidator(_shell_results)] = Field(default_factory=list)
    max_output_length: int | None = None
    id: str | None = None
    status: str | None = None


class LocalShellAction(Wire):
    type: Text = "exec"
    command: list[str] = Field(default_factory=list)
    env: dict[str, str] | None = None
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None


class LocalShellCall(Wire):
    type: Literal["local_shell_call"]
    call_id: Text = ""
    action: LocalShellAction = Field(default_factory=LocalShellAction)
    id: str | None = None
    status: str | None = None


class LocalShellCallOutput(Wire):
    """`id` is not the output's own: it names the call, by its call_id or by its id. Some clients say `call_id`."""

    type: Literal["local_shell_call_output"]
    id: Text = ""
    call_id: Text = ""
    output: Content = ""
    status: str | None = None


class PatchOperation(Wire):
    """`create_file` and `update_file` with a V4A `diff`, or `delete_file`."""

    type: Text = ""
    path: Text = ""
    diff: str | None = None


class ApplyPatchCall(Wire):
    type: Literal["apply_patch_call"]
    call_id: Text = ""
    operation: PatchOperation = Field(default_factory=PatchOperation)
    id: str | None = None
    status: str | None = None


class ApplyPatchCallOutput(Wire):
    """`status` is `completed` or `failed`."""

    type: Literal["apply_patch_call_output"]
    call_id: Text = ""
    status: Text = ""
    output: Text = ""
    id: str | None = None


class Reasoning(Wire):
    type: Literal["reasoning"]
    summary: Annotated[list[Part], BeforeValidator(lambda value: value or [])] = Field(default_factory=list)
    content: Annotated[list[Part], BeforeValidator(lambda value: value or [])] = Field(default_factory=list)
    encrypted_content: str | None = None
    id: str | None = None
    status: str | None = None


class ItemReference(Wire):
    """An item the client has seen in an earlier answer, by id."""

    type: Annotated[Literal["item_reference"], BeforeValidator(lambda value: value or "item_reference")] = (
        "item_reference"
    )
    id: str


class AdditionalTools(Wire):
    type: Literal["additional_tools"]
    tools: list[Tool] = Field(default_factory=list)
    role: str | None = None


class AgentMessage(Wire):
    """Codex: what one agent of a team said to another."""

    type: Literal["agent_message"]
    author: str | None = None
    recipient: str | None = None
    content: Content = ""


class Compaction(Wire):
    """What stands for a part of the conversation that was summarised. Only who made the summary can read it."""

    type: Literal["compaction", "compaction_summary"]
    encrypted_content: Text = ""
    id: str | None = None


class CompactionTrigger(Wire):
    """Codex: summarise the conversation, and answer with nothing but a `compaction` item."""

    type: Literal["compaction_trigger"]
    id: str | None = None


class UnknownItem(Wire):
    """An item of a type this version does not convert."""

    type: Text = ""
    id: str | None = None


_ITEM_TYPES = frozenset(
    {
        "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
        "tool_search_call", "tool_search_output", "shell_call", "shell_call_output", "local_shell_call",
        "local_shell_call_output", "apply_patch_call", "apply_patch_call_output", "reasoning", "item_reference",
        "additional_tools", "agent_message", "compaction", "compaction_summary", "compaction_trigger",
    }
)  # fmt: skip
_item_type = kind_of(_ITEM_TYPES, "unknown")


def _item_kind(value: Any) -> str | None:
    """Without `type`: a role makes it a message, an id alone a reference (the SDK's shorthands)."""
    if isinstance(value, dict) and not value.get("type"):
        if "role" in value:
            return "message"
        return "item_reference" if "id" in value else None
    kind = _item_type(value)
    return "compaction" if kind == "compaction_summary" else kind


Item = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[CustomToolCall, Tag("custom_tool_call")]
    | Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")]
    | Annotated[ToolSearchCall, Tag("tool_search_call")]
    | Annotated[ToolSearchOutput, Tag("tool_search_output")]
    | Annotated[ShellCall, Tag("shell_call")]
    | Annotated[ShellCallOutput, Tag("shell_call_output")]
    | Annotated[LocalShellCall, Tag("local_shell_call")]
    | Annotated[LocalShellCallOutput, Tag("local_shell_call_output")]
    | Annotated[ApplyPatchCall, Tag("apply_patch_call")]
    | Annotated[ApplyPatchCallOutput, Tag("apply_patch_call_output")]
    | Annotated[Reasoning, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[AdditionalTools, Tag("additional_tools")]
    | Annotated[AgentMessage, Tag("agent_message")]
    | Annotated[Compaction, Tag("compaction")]
    | Annotated[CompactionTrigger, Tag("compaction_trigger")]
    | Annotated[UnknownItem, Tag("unknown")],
    Discriminator(
        _item_kind,
        custom_error_type="item",
        custom_error_message="Input should be an object with a 'type', or a message with a 'role'",
    ),
]
Input = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[Item], Tag("list")],
    TEXT_OR_LIST,
]
_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


def read_item(value: Json) -> Item:
    """Read one input item. Raises pydantic's ValidationError; our own output items are always good."""
    return _ITEM.validate_python(value)
