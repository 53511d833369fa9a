"""The chunks of a chat stream → the chat completion they make up, for a client that wants its answer at once.

Everything is kept that a provider says, under its own keys: who asked for a chat completion reads that provider's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from addon.providers.profile import Profile
from addon.translate.call_pieces import Calls, PartialCall
from addon.translate.completion import read_completion
from addon.translate.errors import ApiError, from_body, is_error
from addon.translate.notes import Notes
from addon.wire.answer_body import AnswerBody
from addon.wire.chat import Fragments, Reading, read_calls
from addon.wire.json import Json, JsonError, JsonObject, clean, loads
from addon.wire.sse import MAX_EVENT_CHARS, SSE, LineTooLong

_REPLACED = frozenset({"type", "id", "role", "index"})
"""Texts that a piece repeats; any other is continued by it."""


class ChatFold:
    """One answer of one provider. Feed it the body as it comes.

    Args:
        provider: what it is called in errors.
        event_chars: the largest event that is read.
    """

    def __init__(self, profile: Profile, *, provider: str, notes: Notes, event_chars: int = MAX_EVENT_CHARS) -> None:
        self.error: ApiError | None = None
        """What the provider said in place of an answer, or instead of going on with it."""
        self._profile = profile
        self._provider = provider
        self._notes = notes
        self._body = AnswerBody(event_chars)
        self._head: JsonObject = {}
        self._choices: dict[int, _Choice] = {}
        self._said_done = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, however the stream goes on."""
        choices = self._choices.values()
        return self.error is None and bool(choices) and all(choice.finish for choice in choices)

    def feed(self, data: bytes) -> None:
        """A portion of the provider's body, decoded of its Content-Encoding."""
        if not self.error:
            self._read(self._body.feed(data))

    def end(self) -> JsonObject | ApiError:
        """The provider's body came to its end: the whole answer."""
        if not self._body.is_stream:
            return read_completion(self._body.whole, provider=self._provider, profile=self._profile)
        if not self.error:
            self._read(self._body.flush())
        return self.error or self._completion()

    # --- reading

    def _read(self, events: Iterable[SSE]) -> None:
        try:
            for event in events:
                if not self.error and not self._said_done:
                    self._event(event)
        except LineTooLong as error:
            self.error = self._broken(f"sent too much: {error}")

    def _event(self, event: SSE) -> None:
        data = event.data.strip()
        if data == "[DONE]":
            self._said_done = True
            return
        try:
            content = loads(data)
        except JsonError:
            content = data
        if event.event == "error" or (isinstance(content, (dict, list)) and _refuses(content)):
            self.error = from_body(content, provider=self._provider, profile=self._profile)
        elif isinstance(content, dict):
            self._take_in(content)
        elif data:
            self._notes.add("provider stream", "a line that is not a JSON object was skipped")

    def _take_in(self, chunk: JsonObject) -> None:
        for name, value in chunk.items():
            if name not in ("choices", "object") and value:
                self._head[name] = value
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                index = choice.get("index")
                at = index if isinstance(index, int) else 0
                self._choices.setdefault(at, _Choice(self._profile)).take_in(choice)
                if choice.get("usage"):
                    self._head["usage"] = choice["usage"]

    # --- the answer

    def _completion(self) -> JsonObject | ApiError:
        choices = [(index, self._choices[index]) for index in sorted(self._choices)]
        if not any(choice.says_something for _, choice in choices) and not self.is_complete:
            return self._broken("ended its stream without an answer")
        cut_off = not self.is_complete and self._is_cut_off()
        if cut_off and self._profile.missing_finish == "fail":
            return self._broken("ended its stream before the end of the answer")
        if cut_off:
            self._notes.add("finish_reason", "the provider's stream ended without one; the answer may be cut off")
        if any(call.name == "" for _, choice in choices for call in choice.calls):
            self._notes.add("tool call", "the model named no tool; the call was dropped")
        whole: list[Json] = [choice.whole(index, cut_off=cut_off) for index, choice in choices]
        return {**self._head, "object": "chat.completion", "choices": whole}

    def _is_cut_off(self) -> bool:
        """Whether a choice that has not said why it ended must be taken as one that was cut off."""
        return not (self._said_done and self._profile.missing_finish == "infer")

    def _broken(self, what: str) -> ApiError:
        return ApiError.upstream(f"The provider {self._provider} {what}.", code="upstream_invalid")


def _refuses(content: JsonObject | list[Json]) -> bool:
    """Whether this is an error, in one of the places where they stand in streams."""
    if is_error(content):
        return True
    choices = content.get("choices") if isinstance(content, dict) else None
    return isinstance(choices, list) and any(isinstance(choice, dict) and choice.get("error") for choice in choices)


@dataclass
class _Choice:
    """One of the answers, if the client asked for several, while it grows."""

    profile: Profile
    message: JsonObject = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    """By their key in the message, where they are nothing but text."""
    rest: JsonObject = field(default_factory=dict)
    """What stands beside the message: probabilities, verdicts of filters."""
    finish: str = ""
    calls: Calls = field(default_factory=Calls)
    details: Fragments = field(default_factory=Fragments)

    @property
    def says_something(self) -> bool:
        return bool(self.calls) or any(map(any, self.texts.values())) or any(self.message.values())

    def take_in(self, choice: JsonObject) -> None:
        delta = choice.get("delta")
        # Beside a delta, be it empty, a `message` repeats what was streamed.
        said = delta if isinstance(delta, dict) else choice.get("message")
        for name, value in (said if isinstance(said, dict) else {}).items():
            if value is not None:
                self._say(name, value)
        for name, value in choice.items():
            if name not in ("index", "delta", "message", "finish_reason", "usage") and value is not None:
                self.rest[name] = _grown(self.rest.get(name), value)
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) and finish else self.finish

    def _say(self, name: str, value: Json) -> None:
        if name == "tool_calls":
            for piece in read_calls({name: value}, Reading(call_extra=self.profile.call_extra)):
                call = self.calls.of(piece)
                call.pieces.append(piece.arguments)
                call.extra |= piece.extra
        elif name == "reasoning_details":
            self.details.add([detail for detail in _entries(value) if isinstance(detail, dict)])
        elif isinstance(value, str) and name not in self.message:
            self._say_text(name, value)
        else:
            self.message[name] = _grown(self.message.get(name) or "".join(self.texts.pop(name, [])), value)

    def _say_text(self, name: str, text: str) -> None:
        told = self.texts.setdefault(name, [])
        repeats_all = self.profile.reasoning_cumulative and name in self.profile.reasoning_fields
        if name in _REPLACED or (repeats_all and text.startswith("".join(told))):
            told.clear()
        told.append(text)

    def whole(self, index: int, *, cut_off: bool) -> JsonObject:
        """The choice as it stands in a completion."""
        message: JsonObject = {"role": "assistant", "content": None}
        message |= {name: clean("".join(pieces)) for name, pieces in self.texts.items()}
        message |= self.message
        if self.details.details:
            message["reasoning_details"] = [*self.details.details]
        calls = [call for call in self.calls if call.name]
        if calls:
            message["tool_calls"] = [_whole_call(call, position) for position, call in enumerate(calls)]
        ended = "tool_calls" if calls else "stop"
        finish = self.finish or ("length" if cut_off else ended)
        return {"index": index, "message": message, "logprobs": None, **self.rest, "finish_reason": finish}


def _whole_call(call: PartialCall, position: int) -> JsonObject:
    arguments = call.untold()
    name, said = clean(call.name), arguments if call.begun else arguments + call.rest()
    form: JsonObject = (
        {"custom": {"name": name, "input": said}} if call.custom else {"function": {"name": name, "arguments": said}}
    )
    return {"id": call.id or f"call_{position}", "type": "custom" if call.custom else "function", **form, **call.extra}


# --- growing values ---------------------------------------------------------------------------------------------------


def _grown(before: Json, more: Json) -> Json:
    """A value with what the next piece says of it: texts and lists go on, objects do so by key. May change `before`."""
    match before, more:
        case ((None | "" | []), _):
            return more
        case str(), str():
            return before + more
        case dict(), dict():
            return _grown_object(before, more)
        case (list(), _) | (_, list()):
            return _grown_list(_entries(before), _entries(more))
        case _:
            return more


def _grown_object(before: JsonObject, more: JsonObject) -> JsonObject:
    for name, value in more.items():
        before[name] = value if name in _REPLACED else _grown(before.get(name), value)
    return before


def _grown_list(before: list[Json], more: list[Json]) -> list[Json]:
    """Parts of text and of thinking go on with one another; anything else is an entry of its own."""
    for entry in more:
        last = before[-1] if before else None
        if isinstance(last, dict) and isinstance(entry, dict) and _goes_on(last, entry):
            _grown_object(last, entry)
        else:
            before.append(entry)
    return before


def _goes_on(last: JsonObject, entry: JsonObject) -> bool:
    return last.get("type") == entry.get("type") and entry.get("type") in ("text", "thinking")


def _entries(value: Json) -> list[Json]:
    """A content that is a list, or a text in a list of parts."""
    if isinstance(value, list):
        return value
    return [{"type": "text", "text": value}] if isinstance(value, str) else [value]
