"""Input items → a valid chat history.

The items come in any order and from any client; what goes out is what every provider accepts: each message with calls
is followed at once by one result per call, ids are unique, arguments are JSON objects, nothing is empty. The way:

    items → steps (here) → turns, each call with its result (history) → messages as the profile wants them (layout)

Same items, same messages. And with new items behind them a history keeps the messages it had, up to

- the results "aborted" of calls that are answered now, and further results of the calls of its last turn;
- what only stands at an end: the provider's stub for a missing user turn or a trailing assistant turn, a last message
  that grows because the new items go on with it (the model's, or any under `strict_alternation`);
- reasoning, under the replay policies that depend on what follows (see `reasoning.replayed`), and reasoning that its
  client dropped and the bridge has forgotten meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from addon.providers.profile import Profile
from addon.translate.arguments import object_text
from addon.translate.call_ids import CallIds
from addon.translate.content import ContentReader, from_agent, join_text, text_part
from addon.translate.history import Answered, Called, Heard, Said, Step, to_turns
from addon.translate.hosted import is_hosted_item
from addon.translate.layout import to_layout
from addon.translate.memory import call_key, remembered
from addon.translate.native_tools import (
    NativeCall,
    NativeKind,
    arguments_of,
    found_text,
    kind_of,
    patch_text,
    shell_text,
)
from addon.translate.notes import Notes
from addon.translate.reasoning import NO_MEMORY, Memory, recall
from addon.wire.chat import ChatMessage
from addon.wire.json import clean, dumps
from addon.wire.responses import (
    AdditionalTools,
    AgentMessage,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ApplyPatchTool,
    Compaction,
    CompactionTrigger,
    CustomTool,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Item,
    ItemReference,
    LocalShellCall,
    LocalShellCallOutput,
    LocalShellTool,
    Message,
    NamespaceTool,
    OtherTool,
    Reasoning,
    ShellCall,
    ShellCallOutput,
    ShellTool,
    Tool,
    ToolSearchCall,
    ToolSearchOutput,
    ToolSearchTool,
    UnknownItem,
)

_NAMELESS = "unknown_tool"
"""Stands in for a call's name that a client left empty."""


class CallNames(Protocol):
    """Knows the names under which tools are offered to the model."""

    def chat_name(
        self, kind: Literal["function", "custom", "tool_search"] | NativeKind, name: str, namespace: str | None
    ) -> str: ...


def to_messages(
    items: Sequence[Item],
    *,
    instructions: str | None,
    names: CallNames,
    profile: Profile,
    origin: str,
    notes: Notes,
    memory: Memory = NO_MEMORY,
) -> list[ChatMessage]:
    """The whole history for one model.

    Args:
        instructions: the request's own; they come first.
        names: the registry of the tools the request offers and its history calls.
        origin: "provider/model", which may see its own earlier reasoning.
        memory: reads that reasoning in the items, and finds it where a client has dropped it.

    Raises:
        ApiError: for content that cannot be had from here, or that this model has no form for.
    """
    reader = _ItemReader(names, profile, origin, memory, notes)
    steps = [*_instructed(instructions), *reader.steps(items)]
    turns = to_turns(steps, CallIds(profile.tool_id), notes)
    return to_layout([remembered(turn, memory, origin, profile, notes) for turn in turns], profile, notes)


def _instructed(instructions: str | None) -> list[Step]:
    text = clean(instructions or "")
    return [Heard("instruction", (text_part(text),))] if text.strip() else []


class _ItemReader:
    """Reads items for one model into steps. What makes no step is dropped, with a note."""

    def __init__(self, names: CallNames, profile: Profile, origin: str, memory: Memory, notes: Notes) -> None:
        self._names = names
        self._profile = profile
        self._origin = origin
        self._memory = memory
        self._notes = notes
        self._content = ContentReader(profile, notes)
        self._local_calls: dict[str, str] = {}
        """The call_id of each `local_shell_call`, by the item's own id."""

    def steps(self, items: Sequence[Item]) -> Iterator[Step]:
        self._local_calls = {
            item.id: item.call_id for item in items if isinstance(item, LocalShellCall) and item.id and item.call_id
        }
        for index, item in enumerate(items):
            step = self._step(item, f"input[{index}]")
            if step is not None:
                yield step

    def _step(self, item: Item, path: str) -> Step | None:
        match item:
            case Message():
                return self._message(item, path)
            case AgentMessage():
                return self._agent_message(item, path)
            case Reasoning():
                return recall(item, self._origin, self._memory, self._notes)
            case FunctionCall():
                return self._function_call(item)
            case CustomToolCall():
                return self._custom_call(item)
            case ToolSearchCall():
                return self._search_call(item)
            case ShellCall() | LocalShellCall() | ApplyPatchCall():
                return self._native_call(item)
            case ShellCallOutput():
                return Answered(clean(item.call_id), (text_part(shell_text(item.output)),))
            case ApplyPatchCallOutput():
                return Answered(clean(item.call_id), (text_part(patch_text(item)),))
            case LocalShellCallOutput():
                return self._local_shell_output(item, f"{path}.output")
            case FunctionCallOutput() | CustomToolCallOutput():
                return Answered(clean(item.call_id), self._content.result(item.output, f"{path}.output"))
            case ToolSearchOutput():
                return Answered(clean(item.call_id), (text_part(self._found(item.tools)),))
            case AdditionalTools():
                return None  # the registry has read them
            case ItemReference():
                self._notes.add("input: item_reference", f"'{item.id}' is not known here and was left out")
                return None
            case Compaction():
                why = "it was made elsewhere, cannot be read and was left out"
                self._notes.add("input: compaction", why)
                return None
            case CompactionTrigger():
                return None  # what it asks for has been seen to
            case UnknownItem():
                hosted = is_hosted_item(item.type)
                why = "what a tool at OpenAI did is left out" if hosted else "items of this type are not converted"
                self._notes.add(f"input: {item.type or 'no type'}", why)
                return None

    # messages

    def _message(self, message: Message, path: str) -> Step | None:
        step = self._said(message, f"{path}.content")
        if step is None:
            self._notes.add("input: message", "a message without content was left out")
        return step

    def _said(self, message: Message, path: str) -> Step | None:
        match message.role:
            case "assistant":
                texts = self._content.text(message.content, path)
                return Said(join_text(texts, separator="")) if texts else None
            case "system" | "developer":
                texts = self._content.text(message.content, path)
                return Heard("instruction", texts) if texts else None
            case "user":
                pass
            case role:
                self._notes.add(f"input: role {role}", "messages of this role are sent as the user's")
        parts = self._content.parts(message.content, path)
        return Heard("user", parts) if parts else None

    def _agent_message(self, message: AgentMessage, path: str) -> Step | None:
        """What another agent said; the user tells it."""
        parts = self._content.parts(message.content, f"{path}.content")
        if not parts:
            self._notes.add("input: agent_message", "a message without content was left out")
            return None
        return Heard("user", from_agent(message, parts))

    # calls and results

    def _function_call(self, call: FunctionCall) -> Step:
        return self._called("function", call, call.arguments)

    def _custom_call(self, call: CustomToolCall) -> Step:
        if self._profile.custom_tools == "custom":
            name = self._names.chat_name("custom", call.name, call.namespace) or _NAMELESS
            return Called(clean(call.call_id), name, clean(call.input), custom=True, key=call_key(call))
        return self._called("custom", call, dumps({"input": clean(call.input)}))

    def _search_call(self, call: ToolSearchCall) -> Step:
        name = self._names.chat_name("tool_search", "tool_search", None)
        return Called(clean(call.call_id), name, self._arguments(name, call.arguments), key=call_key(call))

    def _native_call(self, call: NativeCall) -> Step:
        kind = kind_of(call)
        name = self._names.chat_name(kind, kind, None)
        return Called(clean(call.call_id), name, arguments_of(call), key=call_key(call))

    def _local_shell_output(self, output: LocalShellCallOutput, path: str) -> Step:
        """Its id is that of the call: the call_id, or with some clients the item's own."""
        call_id = output.call_id or self._local_calls.get(output.id, output.id)
        return Answered(clean(call_id), self._content.result(output.output, path))

    def _called(
        self, kind: Literal["function", "custom"], call: FunctionCall | CustomToolCall, arguments: str
    ) -> Called:
        name = self._names.chat_name(kind, call.name, call.namespace) or _NAMELESS
        return Called(clean(call.call_id), name, self._arguments(name, arguments), key=call_key(call))

    def _arguments(self, name: str, raw: str) -> str:
        arguments, repaired = object_text(raw, empty=self._profile.empty_arguments)
        if repaired:
            self._notes.add("input: arguments", f"those of a call of {name} were no JSON object and were made one")
        return arguments

    def _found(self, tools: Sequence[Tool]) -> str:
        lines = [line for tool in tools for line in self._described(tool, None)]
        return found_text(lines)

    def _described(self, tool: Tool, namespace: str | None) -> Iterator[str]:
        """A line per tool, by the name the model has to call it by."""
        match tool:
            case FunctionTool():
                yield _line(self._names.chat_name("function", tool.name, namespace), tool.description)
            case CustomTool():
                yield _line(self._names.chat_name("custom", tool.name, namespace), tool.description)
            case NamespaceTool():
                for inner in tool.tools:
                    yield from self._described(inner, tool.name)
            case ShellTool() | LocalShellTool() | ApplyPatchTool() | ToolSearchTool() | OtherTool():
                return


def _line(name: str, description: str | None) -> str:
    return f"- {name}: {clean(description)}" if description else f"- {name}"
