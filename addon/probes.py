"""The tiny calls that try out one feature of a model each, and what an answer to them shows. Pure: no I/O, no clock."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, ValidationError

from addon.providers.profile import Profile
from addon.wire.sse import SSEParser

MOST_TOKENS = 4096
"""What one answer may have at most. Usual ones are far below; this stops a model that thinks without end."""


# --- what an answer says ----------------------------------------------------------------------------------------------


class _Part(BaseModel):
    type: str = ""
    text: str = ""


class _Item(BaseModel):
    type: str
    content: tuple[_Part, ...] | None = None
    name: str = ""
    arguments: str = ""


class _OutputDetails(BaseModel):
    reasoning_tokens: int = 0


class _Usage(BaseModel):
    output_tokens_details: _OutputDetails = _OutputDetails()


class Failure(BaseModel):
    """An error, in the envelope of an HTTP answer or in a response that failed."""

    message: str
    code: str | None = None


class Said(BaseModel):
    """What the check looks at in a response."""

    status: str
    error: Failure | None = None
    output: tuple[_Item, ...] = ()
    usage: _Usage | None = None

    @property
    def text(self) -> str:
        parts = (part for item in self.output if item.type == "message" for part in item.content or ())
        return "".join(part.text for part in parts if part.type == "output_text")

    @property
    def has_reasoned(self) -> bool:
        counted = self.usage is not None and self.usage.output_tokens_details.reasoning_tokens > 0
        return counted or any(item.type == "reasoning" for item in self.output)


class _Envelope(BaseModel):
    error: Failure


class _Event(BaseModel):
    type: str
    response: Said | None = None


def said_in(body: bytes) -> Said:
    """A whole response."""
    return Said.model_validate_json(body)


def failure_in(body: bytes) -> Failure:
    """The error of an answer that is no success."""
    return _Envelope.model_validate_json(body).error


def streamed_in(body: bytes) -> Said | None:
    """The response that a stream ends with; None if it just stops."""
    events = [_Event.model_validate_json(event.data) for event in SSEParser().feed(body)]
    return events[-1].response if events else None


# --- what shows that a feature works ----------------------------------------------------------------------------------


def _has_text(said: Said) -> str | None:
    return None if said.text.strip() else _instead(said, "no text came")


def _has_called(said: Said) -> str | None:
    call = next((item for item in said.output if item.type == "function_call" and item.name == _TOOL), None)
    if call is None:
        return _instead(said, "the function was not called")
    return _misfit(_Weather, call.arguments, "the arguments of the call")


def _has_reasoned(said: Said) -> str | None:
    return None if said.has_reasoned else _instead(said, "neither reasoning nor reasoning tokens came back")


def _has_seen(said: Said) -> str | None:
    return None if "yellow" in said.text.lower() else _instead(said, "the colour of the image (yellow) was not named")


def _fits_schema(said: Said) -> str | None:
    return _misfit(_City, said.text, "the answer")


def _misfit(model: type[BaseModel], text: str, what: str) -> str | None:
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{what} does not fit the schema ({f'{place}: ' if place else ''}{first['msg']}): {_quoted(text)}"
    return None


def _instead(said: Said, lacking: str) -> str:
    if said.status == "incomplete":
        return f"{lacking}; the answer ended early, after at most {MOST_TOKENS} tokens"
    return f"{lacking}; it said: {_quoted(said.text)}" if said.text.strip() else lacking


def _quoted(text: str) -> str:
    shown = " ".join(text.split())
    return f"“{shown}”" if len(shown) <= 80 else f"“{shown[:79]}…”"


# --- the calls --------------------------------------------------------------------------------------------------------

_TOOL = "get_weather"


class _Weather(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: str


class _City(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    country: str


def _asking(question: str, **more: object) -> dict[str, object]:
    return {"input": question, "max_output_tokens": MOST_TOKENS, **more}


def _text(profile: Profile) -> dict[str, object]:
    return _asking("Reply with one word: pong")


def _stream(profile: Profile) -> dict[str, object]:
    return _asking("Count from one to five, in words.", stream=True)


def _tool(profile: Profile) -> dict[str, object]:
    """The call of the function is forced in the strictest form the provider takes."""
    tool = {
        "type": "function",
        "name": _TOOL,
        "description": "Tells the weather in a city.",
        "parameters": _Weather.model_json_schema(),
    }
    choice: object = "auto"
    if "named" in profile.tool_choice_values:
        choice = {"type": "function", "name": _TOOL}
    elif "required" in profile.tool_choice_values:
        choice = "required"
    return _asking("What is the weather in Paris? Call the function to find out.", tools=[tool], tool_choice=choice)


def _thinking(profile: Profile) -> dict[str, object]:
    return _asking("How often does the letter r occur in strawberry?", reasoning={"effort": "low"})


def _image(profile: Profile) -> dict[str, object]:
    url = f"data:image/png;base64,{base64.b64encode(yellow_square()).decode()}"
    content = [
        {"type": "input_text", "text": "Which colour is this image? Reply with one English word."},
        {"type": "input_image", "image_url": url, "detail": "low"},
    ]
    return {"input": [{"role": "user", "content": content}], "max_output_tokens": MOST_TOKENS}


def _schema(profile: Profile) -> dict[str, object]:
    form = {"type": "json_schema", "name": "city", "schema": _City.model_json_schema(), "strict": True}
    return _asking("Name any city and its country.", text={"format": form})


def yellow_square(side: int = 64) -> bytes:
    """A PNG. Some providers refuse images of less than a few dozen pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\xff\0" * side) * side
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing a model may be able to do, and the call that finds out."""

    name: str
    body: Callable[[Profile], dict[str, object]]
    """The request, but for its model."""
    lacks: Callable[[Said], str | None]
    """What is amiss in an answer; None: the feature works."""
    tokens: int
    """About as many as the call takes, question and answer, where the model does not think."""
    essential: bool = False
    """A model without it is of no use."""
    left_out: str = ""
    """The note by which the bridge tells that the model does not get it, however well it may guess."""
    without: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Overrides that keep the bridge from asking a provider for it."""


FEATURES = (
    Feature("text", _text, _has_text, 30, essential=True),
    Feature("stream", _stream, _has_text, 40, essential=True),
    Feature("tool", _tool, _has_called, 150, without={"tools": False}),
    Feature("thinking", _thinking, _has_reasoned, 300, without={"thinking_style": "none"}),
    Feature(
        "image",
        _image,
        _has_seen,
        150,
        left_out="content: input_image: this model takes no images",
        without={"image_url": "none"},
    ),
    Feature("schema", _schema, _fits_schema, 130, without={"response_format": "prompt"}),
)
