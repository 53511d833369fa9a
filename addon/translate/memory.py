"""What a turn's reasoning is remembered by, for clients that send their history back without it.

A turn with calls is found by each of its calls: by the id and, since some providers begin to count anew in every
conversation, by the arguments. A turn without is found by its text, if that is long enough to be said only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from addon.providers.profile import Profile
from addon.translate.history import AnsweredCall, AssistantTurn, Thought, Turn
from addon.translate.native_tools import NativeCall, arguments_of
from addon.translate.notes import Notes
from addon.translate.reasoning import Memory, Sealed, claims_reasoning, note_foreign, read_sealed, unseal
from addon.wire.json import Json, JsonError, JsonObject, dumps, loads
from addon.wire.responses import (
    ApplyPatchCall,
    CustomToolCall,
    FunctionCall,
    Item,
    LocalShellCall,
    Message,
    OutputItem,
    RefusalPart,
    ShellCall,
    TextPart,
    ToolSearchCall,
    read_item,
)

_DISTINCT = 40
"""Characters. Shorter texts ("Done.") are said in many conversations."""

Call: TypeAlias = FunctionCall | CustomToolCall | ToolSearchCall | NativeCall

# --- keys -------------------------------------------------------------------------------------------------------------


def call_key(call: Call) -> str:
    """What a call is remembered by; the same if a client has written its arguments anew."""
    match call:
        case CustomToolCall():
            arguments = call.input
        case FunctionCall() | ToolSearchCall():
            arguments = call.arguments
        case ShellCall() | LocalShellCall() | ApplyPatchCall():
            arguments = arguments_of(call)
    return _digest("call", call.call_id, _unspaced(arguments))


def text_key(text: str) -> str | None:
    """What a turn without calls is remembered by; None for a text that is too short for that."""
    text = _unspaced(text)
    return _digest("text", text) if len(text) >= _DISTINCT else None


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _unspaced(text: str) -> str:
    """Without what JSON may be written with or without: spaces and, of other letters than ASCII's, escapes."""
    if "\\u" in text:
        with suppress(JsonError):
            text = dumps(loads(text))
    for space in " \n\r\t":
        text = text.replace(space, "")
    return text


# --- from an answer ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be remembered of one answer."""

    keys: tuple[str, ...]
    """Any of them finds it."""
    thought: Thought

    def record(self, origin: str) -> JsonObject:
        """As JSON, for the store. `origin` is who thought it."""
        return Sealed(self.thought.text, self.thought.details, origin, self.thought.calls).document()


def kept_of(output: Iterable[OutputItem], thought: Thought) -> Kept | None:
    """What to remember of a finished answer and the model's thoughts in it; None if there is nothing."""
    if not (thought.text or thought.details or thought.calls):
        return None
    items = [read_item(loads(dumps(item))) for item in output]
    keys = tuple(call_key(item) for item in items if isinstance(item, Call))
    if not keys:
        key = text_key("".join(_texts(items)))
        keys = (key,) if key is not None else ()
    return Kept(keys, thought) if keys else None


def _texts(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Message) and not isinstance(item.content, str):
            for part in item.content:
                match part:
                    case TextPart():
                        yield part.text
                    case RefusalPart():
                        yield part.refusal
                    case _:
                        pass


# --- into a history ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedMemory:
    """Reads what clients have kept for us, by the key it is signed with, and finds what they have not."""

    key: Callable[[], bytes | None]
    """None where no key is to be had: then nothing of what clients kept can be trusted."""
    find: Callable[[str], Json]
    """The record that was stored under a key; None if there is none."""

    def unseal(self, encrypted_content: str) -> Sealed | None:
        key = self.key() if claims_reasoning(encrypted_content) else None
        return None if key is None else unseal(encrypted_content, key)

    def recall(self, key: str) -> Sealed | None:
        return read_sealed(self.find(key))


def remembered(turn: Turn, memory: Memory, origin: str, profile: Profile, notes: Notes) -> Turn:
    """The turn with what its client has not kept of the model's thoughts. What it has kept counts.

    Reasoning that a client wrote out in the open is taken for this model's, unless it is remembered as another's.
    """
    if not isinstance(turn, AssistantTurn) or (turn.thought is not None and not turn.thought.is_open):
        return turn
    records = {key: sealed for key in _keys(turn, profile) if (sealed := memory.recall(key)) is not None}
    if not records:
        return turn
    first = next(iter(records.values()))
    if first.origin != origin:
        if turn.thought is not None:
            note_foreign(first.origin, notes)
        return replace(turn, thought=None)
    return replace(
        turn,
        thought=_completed(turn.thought, first),
        calls=tuple(_with_extra(call, records.get(call.key)) for call in turn.calls),
    )


def _keys(turn: AssistantTurn, profile: Profile) -> Iterator[str]:
    if turn.calls:
        yield from (call.key for call in turn.calls if call.key)
    elif profile.replay != "never" and profile.replay_scope == "all_turns":
        key = text_key(turn.text)
        if key is not None:
            yield key


def _completed(kept: Thought | None, known: Sealed) -> Thought:
    return Thought(kept.text if kept is not None else known.text, known.details)


def _with_extra(call: AnsweredCall, known: Sealed | None) -> AnsweredCall:
    extra = known.calls.get(call.call_id) if known is not None else None
    return call if extra is None else replace(call, extra=extra)
