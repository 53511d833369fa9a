"""What was said, thought, called and answered, in any order → the turns of a conversation.

Steps are read one after the other, and a turn never depends on steps behind it but for the results of its calls. So a
history that grows by whole turns keeps the turns it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from addon.translate.call_ids import CallIds
from addon.translate.content import headed, text_part
from addon.translate.notes import Notes
from addon.wire.chat import ContentPart
from addon.wire.json import JsonObject

ABORTED = "aborted"
"""Result of a call nobody answered: the word that Codex itself uses, and models know."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The model is told something: by the user, or by who instructs it."""

    role: Literal["user", "instruction"]
    parts: tuple[ContentPart, ...]


@dataclass(frozen=True, slots=True)
class Said:
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning of this very model: its text, the provider's own form of it, and what came with its calls."""

    text: str
    details: tuple[JsonObject, ...] = ()
    calls: Mapping[str, JsonObject] = field(default_factory=dict)
    """By call id: opaque keys of the call (signatures) that the provider wants back on it."""
    is_open: bool = False
    """A client wrote it out: it says neither whose it is nor all there was."""


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call under its name in chat; `arguments` is the text of a JSON object, or of a custom tool its input."""

    call_id: str
    name: str
    arguments: str
    custom: bool = False
    """The tool is one of chat's own custom tools."""
    key: str = ""
    """What the call is remembered by."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a tool answered to the call of this id, or to whichever is open if the id is empty."""

    call_id: str
    parts: tuple[ContentPart, ...]


Step: TypeAlias = Heard | Said | Thought | Called | Answered


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A call with its result, under an id the provider accepts."""

    id: str
    name: str
    arguments: str
    result: tuple[ContentPart, ...]
    custom: bool = False
    call_id: str = ""
    """The id that the client knows it by."""
    key: str = ""
    extra: JsonObject = field(default_factory=dict)
    """Opaque keys that go back on it."""


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """One message of the model; there is a text or a call in it."""

    text: str
    thought: Thought | None
    calls: tuple[AnsweredCall, ...]


Turn: TypeAlias = Heard | AssistantTurn


def to_turns(steps: Sequence[Step], ids: CallIds, notes: Notes) -> list[Turn]:
    """Group the steps into turns, each call with its result.

    - What the model thinks, says and calls in a row is one turn; a result of one of its calls, or a message, ends it.
    - A result belongs to the first open call of its id, wherever it stands. What was said between a call and its
      result comes behind the result.
    - A further result is added to the first as long as the call's turn is the latest one. Later, and for results
      without a call, the user tells it: history that was sent is not rewritten.
    - Calls without a result are answered "aborted".
    - A call repeated before its result came is the same call; one that differs, or has a result of its own, is
      another call and gets another id.
    - What reasoning holds for a call goes to one call of that id: of the turn it stands in, else the next to come.
    """
    conversation = _Conversation(steps, ids, notes)
    for step in steps:
        match step:
            case Heard():
                conversation.hear(step)
            case Said():
                conversation.say(step)
            case Thought():
                conversation.think(step)
            case Called():
                conversation.call(step)
            case Answered():
                conversation.answer(step)
    return conversation.turns()


@dataclass(slots=True)
class _Call:
    """A call on its way to its results."""

    id: str
    called: Called
    results: list[tuple[ContentPart, ...]] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)

    def repeats(self, called: Called) -> bool:
        return called.call_id != "" and self.called == called


@dataclass(slots=True)
class _OpenTurn:
    """A turn of the model on its way."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[Thought] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)


class _Conversation:
    def __init__(self, steps: Sequence[Step], ids: CallIds, notes: Notes) -> None:
        self._ids = ids
        self._notes = notes
        self._turns: list[Heard | _OpenTurn] = []
        self._latest: _OpenTurn | None = None
        """The model's latest turn."""
        self._is_open = False
        """Whether what the model does next still belongs to it."""
        self._calls: defaultdict[str, list[_Call]] = defaultdict(list)
        self._extras: dict[str, JsonObject] = {}
        """What reasoning holds for calls that are not there yet."""
        self._early: defaultdict[str, list[tuple[ContentPart, ...]]] = defaultdict(list)
        """Results that came before their calls."""
        self._calls_to_come = Counter(step.call_id for step in steps if isinstance(step, Called))
        self._results_to_come = Counter(step.call_id for step in steps if isinstance(step, Answered))

    def hear(self, heard: Heard) -> None:
        self._turns.append(heard)
        self._is_open = False

    def say(self, said: Said) -> None:
        self._turn().texts.append(said.text)

    def think(self, thought: Thought) -> None:
        turn = self._turn()
        turn.thoughts.append(thought)
        self._extras |= thought.calls
        for call in turn.calls:
            self._hand_over_extra(call)

    def call(self, called: Called) -> None:
        self._calls_to_come[called.call_id] -= 1
        if not self._is_repetition(called):
            call = _Call(self._ids.assign(called.call_id), called)
            self._hand_over_extra(call)
            self._turn().calls.append(call)
            self._calls[called.call_id].append(call)
        self._hand_over_early_results(called.call_id)

    def answer(self, answered: Answered) -> None:
        self._results_to_come[answered.call_id] -= 1
        if call := self._open_call(answered.call_id) or self._answered_call(answered.call_id):
            call.results.append(answered.parts)
        elif answered.call_id and self._calls_to_come[answered.call_id] > 0:
            self._early[answered.call_id].append(answered.parts)
        else:
            self._tell(answered)
        if self._latest is not None and self._latest.calls:
            self._is_open = False

    def turns(self) -> list[Turn]:
        return [turn for turn in map(self._closed, self._turns) if turn is not None]

    def _turn(self) -> _OpenTurn:
        if self._latest is None or not self._is_open:
            self._latest = _OpenTurn()
            self._turns.append(self._latest)
            self._is_open = True
        return self._latest

    def _is_repetition(self, called: Called) -> bool:
        known = [call for call in self._calls[called.call_id] if call.repeats(called)]
        if not known:
            return False
        its_own_result = self._results_to_come[called.call_id] > 0 or bool(self._early[called.call_id])
        if all(call.results for call in known) and its_own_result:
            return False
        self._notes.add("input: repeated call", f"call {called.call_id} was sent more than once")
        return True

    def _hand_over_extra(self, call: _Call) -> None:
        call.extra |= self._extras.pop(call.called.call_id, {})

    def _hand_over_early_results(self, call_id: str) -> None:
        """The first one to the first open call; all to the last call that can still take them."""
        early = self._early[call_id]
        while early and self._calls[call_id]:
            call = self._open_call(call_id)
            if call is None and self._calls_to_come[call_id] > 0:
                return
            (call or self._calls[call_id][-1]).results.append(early.pop(0))

    def _open_call(self, call_id: str) -> _Call | None:
        """The first call of this id without a result; for an empty id, also the only open call there is."""
        waiting = [call for call in self._calls[call_id] if not call.results]
        if waiting or call_id:
            return waiting[0] if waiting else None
        waiting = [call for calls in self._calls.values() for call in calls if not call.results]
        return waiting[0] if len(waiting) == 1 else None

    def _answered_call(self, call_id: str) -> _Call | None:
        """The call that a further result of this id can still be added to."""
        if self._latest is None:
            return None
        mine = [call for call in self._latest.calls if call.called.call_id == call_id]
        return mine[-1] if mine else None

    def _tell(self, answered: Answered) -> None:
        if self._calls[answered.call_id] and answered.call_id:
            why = f"a further result of call {answered.call_id} came late and is told in a message of the user"
            heading = f"Further result of tool call {answered.call_id}:"
        else:
            why = f"no call with the id '{answered.call_id}' was sent; its result is told in a message of the user"
            heading = f"Result of tool call {answered.call_id or '(unknown)'}:"
        self._notes.add("input: result without a call", why)
        self.hear(Heard("user", headed(heading, answered.parts)))

    def _closed(self, turn: Heard | _OpenTurn) -> Turn | None:
        if isinstance(turn, Heard):
            return turn
        text = "\n\n".join(turn.texts)
        if not turn.calls and not text:
            self._notes.add("input: reasoning", "reasoning that no message or call of the model follows was left out")
            return None
        return AssistantTurn(text, _joined(turn.thoughts), tuple(map(self._answered, turn.calls)))

    def _answered(self, call: _Call) -> AnsweredCall:
        if not call.results:
            self._notes.add(
                "input: call without a result", f"call {call.called.call_id or call.id} was answered '{ABORTED}'"
            )
        result = tuple(part for parts in call.results for part in parts) if call.results else (text_part(ABORTED),)
        called = call.called
        return AnsweredCall(
            call.id,
            called.name,
            called.arguments,
            result,
            called.custom,
            call_id=called.call_id,
            key=called.key,
            extra=call.extra,
        )


def _joined(thoughts: Iterable[Thought]) -> Thought | None:
    """Several pieces of reasoning in one turn are one."""
    thoughts = list(thoughts)
    if not thoughts:
        return None
    text = "\n\n".join(thought.text for thought in thoughts if thought.text)
    return Thought(
        text,
        tuple(detail for thought in thoughts for detail in thought.details),
        is_open=any(thought.is_open for thought in thoughts),
    )
