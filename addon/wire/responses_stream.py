"""What a provider's own Responses endpoint answers, streamed or whole, read into one shape.

Endpoints deviate from OpenAI's in every field: ids change between the events of one item, indices and whole events are
missing, older names live on. So an answer is read by hand, once, here: past this module nothing is null or of another
type. What says nothing (`response.queued`, keep-alives, whatever came after this was written) is no event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from addon.wire.json import Json, JsonObject, clean, dumps

PieceKind: TypeAlias = Literal["text", "refusal", "reasoning", "summary", "arguments"]
"""What a piece belongs to. The input of a custom tool counts as its arguments."""


@dataclass(frozen=True, slots=True)
class Where:
    """The item an event is about, as far as the provider says."""

    index: int | None = None
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A part of a message or of reasoning."""

    kind: PieceKind
    text: str
    annotations: Sequence[JsonObject] = ()
    logprobs: Sequence[JsonObject] = ()


@dataclass(frozen=True, slots=True)
class ProviderItem:
    """An output item. Empty strings where the provider said nothing."""

    type: str
    raw: JsonObject
    """All of it, as it came."""
    id: str = ""
    call_id: str = ""
    name: str = ""
    namespace: str = ""
    status: str = ""
    phase: str = ""
    arguments: str = ""
    """Of a call: its arguments, or the input of a custom tool."""
    parts: Sequence[OutputPart] = ()

    def text(self, kind: PieceKind) -> str:
        """All that the item holds of one kind; thoughts in several parts are paragraphs."""
        if kind == "arguments":
            return self.arguments
        separator = "\n\n" if kind in ("reasoning", "summary") else ""
        return separator.join(part.text for part in self.parts if part.kind == kind)


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """A response object."""

    status: str
    items: Sequence[ProviderItem]
    incomplete_reason: str = ""
    error: Json = None
    service_tier: str = ""
    usage: JsonObject = field(default_factory=dict)


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """The provider has accepted the request."""


@dataclass(frozen=True, slots=True)
class ItemAdded:
    where: Where
    item: ProviderItem


@dataclass(frozen=True, slots=True)
class ItemDone:
    """The whole item: what it says counts, whatever was or was not streamed before."""

    where: Where
    item: ProviderItem


@dataclass(frozen=True, slots=True)
class Delta:
    where: Where
    kind: PieceKind
    text: str
    part: int = 0
    """Which part of the item it belongs to."""
    logprobs: Sequence[JsonObject] = ()


@dataclass(frozen=True, slots=True)
class PieceDone:
    """One part of an item is whole."""

    where: Where
    kind: PieceKind
    text: str
    part: int = 0
    name: str = ""
    """Of a call, if it is said here."""


@dataclass(frozen=True, slots=True)
class Annotated:
    where: Where
    annotation: JsonObject


@dataclass(frozen=True, slots=True)
class Ended:
    """The terminal event, or a whole answer."""

    response: ProviderResponse


@dataclass(frozen=True, slots=True)
class Broken:
    """An error in the place of an answer, or of its rest."""

    content: Json


StreamEvent: TypeAlias = Begun | ItemAdded | ItemDone | Delta | PieceDone | Annotated | Ended | Broken

_DELTAS: Mapping[str, PieceKind] = {
    "response.output_text.delta": "text",
    "response.text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning.delta": "reasoning",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_summary.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}
_DONE: Mapping[str, tuple[PieceKind, str]] = {
    "response.output_text.done": ("text", "text"),
    "response.text.done": ("text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.reasoning_text.done": ("reasoning", "text"),
    "response.reasoning.done": ("reasoning", "text"),
    "response.reasoning_summary_text.done": ("summary", "text"),
    "response.reasoning_summary.done": ("summary", "text"),
    "response.function_call_arguments.done": ("arguments", "arguments"),
    "response.custom_tool_call_input.done": ("arguments", "input"),
}
"""What is whole, and the field that holds it."""

_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_OUTCOMES = frozenset({"completed", "incomplete", "failed", "cancelled"})
_ENDINGS = frozenset(f"response.{outcome}" for outcome in _OUTCOMES)


def read_event(name: str, body: JsonObject) -> StreamEvent | None:
    """One event of a stream; None for one that says nothing.

    Args:
        name: what the stream calls it, for providers whose data lacks a `type`.
        body: its data.
    """
    kind = _string(body.get("type")) or name
    if kind in _DELTAS:
        return _delta(_DELTAS[kind], body)
    if kind in _DONE:
        what, key = _DONE[kind]
        return PieceDone(_where(body), what, _text(body.get(key)), _part_index(body), _string(body.get("name")))
    if kind in _BEGINNINGS:
        return Begun()
    if kind in _ENDINGS:
        response = _object(body.get("response")) or body
        return Ended(read_response(response, status=kind.removeprefix("response.")))
    return _rare_event(kind, body)


def _rare_event(kind: str, body: JsonObject) -> StreamEvent | None:
    match kind:
        case "response.output_item.added":
            return ItemAdded(_where(body, "item"), read_output_item(_object(body.get("item"))))
        case "response.output_item.done":
            return ItemDone(_where(body, "item"), read_output_item(_object(body.get("item"))))
        case "response.output_text.annotation.added" | "response.output_text_annotation.added":
            return Annotated(_where(body), _object(body.get("annotation")))
        case "error" | "response.error":
            return Broken(body)
        case _:
            return Broken(body) if not kind.startswith("response.") and body.get("error") else None


def _delta(kind: PieceKind, body: JsonObject) -> Delta:
    delta = body.get("delta")
    text = _text(delta.get("text")) if isinstance(delta, dict) else _text(delta)
    return Delta(_where(body), kind, text, _part_index(body), tuple(_objects(body.get("logprobs"))))


def _where(body: JsonObject, holder: str = "") -> Where:
    index = body.get("output_index")
    item_id = _string(body.get("item_id")) or _string(_object(body.get(holder)).get("id"))
    return Where(index if isinstance(index, int) and not isinstance(index, bool) else None, item_id)


def _part_index(body: JsonObject) -> int:
    for name in ("summary_index", "content_index"):
        index = body.get(name)
        if isinstance(index, int):
            return index
    return 0


# --- whole answers and items ------------------------------------------------------------------------------------------


def find_response(body: Json) -> JsonObject | None:
    """The response object in a whole answer, taken out of the envelope that some gateways put around it."""
    if not isinstance(body, dict):
        return None
    return next((each for each in (body, *body.values()) if isinstance(each, dict) and _is_response(each)), None)


def _is_response(value: JsonObject) -> bool:
    return value.get("object") == "response" or (isinstance(value.get("output"), list) and "choices" not in value)


def read_response(body: JsonObject, *, status: str = "") -> ProviderResponse:
    """Read a response object; `status` is what its event says, for objects that do not say how they ended."""
    said = _string(body.get("status"))
    return ProviderResponse(
        status=said if said in _OUTCOMES or not status else status,
        items=[read_output_item(item) for item in _objects(body.get("output"))],
        incomplete_reason=_string(_object(body.get("incomplete_details")).get("reason")),
        error=body.get("error"),
        service_tier=_string(body.get("service_tier")),
        usage=_object(body.get("usage")),
    )


def read_output_item(raw: JsonObject) -> ProviderItem:
    """Read an item as it stands, perhaps not yet whole."""
    kind = _string(raw.get("type")) or ("message" if "content" in raw else "")
    return ProviderItem(
        type=kind,
        raw=raw,
        id=_string(raw.get("id")),
        call_id=_string(raw.get("call_id")),
        name=_string(raw.get("name")),
        namespace=_string(raw.get("namespace")),
        status=_string(raw.get("status")),
        phase=_string(raw.get("phase")),
        arguments=_arguments(raw.get("input") if kind == "custom_tool_call" else raw.get("arguments")),
        parts=[*_parts(raw.get("content"), kind), *_parts(raw.get("summary"), "summary")],
    )


def _parts(content: Json, kind: str) -> Iterator[OutputPart]:
    """`kind`: the type of the item, or "summary"."""
    plain: PieceKind = "reasoning" if kind == "reasoning" else "summary" if kind == "summary" else "text"
    if isinstance(content, str) and content:
        yield OutputPart(plain, clean(content))
    for part in _objects(content):
        if part.get("type") == "refusal":
            yield OutputPart("refusal", _text(part.get("refusal")))
        elif "text" in part:
            annotations, logprobs = _objects(part.get("annotations")), _objects(part.get("logprobs"))
            yield OutputPart(plain, _text(part.get("text")), annotations, logprobs)


def _arguments(value: Json) -> str:
    """Arguments are a string of JSON; some providers send the object."""
    return dumps(value) if isinstance(value, (dict, list)) else _text(value)


def _text(value: Json) -> str:
    return clean(value) if isinstance(value, str) else ""


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
