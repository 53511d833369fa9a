"""The Responses API: what a client may send (pydantic), and the items, objects and events it gets (TypedDict).

Source: openai-python `types/responses/`, openai/openai-openapi, and requests recorded from real clients. Requests are
read tolerantly: null means absent, unknown keys are kept in `model_extra`, unknown item, part and tool types become
`Unknown…` values. Whether they are dropped or refused is decided in `translate`, never here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from addon.wire.json import Json, JsonError, JsonObject, dumps, loads

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _ByClass(ModelMetaclass):
    """isinstance by inheritance alone. pydantic's own asks for ABC registrations as well, and in a long history that is
    a large part of what each `match` on an item or a part costs."""

    __instancecheck__ = type.__instancecheck__  # type: ignore[assignment]


class Wire(BaseModel, metaclass=_ByClass):
    """A value from a stranger: unknown keys are kept, so that they can be reported."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, allow_inf_nan=False)


def _kind_of(known: frozenset[str], otherwise: str) -> Callable[[Any], str | None]:
    """A discriminator by `type`: the type itself where it is known, `otherwise` for the rest of the objects."""

    def kind(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return str(getattr(value, "type", otherwise))
        if not isinstance(value, dict):
            return None
        kind = value.get("type")
        return kind if isinstance(kind, str) and kind in known else otherwise

    return kind


def _text(value: Any) -> Any:
    """Null text is empty text."""
    return "" if value is None else value


def _json_text(value: Any) -> Any:
    """Arguments are JSON in a string; some clients send the object itself."""
    return dumps(value) if isinstance(value, (dict, list)) else _text(value)


Text = Annotated[str, BeforeValidator(_text)]
JsonText = Annotated[str, BeforeValidator(_json_text)]


# --- content parts -------------------------------------------------------------------------------------------------


class TextPart(Wire):
    """`input_text`, `output_text`, and what clients send in their place."""

    type: Literal["input_text", "output_text", "text", "summary_text", "reasoning_text"]
    text: Text = ""


class RefusalPart(Wire):
    type: Literal["refusal"]
    refusal: Text = ""


class ImagePart(Wire):
    type: Literal["input_image"]
    image_url: str | None = None
    """An http(s) URL or a data URL."""
    file_id: str | None = None
    detail: str | None = None
    """low, high, auto or original."""


class FilePart(Wire):
    type: Literal["input_file"]
    file_data: str | None = None
    """A data URL, or bare base64."""
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AudioPart(Wire):
    type: Literal["input_audio"]
    input_audio: dict[str, Json] | None = None
    data: str | None = None
    format: str | None = None


class EncryptedPart(Wire):
    """Part of an `agent_message`: what the model wrote for another agent. With our models that is plain text."""

    type: Literal["encrypted_content"]
    encrypted_content: Text = ""


class UnknownPart(Wire):
    type: Text = ""


_PART_TYPES = frozenset(
    {
        "input_text", "output_text", "text", "summary_text", "reasoning_text",
        "refusal", "input_image", "input_file", "input_audio", "encrypted_content",
    }
)  # fmt: skip
_TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_part_type = _kind_of(_PART_TYPES, "unknown")


def _part_kind(value: Any) -> str | None:
    kind = _part_type(value)
    return "text" if kind in _TEXT_TYPES else kind


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[ImagePart, Tag("input_image")]
    | Annotated[FilePart, Tag("input_file")]
    | Annotated[AudioPart, Tag("input_audio")]
    | Annotated[EncryptedPart, Tag("encrypted_content")]
    | Annotated[UnknownPart, Tag("unknown")],
    Discriminator(_part_kind, custom_error_type="part", custom_error_message="Input should be an object with a 'type'"),
]


def _text_or_list(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else None


_TEXT_OR_LIST = Discriminator(
    _text_or_list,
    custom_error_type="text_or_list",
    custom_error_message="Input should be a string or a list",
)

Content = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[Part], Tag("list")],
    _TEXT_OR_LIST,
]


# --- tools ---------------------------------------------------------------------------------------------------------


class FunctionTool(Wire):
    type: Literal["function"] = "function"
    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class CustomTool(Wire):
    """A tool whose input is free text, perhaps in a grammar: {"type": "grammar", "syntax", "definition"}."""

    type: Literal["custom"] = "custom"
    name: str
    description: str | None = None
    format: JsonObject | None = None


class NamespaceTool(Wire):
    type: Literal["namespace"] = "namespace"
    name: str
    description: str | None = None
    tools: list[Tool] = Field(default_factory=list)


class ToolSearchTool(Wire):
    """`execution` "client": the client looks the tools up and sends them in a `tool_search_output` item."""

    type: Literal["tool_search"] = "tool_search"
    execution: str | None = None
    description: str | None = None
    parameters: JsonObject | None = None


class ShellTool(Wire):
    """Commands that the client runs itself; or OpenAI, in a container, if `environment` says so."""

    type: Literal["shell"] = "shell"
    environment: JsonObject | None = None

    @property
    def is_local(self) -> bool:
        return self.environment is None or self.environment.get("type") == "local"


class LocalShellTool(Wire):
    """The older form: one command, as its arguments."""

    type: Literal["local_shell"] = "local_shell"


class ApplyPatchTool(Wire):
    """Changes to one file at a time; the client makes them."""

    type: Literal["apply_patch"] = "apply_patch"


class OtherTool(Wire):
    """Hosted tools, and whatever came after this was written."""

    type: Text = ""
    name: str | None = None


_TOOL_TYPES = frozenset(
    {"function", "custom", "namespace", "tool_search", "shell", "local_shell", "apply_patch"}
)  # fmt: skip

Tool = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[CustomTool, Tag("custom")]
    | Annotated[NamespaceTool, Tag("namespace")]
    | Annotated[ToolSearchTool, Tag("tool_search")]
    | Annotated[ShellTool, Tag("shell")]
    | Annotated[LocalShellTool, Tag("local_shell")]
    | Annotated[ApplyPatchTool, Tag("apply_patch")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(
        _kind_of(_TOOL_TYPES, "other"),
        custom_error_type="tool",
        custom_error_message="Input should be an object with a 'type'",
    ),
]


class ChosenTool(Wire):
    """One entry of `allowed_tools.tools`, or a tool_choice that names a tool."""

    type: Text = ""
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[ChosenTool] = Field(default_factory=list)


ToolChoice = Annotated[
    Annotated[str, Tag("text")] | Annotated[ChosenTool, Tag("object")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "object"),
]


# --- input items ---------------------------------------------------------------------------------------------------


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

_item_type = _kind_of(_ITEM_TYPES, "unknown")


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
    _TEXT_OR_LIST,
]


# --- the request ---------------------------------------------------------------------------------------------------


class TextFormat(Wire):
    type: str = "text"
    name: str | None = None
    schema_: JsonObject | None = Field(default=None, alias="schema")
    strict: bool | None = None
    description: str | None = None


class TextOptions(Wire):
    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningOptions(Wire):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    """The older name of `summary`."""

    @property
    def wants_summary(self) -> bool:
        return (self.summary or self.generate_summary or "none") != "none"


class ResponsesRequest(Wire):
    """The body of POST /v1/responses."""

    model: str | None = None
    input: Input = ""
    instructions: str | None = None
    stream: bool | None = None
    stream_options: JsonObject | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    metadata: JsonObject | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: Json = None
    background: bool | None = None
    background_options: JsonObject | None = None
    context_management: list[JsonObject] | None = None
    truncation: str | None = None
    prompt: JsonObject | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonObject | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    service_tier: str | None = None
    moderation: JsonObject | None = None

    def includes(self, what: str) -> bool:
        return what in (self.include or ())

    def items(self) -> list[Item]:
        """The input as items: a string is the user's message."""
        return [Message(role="user", content=self.input)] if isinstance(self.input, str) else self.input


class InvalidRequest(ValueError):
    """The body is not a Responses request. `param` is the path of the field, as OpenAI writes it: input[0].role."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


_REQUEST: TypeAdapter[ResponsesRequest] = TypeAdapter(ResponsesRequest)
_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


def read_item(value: Json) -> Item:
    """Read one input item. Raises pydantic's ValidationError; our own output items are always good."""
    return _ITEM.validate_python(value)


def read_request(body: bytes) -> ResponsesRequest:
    """Read a request's body (JSON, UTF-8).

    Raises:
        InvalidRequest: naming the first field that cannot be read.
    """
    try:
        return _REQUEST.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    try:
        value = loads(body)
    except JsonError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}", None) from None
    if first["type"] != "json_invalid":
        raise _invalid(value, first["loc"], first["msg"])
    try:  # JSON all the same, but with half surrogate pairs in it
        return _REQUEST.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(value, first["loc"], first["msg"]) from None


def _invalid(body: Json, loc: tuple[int | str, ...], message: str) -> InvalidRequest:
    if not isinstance(body, dict):
        return InvalidRequest("The body must be a JSON object.", None)
    param = _path(body, loc)
    return InvalidRequest(f"Invalid value for '{param}': {message}.", param or None)


def _path(body: Json, loc: tuple[int | str, ...]) -> str:
    """pydantic's location without the names of union members, as `a.b[0].c`."""
    path = ""
    for position, step in enumerate(loc):
        if isinstance(body, list) and isinstance(step, int) and step < len(body):
            body, path = body[step], f"{path}[{step}]"
        elif isinstance(body, dict) and isinstance(step, str) and (step in body or position == len(loc) - 1):
            body, path = body.get(step), f"{path}.{step}" if path else step
    return path


# --- what the client gets --------------------------------------------------------------------------------------------

Status: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]


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
)


class InputTokensDetails(TypedDict):
    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(TypedDict):
    reasoning_tokens: int


class Usage(TypedDict):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(TypedDict):
    code: str
    message: str


class ResponseObject(TypedDict):
    """All keys, always: the SDKs need some, Open Responses demands the rest."""

    id: str
    object: Literal["response"]
    created_at: int
    """Seconds since the epoch."""
    completed_at: int | None
    status: Status
    error: ResponseError | None
    incomplete_details: JsonObject | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: JsonObject
    safety_identifier: str | None
    service_tier: str
    store: bool
    background: bool
    temperature: float
    text: JsonObject
    tool_choice: Json
    tools: list[JsonObject]
    top_logprobs: int
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    truncation: str
    usage: Usage | None
    user: str | None
    metadata: JsonObject


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a Responses stream: a snapshot, nothing in it changes after it was made."""

    type: str
    sequence_number: int
    fields: dict[str, object]

    def payload(self) -> dict[str, object]:
        return {"type": self.type, "sequence_number": self.sequence_number, **self.fields}
