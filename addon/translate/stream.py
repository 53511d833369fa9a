"""Bytes of a provider's answer → the verbs of a `ResponseBuilder` → events.

Every deviation of providers is taken up here, once, for streams and whole answers alike: `StreamConverter` looks at
the first byte to see which of the two it got, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from addon.providers.profile import FinishStatus, Profile
from addon.translate.answer_reader import BodyReader
from addon.translate.call_pieces import Calls
from addon.translate.completion import read_completion
from addon.translate.errors import ApiError, from_body, full_context, is_error
from addon.translate.logprobs import logprob
from addon.translate.think import ThinkSplitter
from addon.wire.chat import CallPiece, Chunk, Piece, Reading, Source, Totals, read_chunk
from addon.wire.json import Json, JsonError, JsonObject, dumps, loads

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


class StreamConverter(BodyReader):
    """Reads an answer in the form of chat/completions."""

    def _set_up(self) -> None:
        self._reading = reading_of(self._profile)
        self._think = ThinkSplitter(self._profile.think_tags)
        self._calls = Calls()
        self._thought = ""
        self._details = _Details(cumulative=self._profile.reasoning_cumulative)
        self._after_thinking = False
        self._finish = ""
        self._sources: dict[str, Source] = {}
        self._cited: dict[str, None] = {}
        self._spoke = False

    @property
    def _all_was_said(self) -> bool:
        return bool(self._finish)

    # --- a stream or a whole answer

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

    def _said(self, event: str, data: str) -> None:
        if not data:
            return
        try:
            content = loads(data)
        except JsonError:
            content = data if event == "error" else None
        if event == "error" or (isinstance(content, list) and is_error(content)):
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
        logprobs = [logprob(entry) for entry in chunk.logprobs] if self._logprobs else []
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

    def _end_with(self, error: ApiError) -> None:
        self._flush_text()
        super()._end_with(error)

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


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
