"""Bytes that a provider's own Responses endpoint answers → the verbs of a `ResponseBuilder` → events.

The answer is told anew, not passed on: ids, indices, sequence numbers, statuses and the terminal event are the
builder's, so that the client gets the same grammar as from a chat provider, whatever this stream lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from addon.translate.answer_reader import BodyReader
from addon.translate.errors import from_body, from_response, is_error
from addon.translate.items import CallState
from addon.translate.logprobs import logprob
from addon.translate.native_tools import arguments_of
from addon.translate.output import CalledTool
from addon.translate.provider_item import IncomingItem, IncomingItems
from addon.translate.tool_names import TOOL_SEARCH
from addon.translate.verbatim_items import KINDS
from addon.wire.chat import Reading, read_chunk
from addon.wire.json import Json, JsonError, JsonObject, dumps, loads
from addon.wire.responses import ApplyPatchCall, LocalShellCall, ShellCall, read_item
from addon.wire.responses_stream import (
    Annotated,
    Begun,
    Broken,
    Delta,
    Ended,
    ItemAdded,
    ItemDone,
    PieceDone,
    PieceKind,
    ProviderItem,
    ProviderResponse,
    StreamEvent,
    Where,
    find_response,
    read_event,
    read_response,
)

REASONING_ITEM: Final = "response.reasoning"
"""Type of the detail that holds a provider's whole reasoning item, for the way back to it."""

_STATUS: Mapping[str, int] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "overloaded_error": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "vector_store_timeout": 504,
}
"""The HTTP status that an error within an answer would have had."""

_CITATIONS: Mapping[str, Mapping[str, type]] = {
    "url_citation": {"url": str, "title": str, "start_index": int, "end_index": int},
    "file_citation": {"file_id": str, "filename": str, "index": int},
    "container_file_citation": {
        "container_id": str,
        "file_id": str,
        "filename": str,
        "start_index": int,
        "end_index": int,
    },
    "file_path": {"file_id": str, "index": int},
}
"""The annotations that clients know, and what each of them has."""


class NativeReader(BodyReader):
    """Reads an answer in the form of the Responses API."""

    def _set_up(self) -> None:
        self._items = IncomingItems()
        profile = self._profile
        self._reading = Reading(cached_paths=profile.cached_paths, reasoning_paths=profile.reasoning_paths)

    # --- a stream or a whole answer

    def _said(self, event: str, data: str) -> None:
        try:
            content = loads(data) if data else {}
        except JsonError:
            content = data
        if isinstance(content, dict):
            said = read_event(event, content)
            if said is not None:
                self._take_in(said)
            elif "type" not in content and is_error(content):
                self._broken(content)
        elif event == "error" or is_error(content):
            self._broken(content)
        else:
            self._notes.add("provider stream", "a line that is not a JSON object was skipped")

    def _answer(self, body: bytes) -> None:
        try:
            content = loads(body)
        except JsonError:
            self._fail_with_words(body)
            return
        response = find_response(content)
        if response is not None:
            self._builder.start()
            self._ended(read_response(response))
        elif is_error(content):
            self._broken(content)
        else:
            self._fail("sent an answer that is no response. Does it serve the Responses API?", "upstream_invalid")

    def _fail_with_words(self, body: bytes) -> None:
        if not body.strip():
            self._fail("sent an empty answer", "server_error")
            return
        error = from_response(502, {}, body, provider=self._provider, profile=self._profile)
        self._end_with(error.saying(f"The provider {self._provider} sent something that is not JSON: {error.message}"))

    # --- what an event says

    def _take_in(self, event: StreamEvent) -> None:
        match event:
            case Begun():
                self._builder.start()
            case ItemAdded(where, item):
                self._added(where, item)
            case Delta():
                self._delta(event)
            case PieceDone():
                self._piece_done(event)
            case Annotated(where, annotation):
                self._annotated(where, annotation)
            case ItemDone(where, item):
                self._item_done(where, item)
            case Ended(response):
                self._ended(response)
            case Broken(content):
                self._broken(content)

    def _added(self, where: Where, item: ProviderItem) -> None:
        self._builder.start()
        known = self._items.of_item(where, item)
        if known is None or known.done:
            self._open(where, item)

    def _open(self, where: Where, item: ProviderItem) -> IncomingItem:
        incoming = self._items.add(where, item.type, item.call_id)
        if item.type in ("message", "reasoning"):
            self._builder.apart(phase=item.phase or None)
        elif item.name:
            self._begin_call(incoming, item)
        return incoming

    def _delta(self, delta: Delta) -> None:
        item = self._items.of_piece(delta.where, delta.kind)
        if item is None:
            item = self._items.add(delta.where, _TYPE_OF[delta.kind])
            self._builder.apart()
        if not item.done:
            self._say(item, delta.kind, delta.text, delta.part, delta.logprobs)

    def _piece_done(self, piece: PieceDone) -> None:
        """Of use where there were no deltas. What else is missing comes with the item."""
        item = self._items.of_piece(piece.where, piece.kind)
        if item is not None and not item.done and not item.has(piece.kind):
            self._say(item, piece.kind, piece.text, piece.part)

    def _annotated(self, where: Where, annotation: JsonObject) -> None:
        item = self._items.of_piece(where, "text")
        if item is not None and not item.done:
            item.annotations += 1
            self._builder.annotate(_known_citations([annotation]))

    def _say(
        self,
        item: IncomingItem,
        kind: PieceKind,
        text: str,
        part: int | None = None,
        logprobs: Sequence[JsonObject] = (),
    ) -> None:
        if not text:
            return
        begins = part is not None and item.begins_part(kind, part)
        match kind:
            case "text":
                self._tokens.text(text)
                self._builder.text(text, [logprob(each) for each in logprobs] if self._logprobs else ())
            case "refusal":
                self._tokens.text(text)
                self._builder.refusal(text)
            case "arguments":
                self._tokens.text(text)
                if item.call is not None:
                    self._builder.arguments(item.call, text)
            case "reasoning" | "summary":
                if item.has("summary" if kind == "reasoning" else "reasoning"):
                    return  # the same thoughts in another form
                text = f"\n\n{text}" if begins else text
                self._tokens.reasoning(text)
                self._builder.reasoning(text)
        item.add(kind, text)

    # --- whole items

    def _item_done(self, where: Where, item: ProviderItem) -> None:
        known = self._items.of_item(where, item)
        if known is None:
            known = self._open(where, item)
        if not known.done:
            self._complete(known, item)

    def _complete(self, incoming: IncomingItem, item: ProviderItem) -> None:
        """Tell what is still missing of an item that is whole now."""
        incoming.done = True
        match item.type:
            case "message":
                self._complete_message(incoming, item)
            case "reasoning":
                self._complete_reasoning(incoming, item)
            case "function_call" | "custom_tool_call":
                self._complete_call(incoming, item)
            case "shell_call" | "local_shell_call" | "apply_patch_call" if _is_for_client(item):
                self._native_call(item)
            case "tool_search_call" if item.raw.get("execution") == "client":
                self._whole_call(CalledTool(TOOL_SEARCH, TOOL_SEARCH), item.call_id, item.arguments)
            case other if other in KINDS:
                self._builder.verbatim(item.raw)
            case other:
                self._notes.add(f"output: {other or 'no type'}", "items of this type are not converted")

    def _complete_message(self, incoming: IncomingItem, item: ProviderItem) -> None:
        for kind in ("text", "refusal") if incoming.has("text") or incoming.has("refusal") else ():
            self._say(incoming, kind, incoming.rest(kind, item.text(kind)))
        if not incoming.has("text") and not incoming.has("refusal"):
            for part in item.parts:
                self._say(incoming, part.kind, part.text, logprobs=part.logprobs)
        annotations = [each for part in item.parts for each in part.annotations]
        if incoming.has("text"):
            self._builder.annotate(_known_citations(annotations[incoming.annotations :]))

    def _complete_reasoning(self, incoming: IncomingItem, item: ProviderItem) -> None:
        thoughts = item.text("reasoning")
        kind: PieceKind = "summary" if incoming.has("summary") or not thoughts else "reasoning"
        self._say(incoming, kind, incoming.rest(kind, item.text(kind)))
        if item.raw.get("encrypted_content") or thoughts:
            kept: JsonObject = {
                name: value for name, value in item.raw.items() if name != "status" and value is not None
            }
            detail: JsonObject = {"type": REASONING_ITEM, "item": kept}
            self._builder.reasoning_details([detail])

    def _complete_call(self, incoming: IncomingItem, item: ProviderItem) -> None:
        if incoming.call is None and not item.name:
            self._notes.add("tool call", "the model named no tool; the call was dropped")
            return
        if incoming.call is None:
            self._begin_call(incoming, item)
        self._say(incoming, "arguments", incoming.rest("arguments", item.arguments))
        if incoming.call is not None and incoming.may_end and item.status != "incomplete":
            self._builder.end_call(incoming.call)

    def _begin_call(self, incoming: IncomingItem, item: ProviderItem) -> None:
        if item.type == "custom_tool_call":
            tool = CalledTool("custom", item.name, item.namespace or None, bare=True)
        elif item.type == "function_call" and item.namespace:
            tool = CalledTool("function", item.name, item.namespace)
        elif item.type == "function_call":
            tool = self._tools.called(item.name)
        else:
            return
        incoming.call = self._builder.call(tool, item.call_id)
        incoming.may_end = tool.kind == "function" or tool.bare
        self._builder.arguments(incoming.call, incoming.told("arguments"))

    def _native_call(self, item: ProviderItem) -> None:
        """A call of a tool that the client runs and OpenAI's models know by heart."""
        try:
            call = read_item(item.raw)
        except ValidationError:
            self._notes.add(f"output: {item.type}", "the provider's item cannot be read; the call was dropped")
            return
        match call:
            case ShellCall():
                self._whole_call(CalledTool("shell", "shell"), call.call_id, arguments_of(call))
            case LocalShellCall():
                self._whole_call(CalledTool("local_shell", "local_shell"), call.call_id, arguments_of(call))
            case ApplyPatchCall():
                self._whole_call(CalledTool("apply_patch", "apply_patch"), call.call_id, arguments_of(call))

    def _whole_call(self, tool: CalledTool, call_id: str, arguments: str) -> CallState:
        self._tokens.text(arguments)
        call = self._builder.call(tool, call_id)
        self._builder.arguments(call, arguments)
        self._builder.end_call(call)
        return call

    # --- the end

    def _ended(self, response: ProviderResponse) -> None:
        self._builder.start()
        self._builder.service_tier(response.service_tier)
        usage = read_chunk({"usage": response.usage}, self._reading).usage
        if usage is not None:
            self._tokens.told(usage)
        self._complete_all(response)
        match response.status:
            case "failed" | "cancelled":
                error = response.error or {"message": f"its answer ended as {response.status}"}
                self._broken({"error": error})
            case "incomplete":
                filtered = response.incomplete_reason == "content_filter"
                self._builder.incomplete("content_filter" if filtered else "max_output_tokens", self._tokens.totals())
            case "in_progress" | "queued":
                self._fail(f"sent an answer that is still {response.status!r}", "upstream_invalid")
            case _:
                self._builder.complete(self._tokens.totals())

    def _complete_all(self, response: ProviderResponse) -> None:
        """What was not told item by item. Thoughts told behind what they led to would only mislead."""
        streamed = bool(self._items)
        for incoming, item in self._items.matched(list(response.items)):
            if incoming is None and not (streamed and item.type == "reasoning"):
                self._complete(self._open(Where(item_id=item.id), item), item)
            elif incoming is not None and not incoming.done and item.type != "reasoning":
                self._complete(incoming, item)

    def _conclude(self) -> None:
        """The stream has ended, and no event has said how."""
        missing = self._profile.missing_finish
        if not self._builder.has_output:
            self._fail("ended its stream without an answer. Does it serve the Responses API?", "server_error")
        elif missing == "fail":
            self._fail("ended its stream before the end of the answer", "server_error")
        elif self._said_done and missing == "infer":
            self._builder.complete(self._tokens.totals())
        else:
            why = "the provider's stream ended without saying that it was complete; the answer may be cut off"
            self._notes.add("response.completed", why)
            self._builder.incomplete("max_output_tokens", self._tokens.totals())

    def _broken(self, content: Json) -> None:
        error = _error_object(content)
        status = _STATUS.get(str(error.get("code"))) or _STATUS.get(str(error.get("type")))
        if status is None:
            self._end_with(from_body({"error": error}, provider=self._provider, profile=self._profile))
            return
        body = dumps({"error": error}).encode()
        self._end_with(from_response(status, {}, body, provider=self._provider, profile=self._profile))


_TYPE_OF: Mapping[PieceKind, str] = {
    "text": "message",
    "refusal": "message",
    "reasoning": "reasoning",
    "summary": "reasoning",
    "arguments": "function_call",
}
"""The item that a piece begins which belongs to none."""


def _is_for_client(item: ProviderItem) -> bool:
    """False for a shell in a container of the provider's."""
    environment = item.raw.get("environment")
    return not isinstance(environment, dict) or environment.get("type") in (None, "local")


def _error_object(content: Json) -> JsonObject:
    """The error in an `error` event, which has it flat, or in whatever else came in the place of an answer."""
    if not isinstance(content, dict):
        return {"message": content}
    inner = content.get("error")
    if isinstance(inner, dict):
        return inner
    if inner:
        return {"message": inner, **{name: content[name] for name in ("code", "param") if name in content}}
    return {name: value for name, value in content.items() if (name, value) != ("type", "error")}


def _known_citations(annotations: Iterable[JsonObject]) -> list[JsonObject]:
    """Those that clients can read, complete: text that is missing is empty, a place that is missing the start."""
    known: list[JsonObject] = []
    for annotation in annotations:
        fields = _CITATIONS.get(str(annotation.get("type")))
        if fields is not None:
            values = {name: _of_type(annotation.get(name), kind) for name, kind in fields.items()}
            known.append({**annotation, **values})
    return known


def _of_type(value: Json, kind: type) -> Json:
    fitting = isinstance(value, kind) and not isinstance(value, bool)
    return value if fitting else "" if kind is str else 0
