"""The output items of one response while they grow: each knows the events that open it, extend it and close it.

An item is written to by operations (`Write`). `ResponseBuilder` decides when: the item whose turn it is gets them at
once, a held one when its turn comes, so that live and held items make the same events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from addon.translate.unwrap import BareInput, InputUnwrapper
from addon.wire.chat import Fragments
from addon.wire.json import Json, JsonError, JsonObject, is_cut_off, loads
from addon.wire.responses import (
    CompactionItem,
    CustomToolCallItem,
    FunctionCallItem,
    MessageItem,
    OutputItem,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    Status,
    ToolSearchCallItem,
)

Ending: TypeAlias = Literal["completed", "incomplete", "failed"]
"""How an item ends: the model went on to something else or finished, was stopped in it, or the stream broke."""


class Emit(Protocol):
    """Makes one event of the stream: its type, then its fields besides `sequence_number`."""

    def __call__(self, event_type: str, /, **fields: object) -> None: ...


class Seal(Protocol):
    """Makes the `encrypted_content` that carries reasoning to the next request, with what belongs to its calls."""

    def __call__(self, text: str, details: Sequence[JsonObject], calls: Mapping[str, JsonObject], /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Write:
    """One operation on an item: a delta of the named kind, or whole `values`."""

    kind: Literal["text", "refusal", "annotation", "reasoning", "details", "extras", "arguments"]
    delta: str = ""
    values: Sequence[JsonObject] = ()
    """Of "extras": objects with the opaque keys of calls by call id."""


class OutputItemState(ABC):
    """One item. `position` is its output_index, known once it is announced; an item never announced never was."""

    def __init__(self, item_id: str) -> None:
        self.id = item_id
        self.position: int | None = None
        self.held: list[Write] = []

    @abstractmethod
    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        """Extend the item. `announce` gives it its output_index and tells the client, once."""

    @abstractmethod
    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        """Close what is open in the item, all but `response.output_item.done`.

        Returns:
            the item's last status; None if it is not to be done: it was never announced, or must not be run.
        """

    @abstractmethod
    def snapshot(self, status: Status) -> OutputItem:
        """The item as it stands."""

    @abstractmethod
    def blank(self) -> OutputItem:
        """The item as `response.output_item.added` shows it: nothing in it yet."""


@dataclass
class _Text:
    """A part of a message: text with its annotations and logprobs, or a refusal."""

    kind: Literal["text", "refusal"]
    deltas: list[str] = field(default_factory=list)
    annotations: list[JsonObject] = field(default_factory=list)
    logprobs: list[JsonObject] = field(default_factory=list)

    def part(self) -> OutputText | OutputRefusal:
        text = "".join(self.deltas)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
        }


class MessageState(OutputItemState):
    """The assistant's message: text parts and refusals, one after the other."""

    def __init__(self, item_id: str, *, phase: str | None = None) -> None:
        super().__init__(item_id)
        self._phase = phase
        self._parts: list[_Text] = []

    def blank(self) -> MessageItem:
        item: MessageItem = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        if self._phase is not None:
            item["phase"] = self._phase
        return item

    def snapshot(self, status: Status) -> MessageItem:
        item = self.blank()
        item["status"] = status
        item["content"] = [part.part() for part in self._parts]
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        index = announce()
        kind: Literal["text", "refusal"] = "refusal" if operation.kind == "refusal" else "text"
        part = self._part(kind, index, emit)
        where = {"item_id": self.id, "output_index": index, "content_index": len(self._parts) - 1}
        match operation.kind:
            case "annotation":
                for annotation in operation.values:
                    part.annotations.append(annotation)
                    emit(
                        "response.output_text.annotation.added",
                        **where,
                        annotation_index=len(part.annotations) - 1,
                        annotation=annotation,
                    )
            case "refusal":
                part.deltas.append(operation.delta)
                emit("response.refusal.delta", **where, delta=operation.delta)
            case _:
                part.deltas.append(operation.delta)
                part.logprobs.extend(operation.values)
                emit("response.output_text.delta", **where, delta=operation.delta, logprobs=list(operation.values))

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        self._close_part(announce(), emit)
        return "completed" if ending == "completed" else "incomplete"

    def _part(self, kind: Literal["text", "refusal"], index: int, emit: Emit) -> _Text:
        if self._parts and self._parts[-1].kind == kind:
            return self._parts[-1]
        self._close_part(index, emit)
        part = _Text(kind)
        self._parts.append(part)
        where = {"item_id": self.id, "output_index": index, "content_index": len(self._parts) - 1}
        emit("response.content_part.added", **where, part=part.part())
        return part

    def _close_part(self, index: int, emit: Emit) -> None:
        if not self._parts:
            return
        last = self._parts[-1]
        where = {"item_id": self.id, "output_index": index, "content_index": len(self._parts) - 1}
        part = last.part()
        if part["type"] == "refusal":
            emit("response.refusal.done", **where, refusal=part["refusal"])
        else:
            emit("response.output_text.done", **where, text=part["text"], logprobs=part["logprobs"])
        emit("response.content_part.done", **where, part=part)


class ReasoningState(OutputItemState):
    """The model's thinking: as `reasoning_text`, or as a summary when the client asked for one."""

    def __init__(self, item_id: str, *, as_summary: bool, seal: Seal) -> None:
        super().__init__(item_id)
        self._as_summary = as_summary
        self._seal = seal
        self._deltas: list[str] = []
        self._details = Fragments()
        self._calls: dict[str, JsonObject] = {}
        self._sealed: str | None = None

    @property
    def text(self) -> str:
        return "".join(self._deltas)

    @property
    def details(self) -> Sequence[JsonObject]:
        """The provider's own form of it."""
        return self._details.details

    def sealed_by(self, seal: Seal) -> str | None:
        """All there is to it, sealed; None if that is nothing."""
        return seal(self.text, self.details, self._calls)

    def blank(self) -> ReasoningItem:
        return {
            "id": self.id,
            "type": "reasoning",
            "status": "in_progress",
            "summary": [],
            "content": [],
            "encrypted_content": None,
        }

    def snapshot(self, status: Status) -> ReasoningItem:
        item = self.blank()
        item["status"] = status
        item["encrypted_content"] = self._sealed
        if self._deltas and self._as_summary:
            item["summary"] = [{"type": "summary_text", "text": "".join(self._deltas)}]
        elif self._deltas:
            item["content"] = [{"type": "reasoning_text", "text": "".join(self._deltas)}]
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        if operation.kind == "details":  # without text there may be nothing to tell of
            self._details.add(operation.values)
            return
        if operation.kind == "extras":
            for extras in operation.values:
                self._calls |= {call_id: extra for call_id, extra in extras.items() if isinstance(extra, dict)}
            return
        where = self._where(announce())
        if not self._deltas:
            added = "response.reasoning_summary_part.added" if self._as_summary else "response.content_part.added"
            emit(added, **where, part=self._part(""))
        self._deltas.append(operation.delta)
        name = "response.reasoning_summary_text" if self._as_summary else "response.reasoning_text"
        emit(f"{name}.delta", **where, delta=operation.delta)

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        text = self.text
        self._sealed = self._seal(text, self.details, self._calls)
        if not self._deltas and self._sealed is None:
            return None
        where = self._where(announce())
        if self._deltas:
            name = "response.reasoning_summary_text" if self._as_summary else "response.reasoning_text"
            emit(f"{name}.done", **where, text=text)
            done = "response.reasoning_summary_part.done" if self._as_summary else "response.content_part.done"
            emit(done, **where, part=self._part(text))
        return "completed" if ending == "completed" else "incomplete"

    def _where(self, index: int) -> dict[str, object]:
        return {
            "item_id": self.id,
            "output_index": index,
            "summary_index" if self._as_summary else "content_index": 0,
        }

    def _part(self, text: str) -> dict[str, str]:
        return {"type": "summary_text" if self._as_summary else "reasoning_text", "text": text}


class CompactionState(OutputItemState):
    """A summary in the place of a conversation. It is told when it is there, all at once."""

    def __init__(self, item_id: str, encrypted_content: str) -> None:
        super().__init__(item_id)
        self._encrypted_content = encrypted_content

    def blank(self) -> CompactionItem:
        return {"id": self.id, "type": "compaction", "encrypted_content": ""}

    def snapshot(self, status: Status) -> CompactionItem:
        return {"id": self.id, "type": "compaction", "encrypted_content": self._encrypted_content}

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        """There is nothing to add to it."""

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        emit("response.compaction.compacting", item_id=self.id, output_index=announce())
        return "completed"


class CallState(OutputItemState):
    """A call of a tool: what the kinds have in common. Its arguments come as pieces of one JSON text."""

    def __init__(self, item_id: str, *, call_id: str, name: str, namespace: str | None) -> None:
        super().__init__(item_id)
        self.call_id = call_id
        self.name = name
        self.namespace = namespace
        self.extra: JsonObject = {}
        """Opaque keys that the provider wants back with the call."""
        self._pieces: list[str] = []

    def arguments(self) -> str:
        return "".join(self._pieces)

    def runnable(self, ending: Ending) -> bool:
        """True if the arguments came to their end.

        Wrong JSON counts as whole, since clients tell the model of it; but not if the model was stopped, perhaps in it.
        """
        arguments = self.arguments()
        match ending:
            case "completed":
                return not arguments.strip() or not is_cut_off(arguments)
            case "incomplete":
                return _json(arguments) is not None
            case "failed":
                return False


class FunctionCallState(CallState):
    """A function call, streamed as it comes. It is announced with its first argument, so a call cut off before that
    leaves no trace; one cut off later keeps arguments that no JSON reader accepts: nobody can run it."""

    def blank(self) -> FunctionCallItem:
        item: FunctionCallItem = {
            "id": self.id,
            "type": "function_call",
            "status": "in_progress",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": "",
        }
        if self.namespace is not None:
            item["namespace"] = self.namespace
        return item

    def snapshot(self, status: Status) -> FunctionCallItem:
        item = self.blank()
        item["status"] = status
        item["arguments"] = self.arguments()
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        if not operation.delta:
            return
        index = announce()
        self._pieces.append(operation.delta)
        emit(
            "response.function_call_arguments.delta",
            item_id=self.id,
            output_index=index,
            delta=operation.delta,
        )

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        if not self.arguments().strip():
            if ending == "completed":
                self.write(Write("arguments", "{}"), emit, announce)
            elif self.position is None:
                return None
        emit(
            "response.function_call_arguments.done",
            item_id=self.id,
            output_index=announce(),
            name=self.name,
            arguments=self.arguments(),
        )
        return "completed" if self.runnable(ending) else "incomplete"


class CustomCallState(CallState):
    """A call of a custom tool. Upstream it is a function with the argument `input`; the client gets the bare text.

    The text is streamed as it can be read out of the arguments. Clients run what `response.output_item.done` shows
    them, whatever its status says, and half a patch or half a script runs: a call that was cut off is left open.
    """

    def __init__(
        self, item_id: str, *, call_id: str, name: str, namespace: str | None, reader: InputUnwrapper | BareInput
    ) -> None:
        super().__init__(item_id, call_id=call_id, name=name, namespace=namespace)
        self._reader = reader

    def blank(self) -> CustomToolCallItem:
        item: CustomToolCallItem = {
            "id": self.id,
            "type": "custom_tool_call",
            "status": "in_progress",
            "call_id": self.call_id,
            "name": self.name,
            "input": "",
        }
        if self.namespace is not None:
            item["namespace"] = self.namespace
        return item

    def snapshot(self, status: Status) -> CustomToolCallItem:
        item = self.blank()
        item["status"] = status
        item["input"] = self._reader.text
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        self._tell(self._reader.feed(operation.delta), emit, announce)

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        rest = self._reader.finish()
        if not (self._reader.whole if ending == "completed" else ending == "incomplete" and self._reader.closed):
            return None
        self._tell(rest, emit, announce)
        index = announce()
        text = self._reader.text
        emit("response.custom_tool_call_input.done", item_id=self.id, output_index=index, input=text)
        return "completed"

    def _tell(self, text: str, emit: Emit, announce: Callable[[], int]) -> None:
        if text:
            emit("response.custom_tool_call_input.delta", item_id=self.id, output_index=announce(), delta=text)


class SearchCallState(CallState):
    """A call of the client's tool search: its arguments are an object, and there are no events for its parts."""

    def blank(self) -> ToolSearchCallItem:
        return {
            "id": self.id,
            "type": "tool_search_call",
            "status": "in_progress",
            "call_id": self.call_id,
            "execution": "client",
            "arguments": {},
        }

    def snapshot(self, status: Status) -> ToolSearchCallItem:
        item = self.blank()
        item["status"] = status
        item["arguments"] = _object(self.arguments())
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        self._pieces.append(operation.delta)

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        if not self.runnable(ending):
            return None
        announce()
        return "completed"


def _object(arguments: str) -> JsonObject:
    value = _json(arguments)
    if isinstance(value, dict):
        return value
    return {"query": arguments} if arguments.strip() else {}


def _json(text: str) -> Json:
    try:
        return loads(text)
    except JsonError:
        return None
