"""The body of POST /v1/responses → a `ResponsesRequest`, or the first field that cannot be read."""

from __future__ import annotations

from pydantic import Field, TypeAdapter, ValidationError

from addon.wire.json import Json, JsonError, JsonObject, loads
from addon.wire.responses.input_items import Input, Item, Message
from addon.wire.responses.tools import Tool, ToolChoice
from addon.wire.responses.values import Wire


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
    """An id, or an object with one."""
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

    @property
    def conversation_id(self) -> str | None:
        """
        Raises:
            InvalidRequest: `conversation` is neither an id nor an object with one.
        """
        match self.conversation:
            case None | "":
                return None
            case str(conversation_id) | {"id": str(conversation_id)}:
                return conversation_id
        message = "Invalid value for 'conversation': expected an id, or an object with an 'id'."
        raise InvalidRequest(message, "conversation")

    def items(self) -> list[Item]:
        """The input as items: a string is the user's message."""
        return [Message(role="user", content=self.input)] if isinstance(self.input, str) else self.input


class InvalidRequest(ValueError):
    """The body is not a Responses request. `param` is the path of the field, as OpenAI writes it: input[0].role."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


_REQUEST: TypeAdapter[ResponsesRequest] = TypeAdapter(ResponsesRequest)


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
