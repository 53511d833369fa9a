"""Providers' answers in, Responses out: a converter with counting ids and a fixed clock, and short forms."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output import CalledTool, ResponseBuilder
from addon.translate.stream import StreamConverter
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import Event, ResponsesRequest, read_request
from addon.wire.sse import encode
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response

NOW = 1_700_000_000


def counting_ids() -> Callable[[str], str]:
    """msg_1, fc_2, …: one counter for all prefixes."""
    counter = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(counter)}"


def plain_seal(text: str, details: Sequence[JsonObject], calls: Mapping[str, JsonObject], /) -> str | None:
    """What would be encrypted, legible."""
    inside = [text, list(details), dict(calls)] if calls else [text, list(details)]
    return "sealed:" + dumps(inside) if text or details or calls else None


@dataclass(frozen=True)
class Names:
    """Tools by their chat name; every other name is a function's."""

    known: Mapping[str, CalledTool] = field(default_factory=dict)

    def called(self, chat_name: str) -> CalledTool:
        return self.known.get(chat_name) or CalledTool("function", chat_name)


def request(**body: object) -> ResponsesRequest:
    return read_request(dumps({"model": "test-model", "input": "Hi", **body}).encode())


def builder(asked: ResponsesRequest | None = None) -> ResponseBuilder:
    return ResponseBuilder(asked or request(), ids=counting_ids(), now=lambda: float(NOW), seal=plain_seal)


def payloads(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events as a client reads them: through JSON, so that nothing is shared with what made them."""
    return [json.loads(dumps(event.payload())) for event in events]


def judged(events: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The same events, after the grammar and the SDK's own models have found nothing wrong with them."""
    check_stream(events)
    for event in events:
        validate_event(event)
    validate_response(events[-1]["response"])
    return events


@dataclass(frozen=True)
class Answer:
    """What a client got, and what the log would say."""

    events: Sequence[dict[str, Any]]
    notes: Sequence[str]

    @property
    def response(self) -> dict[str, Any]:
        """The response object of the terminal event."""
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    @property
    def status(self) -> str:
        """completed, failed, or incomplete with its reason."""
        details = self.response["incomplete_details"]
        return f"incomplete: {details['reason']}" if details else str(self.response["status"])

    @property
    def output(self) -> list[tuple[str, ...]]:
        return [short for item in self.response["output"] for short in shortened(item)]

    def sse(self) -> bytes:
        return b"".join(encode(event["type"], json.dumps(event)) for event in self.events)


def shortened(item: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """An item as tuples such as ("text", "Hi") or ("call", "f", "{}"), with "incomplete" at the end where it is."""
    match item["type"]:
        case "message":
            said = [
                (part["type"].removeprefix("output_"), part.get("text", part.get("refusal")))
                for part in item["content"]
            ]
        case "reasoning":
            thoughts = [*item["content"], *item["summary"]] or [{"text": item["encrypted_content"]}]
            said = [("reasoning", thought["text"]) for thought in thoughts]
        case "function_call":
            said = [("call", item["name"], item["arguments"])]
        case "custom_tool_call":
            said = [("custom", item["name"], item["input"])]
        case "shell_call":
            said = [("shell", *item["action"]["commands"])]
        case "local_shell_call":
            said = [("local shell", *item["action"]["command"])]
        case "apply_patch_call":
            said = [("patch", *item["operation"].values())]
        case "web_search_call":
            said = [("web search", *(source["url"] for source in item["action"]["sources"]))]
        case _:
            said = [("search", json.dumps(item["arguments"]))]
    status = () if item["status"] == "completed" else (item["status"],)
    return [(*short, *status) for short in said]


def answer_to(
    portions: Iterable[bytes],
    *,
    asked: ResponsesRequest | None = None,
    profile: Profile | None = None,
    tools: Mapping[str, CalledTool] | None = None,
    logprobs: bool = False,
    broken_by: ApiError | None = None,
    estimate: int | None = None,
) -> Answer:
    """Feed a provider's body to a converter, end it (or break it off), and judge what comes out."""
    notes = Notes()
    converter = StreamConverter(
        builder(asked),
        profile or Profile(),
        Names(tools or {}),
        provider="acme",
        notes=notes,
        logprobs=logprobs,
        prompt_estimate=None if estimate is None else lambda: estimate,
    )
    events = [event for portion in portions for event in converter.feed(portion)]
    events += converter.fail(broken_by) if broken_by is not None else converter.end()
    assert converter.feed(b'data: {"choices":[{"delta":{"content":"late"}}]}\n\n') == []
    assert converter.end() == []
    return Answer(judged(payloads(events)), [str(note) for note in notes])


# --- what providers write ---------------------------------------------------------------------------------------------

DONE = b"data: [DONE]\n\n"


def data(body: object) -> bytes:
    """One event of a provider's stream. Text is escaped as JSON does it by default."""
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(delta: object = None, finish: str | None = None, usage: object = None, **more: object) -> bytes:
    """A chunk with one choice."""
    body: dict[str, object] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    body["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return data({**body, **({"usage": usage} if usage is not None else {}), **more})


def text(content: object, finish: str | None = None) -> bytes:
    return chunk({"content": content}, finish)


def call(index: int | None = 0, finish: str | None = None, *, id: object = None, **function: object) -> bytes:
    """A chunk with a piece of one tool call; keys that are None are left out."""
    piece = {"index": index, "id": id, "type": "function"}
    piece = {key: value for key, value in piece.items() if value is not None}
    return chunk({"tool_calls": [{**piece, "function": function}]}, finish)


def completion(message: object, finish: str | None = "stop", usage: object = None, **more: object) -> bytes:
    """A whole answer."""
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
        **more,
    }
    return json.dumps(body).encode()
