"""What native Responses endpoints say, in short forms: events, items, whole answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.native_stream import NativeReader
from addon.translate.notes import Notes
from addon.translate.output import CalledTool
from addon.wire.responses import ResponsesRequest
from tests.translate.answers import Answer, Names, builder, judged, payloads

Data = Mapping[str, Any]


def event(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def sse(*events: Data, end: str = "\n") -> bytes:
    return "".join(f"event: {each['type']}{end}data: {json.dumps(each)}{end}{end}" for each in events).encode()


def usage(into: int = 20, out: int = 9, cached: int = 4, thought: int = 5) -> dict[str, Any]:
    return {
        "input_tokens": into,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": into + out,
    }


def response(*items: Data, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_theirs",
        "object": "response",
        "created_at": 1,
        "model": "acme-1",
        "status": status,
        "output": list(items),
        "usage": usage(),
        "error": None,
        **more,
    }


def text_item(text: str, item_id: str = "msg_theirs", **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}


def reasoning_item(*summary: str, item_id: str = "rs_theirs", **more: Any) -> dict[str, Any]:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": item_id, "type": "reasoning", "summary": parts, **more}


def call_item(name: str = "f", arguments: str = '{"a":1}', call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {
        "id": "fc_theirs",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        **more,
    }


def added(index: int, item: Data) -> dict[str, Any]:
    """The beginning of an item: nothing in it yet."""
    empty: dict[str, Any] = {"content": [], "summary": [], "arguments": "", "input": ""}
    blank = {key: empty.get(key, value) for key, value in item.items()} | {"status": "in_progress"}
    return event("output_item.added", output_index=index, item=blank)


def done(index: int, item: Data) -> dict[str, Any]:
    return event("output_item.done", output_index=index, item=item)


def text_events(index: int, *deltas: str) -> list[dict[str, Any]]:
    """A whole message, as OpenAI streams it."""
    item = text_item("".join(deltas))
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    return [
        added(index, item),
        event("content_part.added", **where, part=part),
        *(event("output_text.delta", **where, delta=delta) for delta in deltas),
        event("output_text.done", **where, text="".join(deltas)),
        event("content_part.done", **where, part={**part, "text": "".join(deltas)}),
        done(index, item),
    ]


def call_events(index: int, *deltas: str, **item: Any) -> list[dict[str, Any]]:
    """A whole call of a function, as OpenAI streams it."""
    call = call_item(arguments="".join(deltas), **item)
    where = {"item_id": call["id"], "output_index": index}
    return [
        added(index, call),
        *(event("function_call_arguments.delta", **where, delta=delta) for delta in deltas),
        event("function_call_arguments.done", **where, arguments="".join(deltas)),
        done(index, call),
    ]


CREATED = event("created", response=response(status="in_progress", usage=None))


def completed(*items: Data, **more: Any) -> dict[str, Any]:
    return event("completed", response=response(*items, **more))


def hello(*deltas: str) -> bytes:
    """A whole stream, as OpenAI sends it."""
    texts = deltas or ("Hel", "lo.")
    return sse(CREATED, *text_events(0, *texts), completed(text_item("".join(texts))))


def native_answer_to(
    portions: Iterable[bytes],
    *,
    asked: ResponsesRequest | None = None,
    profile: Profile | None = None,
    tools: Mapping[str, CalledTool] | None = None,
    logprobs: bool = False,
    broken_by: ApiError | None = None,
    estimate: int | None = None,
) -> Answer:
    """Feed a provider's body to a reader, end it (or break it off), and judge what comes out."""
    notes = Notes()
    reader = NativeReader(
        builder(asked),
        profile or Profile(),
        Names(tools or {}),
        provider="acme",
        notes=notes,
        logprobs=logprobs,
        prompt_estimate=None if estimate is None else lambda: estimate,
    )
    events = [event for portion in portions for event in reader.feed(portion)]
    events += reader.fail(broken_by) if broken_by is not None else reader.end()
    assert reader.feed(b"data: {}\n\n") == reader.end() == []
    return Answer(judged(payloads(events)), [str(note) for note in notes])
