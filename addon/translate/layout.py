"""Turns of a conversation → messages, laid out as one provider insists on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Literal, cast

from addon.providers.profile import Profile
from addon.translate.content import has_media, headed, join_text, media_kind, text_part
from addon.translate.history import AnsweredCall, AssistantTurn, Heard, Thought, Turn
from addon.translate.notes import Notes
from addon.translate.reasoning import replayed, with_thought
from addon.wire.chat import (
    AssistantMessage,
    ChatMessage,
    Content,
    ContentPart,
    CustomCall,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from addon.wire.json import JsonObject

LATER_INSTRUCTION = "[system instruction]"
"""Heads an instruction that has to stand in the user's name."""
_NO_OUTPUT = "(no output)"
"""Content of a result that is empty; several providers refuse an empty content."""
_BETWEEN = "OK."
"""What the model says where a provider wants it to speak between a tool and the user."""
_GO_ON = "Continue."
"""What the user says where a provider wants the user to have spoken, or to speak last."""


def to_layout(turns: Sequence[Turn], profile: Profile, notes: Notes) -> list[ChatMessage]:
    """All messages, in the roles, order and shape the profile asks for."""
    leading = list(takewhile(_is_instruction, turns))
    messages = _leading(cast(list[Heard], leading), profile)
    for turn, thought in list(zip(turns, replayed(turns, profile), strict=True))[len(leading) :]:
        messages += _heard(turn, profile) if isinstance(turn, Heard) else _assistant(turn, thought, profile, notes)
    if not messages or (profile.require_user_message and all(message["role"] != "user" for message in messages)):
        messages.append({"role": "user", "content": _GO_ON})
    if profile.assistant_between_tool_and_user:
        messages = _with_word_between(messages)
    if profile.strict_alternation:
        messages = _alternating(messages)
    return _with_end(messages, profile)


def _is_instruction(turn: Turn) -> bool:
    return isinstance(turn, Heard) and turn.role == "instruction"


# --- instructions and the user ----------------------------------------------------------------------------------------


def _leading(instructions: Sequence[Heard], profile: Profile) -> list[ChatMessage]:
    """The instructions before anything else: one message, or each its own."""
    if profile.system_policy == "single" and instructions:
        text = "\n\n".join(join_text(heard.parts) for heard in instructions)
        return [_instruction(text, profile)]
    return [_instruction(_shaped(heard.parts, profile), profile) for heard in instructions]


def _instruction(content: Content, profile: Profile) -> ChatMessage:
    match profile.instruction_role:
        case "user":
            return {"role": "user", "content": content}
        case role:
            return {"role": role, "content": content}


def _heard(heard: Heard, profile: Profile) -> list[ChatMessage]:
    """A message of the user, or an instruction in the midst of the conversation.

    Such an instruction keeps its place also where a provider allows none there: moved to the front it would change
    the beginning of a history that was already sent, and lose what it refers to. There it is told by the user.
    """
    if heard.role == "user":
        return [{"role": "user", "content": _shaped(heard.parts, profile)}]
    if profile.system_policy == "any" and profile.instruction_role != "user":
        return [_instruction(_shaped(heard.parts, profile), profile)]
    return [{"role": "user", "content": f"{LATER_INSTRUCTION}\n{join_text(heard.parts)}"}]


def _shaped(parts: Sequence[ContentPart], profile: Profile) -> Content:
    """Parts if there is more than text, else a string: always, or (`auto`) when there is only one."""
    if has_media(parts) or (profile.content_shape == "auto" and len(parts) > 1):
        return list(parts)
    return join_text(parts)


# --- the assistant and its tools --------------------------------------------------------------------------------------


def _assistant(turn: AssistantTurn, thought: Thought | None, profile: Profile, notes: Notes) -> list[ChatMessage]:
    """The model's message, the results of its calls, and what a result could not hold."""
    if turn.calls and not profile.tools:
        return _told_calls(turn, thought, profile, notes)
    message: AssistantMessage = {"role": "assistant"}
    if turn.text:
        message["content"] = turn.text
    elif profile.assistant_tool_content != "omit":
        message["content"] = None if profile.assistant_tool_content == "null" else ""
    if thought is not None:
        message = with_thought(message, thought, profile)
    if turn.calls:
        message["tool_calls"] = _tool_calls(turn.calls, profile)
    return [message, *_results(turn.calls, profile, notes)]


def _told_calls(turn: AssistantTurn, thought: Thought | None, profile: Profile, notes: Notes) -> list[ChatMessage]:
    """Calls and results in words, for a model that has no others."""
    notes.add("input: calls", "this model cannot call tools; earlier calls and their results are told as text")
    calls = [f"[called {call.name}({call.arguments})]" for call in turn.calls]
    message: AssistantMessage = {"role": "assistant", "content": "\n".join(filter(None, [turn.text, *calls]))}
    if thought is not None:
        message = with_thought(message, thought, profile)
    attachments = _Attachments(profile.tool_result_media, notes)
    results = [part for call in turn.calls for part in _told_result(call, attachments)]
    content: Content = results if has_media(results) else join_text(results)
    return [message, {"role": "user", "content": content}, *attachments.message()]


def _told_result(call: AnsweredCall, attachments: _Attachments) -> Sequence[ContentPart]:
    parts = tuple(attachments.taken_from(call.result))
    said = parts if has_media(parts) else (text_part(join_text(parts) or _NO_OUTPUT),)
    return headed(f"[result of {call.name}]", said)


def _tool_calls(calls: Sequence[AnsweredCall], profile: Profile) -> list[ToolCall | CustomCall]:
    made = [_with_extra(_tool_call(call), call.extra, profile) for call in calls]
    if profile.call_extra_missing and not any(call.keys() & set(profile.call_extra) for call in made):
        made[0] = cast(ToolCall | CustomCall, {**made[0], **profile.call_extra_missing})
    return made


def _tool_call(call: AnsweredCall) -> ToolCall | CustomCall:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _with_extra(call: ToolCall | CustomCall, extra: JsonObject, profile: Profile) -> ToolCall | CustomCall:
    """The call with what its provider gave along with it, as it came."""
    kept = {name: value for name, value in extra.items() if name in profile.call_extra}
    return cast(ToolCall | CustomCall, {**call, **kept}) if kept else call


def _results(calls: Sequence[AnsweredCall], profile: Profile, notes: Notes) -> list[ChatMessage]:
    """One tool message per call, in the order of the calls; media that must leave them follow behind all of them."""
    attachments = _Attachments(profile.tool_result_media, notes)
    results: list[ChatMessage] = [_tool_message(call, attachments, profile) for call in calls]
    return [*results, *attachments.message()]


def _tool_message(call: AnsweredCall, attachments: _Attachments, profile: Profile) -> ToolMessage:
    parts = attachments.taken_from(call.result)
    content = list(parts) if has_media(parts) else join_text(parts) or _NO_OUTPUT
    if profile.tool_result_name:
        return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": content}
    return {"role": "tool", "tool_call_id": call.id, "content": content}


class _Attachments:
    """Media of a batch of results, on their way to where the provider can take them."""

    def __init__(self, policy: Literal["array", "followup_user", "drop"], notes: Notes) -> None:
        self._policy = policy
        self._notes = notes
        self._count: Counter[str] = Counter()
        self._parts: list[ContentPart] = []

    def taken_from(self, result: Sequence[ContentPart]) -> Sequence[ContentPart]:
        """The result as it stays in the tool's message: media kept, or a word in their place."""
        if self._policy == "array":
            return result
        return [part if part["type"] == "text" else text_part(self._take(part)) for part in result]

    def message(self) -> list[ChatMessage]:
        """The user's message with all that was taken; none if there was nothing."""
        return [{"role": "user", "content": self._parts}] if self._parts else []

    def _take(self, part: ContentPart) -> str:
        kind = media_kind(part)
        if self._policy == "drop":
            self._notes.add(f"tool results: {kind}", "this model's provider takes only text as the result of a tool")
            return f"[{kind} omitted: tool results are text only]"
        self._count[kind] += 1
        name = f"{kind} {self._count[kind]}"
        self._parts += [text_part(f"[{name} of the tool results above]"), part]
        return f"[{name}: see the next user message]"


# --- what a provider insists on ---------------------------------------------------------------------------------------


def _with_word_between(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """A word of the model wherever the user would speak right after a tool."""
    spaced = list(messages[:1])
    for before, message in pairwise(messages):
        if before["role"] == "tool" and message["role"] == "user":
            spaced.append({"role": "assistant", "content": _BETWEEN})
        spaced.append(message)
    return spaced


def _alternating(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Neighbouring messages of one role as one. (The model never has two: a turn ends with its results.)"""
    merged: list[ChatMessage] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last is None or last["role"] != message["role"] or last["role"] in ("tool", "assistant"):
            merged.append(message)
        else:
            merged[-1] = _merged(cast(UserMessage, last), cast(UserMessage, message))
    return merged


def _merged(first: UserMessage, second: UserMessage) -> UserMessage:
    if isinstance(first["content"], str) and isinstance(second["content"], str):
        return {**first, "content": f"{first['content']}\n\n{second['content']}"}
    return {**first, "content": [*_as_parts(first["content"]), *_as_parts(second["content"])]}


def _as_parts(content: Content) -> list[ContentPart]:
    return [text_part(content)] if isinstance(content, str) else content


def _with_end(messages: list[ChatMessage], profile: Profile) -> list[ChatMessage]:
    """The end a provider accepts. This depends on what is last, and goes again when the history goes on."""
    last = messages[-1]
    if last["role"] == "assistant" and profile.trailing_assistant == "prefix":
        return [*messages[:-1], {**last, "prefix": True}]
    if last["role"] == "assistant" and profile.trailing_assistant == "user_stub":
        return [*messages, {"role": "user", "content": _GO_ON}]
    return messages
