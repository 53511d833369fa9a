"""Reasoning there and back: how much of it is asked for, the carrier in `encrypted_content`, what goes back to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from addon.providers.profile import Fragment, Profile
from addon.translate.carrier import Carrier
from addon.translate.history import AssistantTurn, Heard, Thought, Turn
from addon.translate.items import Seal
from addon.translate.notes import Notes
from addon.wire.chat import AssistantMessage
from addon.wire.json import Json, JsonObject, clean
from addon.wire.responses import Reasoning, TextPart

# --- the carrier ----------------------------------------------------------------------------------------------------

_CARRIER = Carrier("rb2.")


@dataclass(frozen=True, slots=True)
class Sealed:
    """Reasoning on its way to the next request: in a client's `encrypted_content`, or in the bridge's own memory."""

    text: str
    details: tuple[JsonObject, ...]
    """The provider's own form, signatures included; it goes back as it came."""
    origin: str
    """Who thought it, "provider/model": nobody else gets it."""
    calls: Mapping[str, JsonObject] = field(default_factory=dict)
    """By call id: opaque keys of the call, which go back on it as they came."""

    @property
    def thought(self) -> Thought:
        return Thought(self.text, self.details, self.calls)

    def document(self) -> JsonObject:
        """As JSON; what is empty is left out."""
        inside: JsonObject = {"text": self.text, "details": [*self.details], "calls": dict(self.calls)}
        return {"origin": self.origin, **{name: value for name, value in inside.items() if value}}


def read_sealed(document: Json) -> Sealed | None:
    """What `Sealed.document` has made, also of a later version that says more; None for anything else."""
    if not isinstance(document, dict):
        return None
    match {"text": "", "details": [], "calls": {}, **document}:
        case {"origin": str(origin), "text": str(text), "details": list(details), "calls": dict(calls)}:
            return Sealed(
                clean(text),
                tuple(detail for detail in details if isinstance(detail, dict)),
                origin,
                {call_id: extra for call_id, extra in calls.items() if isinstance(extra, dict)},
            )
        case _:
            return None


def seal(sealed: Sealed, key: bytes) -> str:
    """The value of `encrypted_content` that carries `sealed`; the same for the same."""
    return _CARRIER.seal(sealed.document(), key)


def unseal(encrypted_content: str | None, key: bytes) -> Sealed | None:
    """What `seal` was given, under the same key; None for whatever it did not make."""
    return read_sealed(_CARRIER.open(encrypted_content, key)) if encrypted_content else None


def claims_reasoning(encrypted_content: str) -> bool:
    """Whether it says that it is one of ours. Only then is the key needed."""
    return _CARRIER.claims(encrypted_content)


def sealer(origin: str, key: bytes | None) -> Seal:
    """Seals what the model `origin` thinks. Without a key nothing is sealed, for nobody could trust it."""

    def sealed(text: str, details: Sequence[JsonObject], calls: Mapping[str, JsonObject], /) -> str | None:
        if key is None or not (text or details or calls):
            return None
        return seal(Sealed(text, tuple(details), origin, calls), key)

    return sealed


# --- what comes back ------------------------------------------------------------------------------------------------


class Memory(Protocol):
    """Finds the reasoning of earlier turns."""

    def unseal(self, encrypted_content: str) -> Sealed | None:
        """What one of our reasoning items carries; None for one that was made elsewhere."""

    def recall(self, key: str) -> Sealed | None:
        """What the bridge itself remembers of a turn, by one of its keys (see `memory.py`)."""


class _NoMemory:
    def unseal(self, encrypted_content: str) -> None:
        return None

    def recall(self, key: str) -> None:
        return None


NO_MEMORY: Memory = _NoMemory()
"""Knows nothing of earlier turns."""


def recall(item: Reasoning, origin: str, memory: Memory, notes: Notes) -> Thought | None:
    """What a reasoning item of the history holds for the model `origin`."""
    if not item.encrypted_content:
        text = _open_text(item)
        return Thought(text, is_open=True) if text else None
    sealed = unsealed(item.encrypted_content, memory, notes)
    if sealed is None:
        return None
    if sealed.origin != origin:
        note_foreign(sealed.origin, notes)
        return None
    return sealed.thought if sealed.text or sealed.details or sealed.calls else None


def unsealed(encrypted_content: str, memory: Memory, notes: Notes) -> Sealed | None:
    """What a reasoning item carries for us; what it carries for others cannot be read."""
    sealed = memory.unseal(encrypted_content)
    if sealed is None:
        notes.add("input: reasoning", "reasoning that was encrypted elsewhere cannot be read and was left out")
    return sealed


def note_foreign(origin: str, notes: Notes) -> None:
    notes.add("input: reasoning", f"reasoning of {origin} was left out, for it is not this model's own")


def _open_text(item: Reasoning) -> str:
    """The text of clients that keep no `encrypted_content`: the reasoning itself, else its summary."""
    for parts in (item.content, item.summary):
        texts = [clean(part.text) for part in parts if isinstance(part, TextPart) and part.text]
        if texts:
            return "\n\n".join(texts)
    return ""


# --- what goes back -------------------------------------------------------------------------------------------------

_STAND_INS = {"empty": "", "space": " ", "placeholder": "(reasoning not kept)"}


def replayed(turns: Sequence[Turn], profile: Profile) -> list[Thought | None]:
    """For each turn, the reasoning that is sent back with it: as the profile asks, a stand-in where it was lost.

    With `after_tools`, the first call in a history lets the reasoning of earlier turns appear too, and with `tool_loop`
    each new message of the user lets it disappear: the two cases in which a history's beginning changes. Providers
    that are told so demand or refuse it.
    """
    start = _replay_start(turns, profile)
    return [
        _replayed(turn, profile) if index >= start and isinstance(turn, AssistantTurn) else None
        for index, turn in enumerate(turns)
    ]


def _replay_start(turns: Sequence[Turn], profile: Profile) -> int:
    """Index of the first turn whose reasoning may go back."""
    never = len(turns)
    match profile.replay:
        case "always":
            return 0
        case "after_tools":
            return 0 if any(isinstance(turn, AssistantTurn) and turn.calls for turn in turns) else never
        case "tool_loop":
            return max(
                (i for i, turn in enumerate(turns) if isinstance(turn, Heard) and turn.role == "user"), default=0
            )
        case _:
            return never


def _replayed(turn: AssistantTurn, profile: Profile) -> Thought | None:
    if profile.replay_scope == "tool_turns" and not turn.calls:
        return None
    if turn.thought is not None and _says_something(turn.thought, profile):
        return turn.thought
    stand_in = _STAND_INS.get(profile.replay_missing)
    return None if stand_in is None else Thought(stand_in)


def _says_something(thought: Thought, profile: Profile) -> bool:
    return bool(thought.text or (profile.replay_field == "reasoning_details" and thought.details))


def with_thought(message: AssistantMessage, thought: Thought, profile: Profile) -> AssistantMessage:
    """`message` with the model's reasoning where the profile wants it."""
    match profile.replay_field:
        case "reasoning_content":
            return {**message, "reasoning_content": thought.text}
        case "reasoning":
            return {**message, "reasoning": thought.text}
        case "reasoning_details":
            return {**message, "reasoning_details": _details(thought)}
        case "tags":
            return {**message, "content": _in_tags(thought.text, message, profile)}
        case "thinking_parts":
            return {**message, "content": _in_parts(thought.text, message)}


def _details(thought: Thought) -> list[Json]:
    """As they came; of a text without details, the form that holds plain text."""
    if thought.details:
        return [*thought.details]
    return [{"type": "reasoning.text", "text": thought.text}]


def _in_tags(text: str, message: AssistantMessage, profile: Profile) -> str:
    opening, closing = profile.think_tags[0] if profile.think_tags else ("<think>", "</think>")
    thinking = f"{opening}\n{text}\n{closing}"
    content = message.get("content")
    return f"{thinking}\n\n{content}" if isinstance(content, str) and content else thinking


def _in_parts(text: str, message: AssistantMessage) -> list[JsonObject]:
    parts: list[JsonObject] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
    content = message.get("content")
    if isinstance(content, str) and content:
        parts.append({"type": "text", "text": content})
    return parts


# --- how much -------------------------------------------------------------------------------------------------------

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
_PARAM = "reasoning.effort"


def thinking_params(
    effort: str | None, profile: Profile, *, notes: Notes, limit: int | None = None
) -> tuple[JsonObject, bool | None]:
    """What the request's body says about reasoning, and whether the model will reason (None: its server knows).

    Args:
        effort: the client's `reasoning.effort`; None lets the provider decide.
        limit: of the whole output in tokens, if the client set one.
    """
    budget = _budget(effort, profile, limit)
    if effort is None:
        return _fill(profile.auto_fragment, None, budget), _by_default(profile)
    if effort == "none":
        return _without_thinking(profile, notes, budget)
    if profile.thinking_style == "none" and not profile.on_fragment:
        notes.add(_PARAM, "how much this model reasons cannot be chosen")
        return {}, _by_default(profile)
    value = _value(effort, profile, notes)
    if value == "none":
        return _fill(profile.off_fragment, None, budget), False
    if _lacks_room(effort, profile, limit):
        notes.add(_PARAM, "off for this call: the limit of the output leaves no room for it")
        return _fill(profile.off_fragment, None, None), False
    return _fill(profile.on_fragment, value, budget), True


def _budget(effort: str | None, profile: Profile, limit: int | None) -> int | None:
    """Tokens for `$budget`.

    Most providers count thinking as output, and an answer needs room too: where the output is limited, thinking gets
    half of that, or the profile's smallest budget if that is more, and always less than the whole.
    """
    budget, least = profile.thinking_budgets.get(effort or ""), profile.thinking_budget_min or 1
    if budget is None or limit is None:
        return None if budget is None else max(least, budget)
    most = max(limit // 2, min(profile.thinking_budgets.values()))
    return max(least, min(budget, most, limit - 1))


def _lacks_room(effort: str, profile: Profile, limit: int | None) -> bool:
    """Whether the smallest budget would take up all of the output."""
    if profile.thinking_budget_min is None or limit is None or profile.thinking_default == "always":
        return False
    return limit <= profile.thinking_budget_min and "$budget" in _leaves(profile.on_fragment)


def _by_default(profile: Profile) -> bool | None:
    if profile.thinking_default == "off":
        return None if profile.thinking_style == "none" else False
    return True


def _without_thinking(profile: Profile, notes: Notes, budget: int | None) -> tuple[JsonObject, bool | None]:
    """Off; for a model that always reasons, as little as it can."""
    if profile.thinking_style == "none" and profile.thinking_default == "off" and not profile.off_fragment:
        return {}, None
    if profile.thinking_default != "always" and not _off_is_refused(profile):
        return _fill(profile.off_fragment, None, budget), False
    lowest = profile.effort_for("none") or next(filter(None, map(profile.effort_for, _EFFORTS[1:])), None)
    least = f"the least it can ('{lowest}') was asked for" if lowest else "how much it reasons is left to it"
    notes.add(_PARAM, f"this model's reasoning cannot be turned off; {least}")
    return _fill(profile.on_fragment if lowest else profile.auto_fragment, lowest, budget), True


def _off_is_refused(profile: Profile) -> bool:
    """A model without a switch cannot be turned off; a switch that is an effort needs the effort "none" for it."""
    if profile.thinking_style == "none":
        return not profile.off_fragment
    return profile.thinking_style == "effort" and profile.thinking_off is None and profile.effort_for("none") != "none"


def _value(effort: str, profile: Profile, notes: Notes) -> str | None:
    """The provider's value for an effort, the nearest one if it has none for just this."""
    value = profile.effort_for(effort)
    accepted = [name for name in _EFFORTS[1:] if profile.effort_for(name)]
    places = _leaves(profile.on_fragment)
    if value != "none" and "$budget" in places and effort in profile.thinking_budgets and "$effort" not in places:
        return None
    if value != "none" and (not accepted or "$effort" not in places):
        notes.add(_PARAM, f"this model can be told to reason, not how much; '{effort}' turned it on")
        return None
    if value is not None:
        return value
    rank = _EFFORTS.index(effort if effort in _EFFORTS else "medium")
    nearest = min(accepted, key=lambda name: (abs(_EFFORTS.index(name) - rank), _EFFORTS.index(name)))
    notes.add(_PARAM, f"this model has no effort '{effort}'; '{nearest}' is the nearest")
    return profile.effort_for(nearest)


def _leaves(fragment: Fragment) -> list[Json]:
    """The values of the fragment and of the objects in it."""
    inner = (_leaves(value) if isinstance(value, dict) else [value] for value in fragment.values())
    return list(chain.from_iterable(inner))


def _fill(fragment: Fragment, effort: str | None, budget: int | None) -> JsonObject:
    """The fragment with its placeholders filled in; a key without a value goes, and an object emptied by that."""
    values: dict[str, Json] = {"$effort": effort, "$budget": budget}
    filled: JsonObject = {}
    for key, value in fragment.items():
        if isinstance(value, dict):
            inner = _fill(value, effort, budget)
            if inner or not value:
                filled[key] = inner
        elif isinstance(value, str) and value in values:
            if values[value] is not None:
                filled[key] = values[value]
        else:
            filled[key] = value
    return filled
