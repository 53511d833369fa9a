"""Bytes of a provider's answer → the verbs of a `ResponseBuilder` → events.

Every deviation of providers is taken up here, once, for streams and whole answers alike: `StreamConverter` looks at
the first byte to see which of the two it got, whatever was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from addon.providers.profile import FinishStatus, Profile
from addon.translate.completion import read_completion
from addon.translate.errors import ApiError, from_body, full_context, is_error
from addon.translate.items import CallState
from addon.translate.notes import Notes
from addon.translate.output import CalledTool, ResponseBuilder
from addon.translate.think import ThinkSplitter
from addon.translate.usage import TokenCount
from addon.wire.chat import CallPiece, Chunk, Piece, Reading, Source, Totals, read_chunk
from addon.wire.json import Json, JsonError, JsonObject, clean, dumps, is_cut_off, loads
from addon.wire.responses import Event
from addon.wire.sse import MAX_EVENT_CHARS, SSE, LineTooLong, SSEParser

Outcome = Literal["completed", "max_output_tokens", "content_filter", "failed"]

FINISH: Mapping[str, Outcome] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "error": "failed",
    "network_error": "failed",
    "insufficient_system_resource": "failed",
}
"""What a finish_reason means; one that is not here is an end by the model itself."""

_NO_ROOM = "model_context_window_exceeded"
_TINY_LIMIT = 16
"""Tokens. Who allows an answer of no more (a call that only tests the way) may get none."""
_LARGE_PROMPT = 1000
"""Tokens. A smaller conversation is too long for no model."""

USUAL_ENDS = frozenset({"stop", "end", "end_turn", "eos", "stop_sequence", "tool_calls", "function_call"})


class ToolNames(Protocol):
    """The way back from the name of a chat function to the client's tool."""

    def called(self, chat_name: str) -> CalledTool: ...


@dataclass(slots=True)
class _Call:
    """A tool call while its pieces come in. Told to the builder once it has a name."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)
    state: CallState | None = None

    told: int = 0
    """How many of the pieces the builder has."""
    begun: bool = False
    """It has more than blanks of them."""

    def is_whole(self) -> bool:
        return not is_cut_off("".join(self.pieces))

    def untold(self) -> str:
        """The arguments that the builder does not have yet. A first `{}` waits: some servers send the true arguments
        behind it."""
        text = self.rest()
        if not self.begun and text.lstrip().startswith("{}"):
            text = text.lstrip().removeprefix("{}")
            if not text.strip():
                return ""
        self.told = len(self.pieces)
        self.begun = self.begun or bool(text.strip())
        return text

    def rest(self) -> str:
        return "".join(self.pieces[self.told :])


class _Calls:
    """Which call a piece belongs to, in all the ways providers number them, or do not."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __iter__(self) -> Iterator[_Call]:
        return iter(self._calls)

    def unnamed(self) -> list[_Call]:
        return [call for call in self._calls if call.state is None]

    def of(self, piece: CallPiece) -> _Call:
        call = self._by_index.get(piece.index) if piece.index is not None else self._without_index(piece)
        if call is not None and _is_another(call, piece):
            call = next((other for other in self._calls if piece.id and not _is_another(other, piece)), None)
        if call is None:
            call = _Call()
            self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        return call

    def _without_index(self, piece: CallPiece) -> _Call | None:
        """A known id continues its call, a new one begins one; without an id it is the last."""
        if piece.id:
            return next((call for call in self._calls if call.id == piece.id), None)
        return self._calls[-1] if self._calls else None


def _is_another(call: _Call, piece: CallPiece) -> bool:
    """True if `piece` begins another call, though its index, or the lack of one, says that it continues `call`."""
    if piece.id and call.id and piece.id != call.id:
        return True
    if not piece.name or not call.name:
        return False
    if piece.name != call.name:
        return True
    return not piece.id and call.is_whole() and (piece.index is None or bool(piece.arguments.strip()))


class _Details:
    """`reasoning_details` of which each piece may repeat the text so far."""

    def __init__(self, *, cumulative: bool) -> None:
        self._cumulative = cumulative
        self._told: dict[str, str] = {}

    def new(self, details: Sequence[JsonObject]) -> Sequence[JsonObject]:
        """The details with only what is new in their texts."""
        return [self._new(detail) for detail in details] if self._cumulative else details

    def _new(self, detail: JsonObject) -> JsonObject:
        text, place = detail.get("text"), dumps([detail.get("type"), detail.get("index")])
        if not isinstance(text, str):
            return detail
        told = self._told.get(place, "")
        if text.startswith(told):
            self._told[place] = text
            return {**detail, "text": text[len(told) :]}
        self._told[place] = told + text
        return detail


class StreamConverter:
    """One answer of one provider. Feed it the body as it comes; it drives the builder.

    `feed`, `end` and `fail` return the events that came of it; after the terminal event there are none.

    Args:
        prompt_estimate: about how many tokens the request has, for providers that do not tell. None: nobody knows.
    """

    def __init__(
        self,
        builder: ResponseBuilder,
        profile: Profile,
        tools: ToolNames,
        *,
        provider: str,
        notes: Notes,
        logprobs: bool = False,
        hide: Callable[[str], str] = str,
        prompt_estimate: Callable[[], int] | None = None,
        event_chars: int = MAX_EVENT_CHARS,
    ) -> None:
        self._builder = builder
        self._profile = profile
        self._tools = tools
        self._provider = provider
        self._notes = notes
        self._logprobs = logprobs
        self._hide = hide
        self._reading = reading_of(profile)
        self._sse = SSEParser(max_event_chars=event_chars)
        self._mode: Literal["unknown", "stream", "whole"] = "unknown"
        self._body: list[bytes] = []
        self._think = ThinkSplitter(profile.think_tags)
        self._calls = _Calls()
        self._thought = ""
        self._details = _Details(cumulative=profile.reasoning_cumulative)
        self._after_thinking = False
        self._finish = ""
        self._sources: dict[str, Source] = {}
        self._cited: dict[str, None] = {}
        self._spoke = False
        self._tokens = TokenCount(prompt_estimate, notes)
        self._said_done = False

    def feed(self, data: bytes) -> list[Event]:
        """A portion of the provider's body, decoded of its Content-Encoding."""
        if self._builder.ended:
            return []
        if self._mode == "unknown":
            data = self._sniff(data)
        if self._mode == "stream":
            self._read(self._sse.feed(data))
        elif self._mode == "whole":
            self._body.append(data)
        return self._builder.take()

    def end(self) -> list[Event]:
        """The provider's body came to its end."""
        if self._builder.ended:
            return []
        if self._mode == "stream":
            self._read(self._sse.flush())
            if not self._builder.ended:
                self._conclude()
        else:
            self._answer(b"".join(self._body))
        return self._builder.take()

    def fail(self, error: ApiError) -> list[Event]:
        """The answer broke off: connection lost, time run out, more than is allowed."""
        if not self._builder.ended:
            if self._finish:  # all was said; some servers neither end their stream then nor close it well
                self._conclude()
            else:
                self._end_with(error)
        return self._builder.take()

    # --- a stream or a whole answer

    def _sniff(self, data: bytes) -> bytes:
        """Find out which it is, and return what was held back till then. Blank lines may come for minutes first."""
        data = b"".join([*self._body, data])
        self._body.clear()
        start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start:
            self._body.append(data[-4:])
            return b""
        self._mode = "whole" if start[:1] in (b"{", b"[", b"<", b'"') else "stream"
        return data

    def _read(self, events: Iterator[SSE]) -> None:
        try:
            for event in events:
                self._event(event)
        except LineTooLong as error:
            self._fail(f"sent too much: {error}", "upstream_invalid")

    def _answer(self, body: bytes) -> None:
        if not body.strip():
            self._conclude()
            return
        content = read_completion(body, provider=self._provider, profile=self._profile)
        if isinstance(content, ApiError):
            self._end_with(content)
            return
        self._said_done = True
        self._apply(content)
        self._conclude()

    def _event(self, event: SSE) -> None:
        data = event.data.strip()
        if self._builder.ended or not data:
            return
        if data == "[DONE]":
            self._said_done = True
            self._conclude()
            return
        try:
            content = loads(data)
        except JsonError:
            content = data if event.event == "error" else None
        if event.event == "error" or (isinstance(content, list) and is_error(content)):
            self._broken(content)
        elif isinstance(content, dict):
            self._apply(content)
        else:
            self._notes.add("provider stream", "a line that is not a JSON object was skipped")

    # --- what a chunk says

    def _apply(self, body: JsonObject) -> None:
        chunk = read_chunk(body, self._reading)
        if chunk.usage is not None:
            self._tokens.told(chunk.usage)
        if chunk.error or (not chunk.has_choice and is_error(body)):
            self._take_in(chunk)
            self._broken(body if is_error(body) else {"error": chunk.error})
            return
        self._builder.start()
        self._take_in(chunk)

    def _take_in(self, chunk: Chunk) -> None:
        logprobs = [_logprob(entry) for entry in chunk.logprobs] if self._logprobs else []
        if chunk.reasoning_details:  # before the text, to which a whole answer has them beside
            self._flush_text()
            self._builder.reasoning_details(self._details.new(chunk.reasoning_details))
        for piece in chunk.pieces:
            self._piece(piece, logprobs)
        if chunk.refusal:
            self._flush_text()
            self._builder.refusal(chunk.refusal)
        if chunk.annotations or chunk.sources:
            self._take_in_sources(chunk)
        for call in chunk.calls:
            self._call(call)
        self._finish = chunk.finish_reason or self._finish
        self._builder.service_tier(chunk.service_tier)

    def _piece(self, piece: Piece, logprobs: list[JsonObject]) -> None:
        if piece.kind == "reasoning":
            self._flush_text()
            self._reason(piece.text)
            return
        for part in self._think.feed(piece.text):
            self._say(part, logprobs)

    def _say(self, piece: Piece, logprobs: list[JsonObject]) -> None:
        if piece.kind == "reasoning":
            self._reason(piece.text)
            return
        text = piece.text.lstrip("\r\n") if self._after_thinking else piece.text
        if text:
            self._after_thinking = False
            self._spoke = True
            self._tokens.text(text)
            self._builder.text(text, tuple(logprobs))
            logprobs.clear()

    def _reason(self, text: str) -> None:
        if self._profile.reasoning_cumulative and self._thought and text.startswith(self._thought):
            self._thought, text = text, text[len(self._thought) :]
        elif self._profile.reasoning_cumulative:
            self._thought += text
        self._tokens.reasoning(text)
        self._builder.reasoning(text)
        self._after_thinking = True

    def _flush_text(self) -> None:
        for piece in self._think.flush():
            self._say(piece, [])

    def _call(self, piece: CallPiece) -> None:
        self._flush_text()
        call = self._calls.of(piece)
        call.pieces.append(piece.arguments)
        self._tokens.text(piece.arguments)
        call.extra |= piece.extra
        if call.state is not None:
            if piece.extra:
                self._builder.call_extra(call.state, piece.extra)
            self._builder.arguments(call.state, call.untold())
        elif call.name:
            call.state = self._builder.call(self._tools.called(call.name), call.id, extra=call.extra)
            self._builder.arguments(call.state, call.untold())

    # --- the end

    def _broken(self, content: Json) -> None:
        self._end_with(from_body(content, provider=self._provider, profile=self._profile))

    def _fail(self, what: str, code: str) -> None:
        self._end_with(ApiError.upstream(f"The provider {self._provider} {what}.", code=code))

    def _end_with(self, error: ApiError) -> None:
        self._flush_text()
        self._builder.fail(error.saying(self._hide(error.message)), self._tokens.so_far)

    def _conclude(self) -> None:
        self._flush_text()
        for call in self._calls:
            if call.state is not None and not call.begun:
                self._builder.arguments(call.state, call.rest())
        outcome = self._outcome()
        if self._calls.unnamed():
            self._notes.add("tool call", "the model named no tool; the call was dropped")
        match outcome:
            case _ if (sign := self._sign_of_overflow(outcome)) is not None:
                self._end_with(full_context(self._provider, sign))
            case "completed" if self._calls and not self._builder.has_output:
                self._fail("called a tool without naming it", "upstream_invalid")
            case "completed":
                self._tell_sources()
                self._builder.complete(self._cost())
            case "failed":
                self._fail(self._reason_of_failure(), "server_error")
            case reason:
                self._builder.incomplete(reason, self._cost())

    def _sign_of_overflow(self, outcome: Outcome) -> str | None:
        """What shows that the conversation was too long, where the provider does not say so. It has no room to answer,
        or, if it is one of those that do so, it answers nothing at all."""
        if self._builder.has_output or self._calls:
            return None
        if outcome == "max_output_tokens" and self._had_no_room():
            return f"it ended its answer with {self._finish!r} before it had begun"
        silent = not self._finish or outcome == "completed"
        if silent and self._profile.empty_answer == "overflow" and self._tokens.prompt >= _LARGE_PROMPT:
            return "it answered without saying anything"
        return None

    def _had_no_room(self) -> bool:
        """False if the client itself left it none, or the limit went into thoughts that the provider does not show."""
        if self._finish == _NO_ROOM:
            return True
        limit, usage = self._builder.response["max_output_tokens"], self._tokens.so_far
        written = usage.completion if usage is not None and usage.completion is not None else 0
        return (limit is None or limit > _TINY_LIMIT) and written <= _TINY_LIMIT

    def _cost(self) -> Totals | None:
        totals = self._tokens.totals()
        if self._profile.cuts_silently and totals is not None and totals.prompt is not None:
            sent = self._tokens.prompt
            if sent >= _LARGE_PROMPT and 2 * totals.prompt < sent:
                why = f"perhaps cut by this provider: it has read {totals.prompt} of about {sent} tokens"
                self._notes.add("input", why)
        return totals

    def _take_in_sources(self, chunk: Chunk) -> None:
        self._sources.update((source.url, source) for source in chunk.sources)
        citations = list(_citations(chunk.annotations))
        self._cited.update((str(citation["url"]), None) for citation in citations)
        self._builder.annotate(citations)

    def _tell_sources(self) -> None:
        """What a web search of the provider has found: pages that nothing cites are cited by the answer as a whole."""
        uncited = [source for url, source in self._sources.items() if url not in self._cited]
        if self._spoke and not self._calls:
            self._builder.annotate(_citation(source.url, source.title, 0, 0) for source in uncited)
        self._builder.searched([*self._cited, *(source.url for source in uncited)])

    def _outcome(self) -> Outcome:
        if self._finish:
            if self._finish in self._profile.finish_map:
                return self._outcome_by_profile(self._profile.finish_map[self._finish])
            if self._finish not in FINISH and self._finish not in USUAL_ENDS:
                self._notes.add("finish_reason", f"unknown value {self._finish[:40]!r} taken as the end of the answer")
            return FINISH.get(self._finish, "completed")
        if not self._builder.has_output or self._profile.missing_finish == "fail":
            return "failed"
        if self._said_done and self._profile.missing_finish == "infer":
            return "completed"
        self._notes.add("finish_reason", "the provider's stream ended without one; the answer may be cut off")
        return "max_output_tokens"

    def _outcome_by_profile(self, status: FinishStatus) -> Outcome:
        if status == "incomplete":
            return "content_filter" if FINISH.get(self._finish) == "content_filter" else "max_output_tokens"
        return status

    def _reason_of_failure(self) -> str:
        if self._finish:
            return f"ended its answer with {self._finish!r}"
        if self._builder.has_output:
            return "ended its stream before the end of the answer"
        return "answered without saying anything. Some servers do so when the conversation is longer than they can read"


def reading_of(profile: Profile) -> Reading:
    """Where the profile says that things stand in an answer."""
    return Reading(
        reasoning_fields=profile.reasoning_fields,
        reasoning_details=profile.reasoning_details,
        content_parts_thinking=profile.content_parts_thinking,
        call_extra=profile.call_extra,
        cached_paths=profile.cached_paths,
        reasoning_paths=profile.reasoning_paths,
        reasoning_in_completion=profile.reasoning_in_completion,
    )


def _citations(annotations: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """Chat nests a citation under its type; the Responses API has it flat."""
    for annotation in annotations:
        nested = annotation.get("url_citation")
        citation = nested if isinstance(nested, dict) else annotation
        url, title = citation.get("url"), citation.get("title")
        start, end = citation.get("start_index"), citation.get("end_index")
        if isinstance(url, str):
            title = title if isinstance(title, str) else ""
            yield _citation(url, title, start if _is_integer(start) else 0, end if _is_integer(end) else 0)


def _citation(url: str, title: str, start: Json, end: Json) -> JsonObject:
    return {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}


def _logprob(entry: JsonObject) -> JsonObject:
    """One token's probability with all keys that the Responses API has."""
    top = entry.get("top_logprobs")
    return {
        **_token(entry),
        "top_logprobs": [_token(other) for other in top if isinstance(other, dict)] if isinstance(top, list) else [],
    }


def _token(entry: JsonObject) -> JsonObject:
    token, value, octets = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    text = clean(token) if isinstance(token, str) else ""
    return {
        "token": text,
        "bytes": octets if _are_octets(octets) else list[Json](text.encode()),
        "logprob": value if _is_number(value) else 0.0,
    }


def _are_octets(value: Json) -> bool:
    return isinstance(value, list) and all(map(_is_integer, value))


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
