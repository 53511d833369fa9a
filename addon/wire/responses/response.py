"""The response a client gets, whole or as the events of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from addon.wire.json import Json, JsonObject
from addon.wire.responses.output_items import OutputItem, Status


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
    conversation: JsonObject | None
    """Its `id`, if the response was made in one."""
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
