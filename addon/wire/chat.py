"""Chat Completions: the request we write (TypedDict), and what providers answer, read into one shape.

Source: openai-python `types/chat/`. Providers deviate from it in every field, so an answer is read by hand, once, here:
past `read_chunk` nothing is null, missing or of another type. A whole completion is read as a stream of one chunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypeAlias, TypedDict

from addon.wire.json import Json, JsonObject, clean, dumps

# --- the request ---------------------------------------------------------------------------------------------------


class TextContent(TypedDict):
    type: Literal["text"]
    text: str


class ImageUrl(TypedDict):
    url: str
    detail: NotRequired[str]


class ImageContent(TypedDict):
    type: Literal["image_url"]
    image_url: ImageUrl


class FileData(TypedDict):
    file_data: str
    filename: NotRequired[str]


class FileContent(TypedDict):
    type: Literal["file"]
    file: FileData


class AudioContent(TypedDict):
    type: Literal["input_audio"]
    input_audio: JsonObject


ContentPart: TypeAlias = TextContent | ImageContent | FileContent | AudioContent
Content: TypeAlias = str | list[ContentPart]


class FunctionOfCall(TypedDict):
    name: str
    arguments: str


class ToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: FunctionOfCall


class CustomOfCall(TypedDict):
    name: str
    input: str


class CustomCall(TypedDict):
    id: str
    type: Literal["custom"]
    custom: CustomOfCall


class InstructionMessage(TypedDict):
    role: Literal["system", "developer"]
    content: Content


class UserMessage(TypedDict):
    role: Literal["user"]
    content: Content


class AssistantMessage(TypedDict):
    role: Literal["assistant"]
    content: NotRequired[Content | list[JsonObject] | None]
    refusal: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall | CustomCall]]
    reasoning_content: NotRequired[str]
    reasoning: NotRequired[str]
    reasoning_details: NotRequired[list[Json]]
    prefix: NotRequired[bool]


class ToolMessage(TypedDict):
    role: Literal["tool"]
    tool_call_id: str
    name: NotRequired[str]
    content: Content


ChatMessage: TypeAlias = InstructionMessage | UserMessage | AssistantMessage | ToolMessage

ChatRequest: TypeAlias = JsonObject
"""The body of POST /chat/completions. Its keys depend on the profile; `messages` holds ChatMessages."""


# --- the answer ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of what the model says: reasoning, or text for the reader."""

    kind: Literal["text", "reasoning"]
    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of a tool call. Empty strings where the provider said nothing."""

    index: int | None
    id: str
    name: str
    arguments: str
    extra: JsonObject = field(default_factory=dict)
    """Opaque keys that the provider wants back with the call."""
    custom: bool = False
    """It calls a custom tool, and its arguments are the tool's free text."""


@dataclass(frozen=True, slots=True)
class Source:
    """A page that a web search has found."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Token counts as the provider gave them; None where it gave none."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one chunk, or one whole completion, says about choice 0."""

    id: str = ""
    model: str = ""
    pieces: Sequence[Piece] = ()
    refusal: str = ""
    calls: Sequence[CallPiece] = ()
    reasoning_details: Sequence[JsonObject] = ()
    annotations: Sequence[JsonObject] = ()
    sources: Sequence[Source] = ()
    """What the provider's own web search has found, told beside the text."""
    logprobs: Sequence[JsonObject] = ()
    finish_reason: str = ""
    usage: Totals | None = None
    service_tier: str = ""
    error: Json = None
    """An error object, or text, that came in the place of an answer."""
    has_choice: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider's profile says about where things stand in its answers."""

    reasoning_fields: Sequence[str] = ("reasoning_content", "reasoning", "reasoning_text")
    """Keys of a delta that carry the model's thinking; the first that is not empty counts."""
    reasoning_details: bool = True
    content_parts_thinking: bool = True
    call_extra: Sequence[str] = ("extra_content",)
    """Opaque keys of a call that have to come back with it."""
    cached_paths: Sequence[str] = ("/prompt_tokens_details/cached_tokens",)
    """JSON pointers into `usage`, tried in order."""
    reasoning_paths: Sequence[str] = ("/completion_tokens_details/reasoning_tokens",)
    reasoning_in_completion: bool = True
    """False: the completion's tokens do not contain those of its reasoning (xAI)."""


_CACHE_WRITE = (
    "/prompt_tokens_details/cache_write_tokens",
    "/cache_write_tokens",
    "/prompt_tokens_details/cache_creation_input_tokens",
    "/cache_creation_input_tokens",
)

DEFAULT_READING = Reading()


def read_chunk(body: JsonObject, reading: Reading = DEFAULT_READING) -> Chunk:
    """Read a chunk (`choices[0].delta`) or a whole completion (`choices[0].message`)."""
    choice = _choice(body)
    delta = choice.get("delta")
    # Beside a delta, be it empty, a `message` repeats what was streamed (Perplexity).
    said = delta if isinstance(delta, dict) else _object(choice.get("message"))
    legacy_text = choice.get("text")
    return Chunk(
        id=_string(body.get("id")),
        model=_string(body.get("model")),
        pieces=[*_reasoning(said, reading), *_content(said.get("content") or legacy_text, reading)],
        refusal=clean(_string(said.get("refusal"))),
        calls=read_calls(said, reading),
        reasoning_details=_objects(said.get("reasoning_details")) if reading.reasoning_details else (),
        annotations=_objects(said.get("annotations")),
        sources=_sources(body),
        logprobs=_objects(_object(choice.get("logprobs")).get("content")),
        finish_reason=_string(choice.get("finish_reason")),
        usage=_usage(body, choice, reading),
        service_tier=_string(body.get("service_tier")),
        error=body.get("error") or choice.get("error"),
        has_choice=bool(choice),
    )


def _choice(body: JsonObject) -> JsonObject:
    """Choice 0: nobody asked for another, but one provider's gateway may send them."""
    for choice in _objects(body.get("choices")):
        if choice.get("index") in (0, None):
            return choice
    return {}


def _reasoning(said: JsonObject, reading: Reading) -> list[Piece]:
    for name in reading.reasoning_fields:
        text = said.get(name)
        if isinstance(text, str) and text:
            return [Piece("reasoning", clean(text))]
    if not reading.reasoning_details:
        return []
    texts = (_string(detail.get("text") or detail.get("summary")) for detail in _objects(said.get("reasoning_details")))
    joined = "".join(texts)
    return [Piece("reasoning", clean(joined))] if joined else []


def _content(content: Json, reading: Reading) -> list[Piece]:
    if isinstance(content, str):
        return [Piece("text", clean(content))] if content else []
    return [piece for part in _entries(content) for piece in _part(part, reading)]


def _part(part: Json, reading: Reading) -> list[Piece]:
    if isinstance(part, str):
        return [Piece("text", clean(part))] if part else []
    if not isinstance(part, dict):
        return []
    if part.get("type") in ("thinking", "reasoning") and reading.content_parts_thinking:
        thought = part.get("thinking") or part.get("text") or part.get("reasoning")
        text = thought if isinstance(thought, str) else "".join(_string(t.get("text")) for t in _objects(thought))
        return [Piece("reasoning", clean(text))] if text else []
    text = _string(part.get("text"))
    return [Piece("text", clean(text))] if text else []


def read_calls(said: JsonObject, reading: Reading = DEFAULT_READING) -> list[CallPiece]:
    """The pieces of calls in a delta or message."""
    calls = [_call(call, reading) for call in _objects(said.get("tool_calls"))]
    legacy = _object(said.get("function_call"))
    if legacy and not calls:
        calls.append(CallPiece(0, "", _string(legacy.get("name")), _arguments(legacy.get("arguments"))))
    return calls


def _call(call: JsonObject, reading: Reading) -> CallPiece:
    custom = _object(call.get("custom"))
    function = _object(call.get("function")) or custom
    index = call.get("index")
    arguments = function.get("arguments")
    if arguments is None:
        arguments = function.get("input")
    return CallPiece(
        index=index if isinstance(index, int) else None,
        id=_string(call.get("id")),
        name=_string(function.get("name")),
        arguments=_arguments(arguments),
        extra={key: call[key] for key in reading.call_extra if call.get(key) is not None},
        custom=function is custom and bool(custom),
    )


def _arguments(value: Json) -> str:
    """Arguments are a string of JSON; some providers send the object."""
    if isinstance(value, (dict, list)):
        return dumps(value)
    return clean(_string(value))


_SOURCE_LISTS = ("search_results", "web_search", "citations")
"""Perplexity has the first and the last, Zhipu the second; DashScope has `search_info.search_results`."""


_SOURCE_KEYS = frozenset({*_SOURCE_LISTS, "search_info"})


def _sources(body: JsonObject) -> Sequence[Source]:
    """Pages in the lists that some providers put beside the choices, each once."""
    if _SOURCE_KEYS.isdisjoint(body):
        return ()
    found: dict[str, Source] = {}
    for holder in (body, _object(body.get("search_info"))):
        for name in _SOURCE_LISTS:
            entries = holder.get(name)
            for entry in entries if isinstance(entries, list) else ():
                page = _object(entry)
                url = entry if isinstance(entry, str) else _string(page.get("url")) or _string(page.get("link"))
                if url.startswith(("http://", "https://")):
                    found.setdefault(url, Source(clean(url), clean(_string(page.get("title")))))
    return list(found.values())


def _usage(body: JsonObject, choice: JsonObject, reading: Reading) -> Totals | None:
    usage = (
        _object(body.get("usage")) or _object(choice.get("usage")) or _object(_object(body.get("x_groq")).get("usage"))
    )
    if not usage:
        return _timings(_object(body.get("timings")))
    completion = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    reasoning = _first_count(usage, reading.reasoning_paths)
    if completion is not None and not reading.reasoning_in_completion:
        completion += reasoning
    return Totals(
        prompt=_count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        completion=completion,
        total=_count(usage.get("total_tokens")),
        cached=_first_count(usage, reading.cached_paths),
        cache_write=_first_count(usage, _CACHE_WRITE),
        reasoning=reasoning,
    )


def _timings(timings: JsonObject) -> Totals | None:
    """What llama.cpp measures, whether usage was asked for or not. `prompt_n` is what it had to read anew."""
    if not timings:
        return None
    read, cached = _count(timings.get("prompt_n")), _count(timings.get("cache_n"))
    return Totals(
        prompt=None if read is None or cached is None else read + cached,
        completion=_count(timings.get("predicted_n")),
        cached=cached or 0,
    )


def _first_count(usage: JsonObject, pointers: Sequence[str]) -> int:
    for pointer in pointers:
        value: Json = usage
        for step in pointer.split("/")[1:]:
            value = _object(value).get(step)
        count = _count(value)
        if count:
            return count
    return 0


def _count(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or not math.isfinite(value):
        return None
    return int(value)


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    if not value:
        return []
    return [entry for entry in _entries(value) if isinstance(entry, dict)]


def _entries(value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


@dataclass(slots=True)
class Fragments:
    """`reasoning_details` as they were before a provider cut them up for streaming: merged by index."""

    details: list[JsonObject] = field(default_factory=list)

    def add(self, pieces: Sequence[JsonObject]) -> None:
        for piece in pieces:
            begun = next((detail for detail in reversed(self.details) if _continues(detail, piece)), None)
            if begun is not None:
                _merge(begun, piece)
            else:
                self.details.append(dict(piece))


def _continues(detail: JsonObject, piece: JsonObject) -> bool:
    """The same type at the same index is the same detail, unless two ids say that it is not."""
    if "index" not in piece or detail.get("index") != piece["index"] or detail.get("type") != piece.get("type"):
        return False
    return detail.get("id") is None or piece.get("id") is None or detail["id"] == piece["id"]


def _merge(detail: JsonObject, piece: JsonObject) -> None:
    for key, value in piece.items():
        before = detail.get(key)
        if key in ("text", "summary", "data") and isinstance(before, str) and isinstance(value, str):
            detail[key] = before + value
        elif value is not None:
            detail[key] = value
