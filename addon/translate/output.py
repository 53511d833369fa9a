"""ResponseBuilder: what the model said → items and events of a Responses answer, whole or streamed.

The only place that makes items, ids, indices, sequence numbers and statuses. The verbs (`text`, `reasoning`, `call`, …)
may come in any order; the events come out by one grammar: created, in_progress, items strictly one after the other,
one terminal event. Once a tool call is open, what comes after it is held until the end, because the call may go on
(parallel calls arrive interleaved); everything before the first call, and the first call itself, is live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from addon.translate.echo import SERVICE_TIERS, echo
from addon.translate.errors import ApiError
from addon.translate.history import Thought
from addon.translate.hosted_items import WebSearchState
from addon.translate.items import (
    CallState,
    CompactionState,
    CustomCallState,
    Ending,
    FunctionCallState,
    MessageState,
    OutputItemState,
    ReasoningState,
    Seal,
    SearchCallState,
    Write,
)
from addon.translate.memory import Kept, kept_of
from addon.translate.native_items import ApplyPatchCallState, LocalShellCallState, ShellCallState
from addon.translate.native_tools import NativeKind
from addon.translate.unwrap import BareInput, InputUnwrapper
from addon.translate.verbatim_items import KINDS, VerbatimState
from addon.wire.chat import Totals
from addon.wire.json import JsonObject
from addon.wire.responses import Event, OutputItem, ResponseError, ResponseObject, ResponsesRequest, Status, Usage

NewId = Callable[[str], str]
"""Makes an id that was never used, from a prefix: "msg" → "msg_0123…"."""

IncompleteReason = Literal["max_output_tokens", "content_filter"]

_PREFIX = {
    "function": "fc",
    "custom": "ctc",
    "tool_search": "tsc",
    "shell": "sh",
    "local_shell": "lsh",
    "apply_patch": "apc",
}

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})

PATCH_TOOL = "apply_patch"
"""The custom tool whose input is a patch: models wrap it in more ways than other text."""


@dataclass(frozen=True, slots=True)
class CalledTool:
    """The tool a call is for, as the client knows it."""

    kind: Literal["function", "custom", "tool_search"] | NativeKind
    name: str
    namespace: str | None = None
    bare: bool = False
    """Of a custom tool: the provider sends its input as it is, not as the argument of a function."""


class ResponseBuilder:
    """Grows one response. `take` hands over the events made since the last time.

    Args:
        request: what the client asked; echoed.
        ids, now: sources of new ids and of the time (seconds since the epoch), so that tests can fix them.
        seal: makes the `encrypted_content` of reasoning items. The client gets it if it asks for it (`include`).
    """

    def __init__(self, request: ResponsesRequest, *, ids: NewId, now: Callable[[], float], seal: Seal) -> None:
        self._request = request
        self._ids = ids
        self._now = now
        self._seals = request.includes("reasoning.encrypted_content")
        self._kept_seal = seal
        self._as_summary = request.reasoning is not None and request.reasoning.wants_summary
        self._events: list[Event] = []
        self._sequence = 0
        self._waiting: deque[OutputItemState] = deque()
        self._output: list[OutputItem] = []
        self._announced = 0
        self._call_ids: set[str] = set()
        self._given_ids: set[str] = set()
        self._apart = False
        self._phase: str | None = None
        self._late_extras: dict[str, CallState] = {}
        self._told: list[OutputItemState] = []
        """Items that were closed, also those that only the bridge itself has anything of."""
        self._truncated_call = False
        self._instead: str | None = None
        self._tier = "default"
        self._echo = echo(request, request.model or "")
        self._id = ids("resp")
        self._created_at = int(now())
        self._status: Status = "in_progress"
        self._error: ApiError | None = None
        self._incomplete: IncompleteReason | None = None
        self._usage: Usage | None = None
        self._completed_at: int | None = None
        self._started = False
        self._compaction: str | None = None

    # --- what came out

    def take(self) -> list[Event]:
        """The events made since the last call; each exactly once."""
        events, self._events = self._events, []
        return events

    @property
    def id(self) -> str:
        return self._id

    @property
    def response(self) -> ResponseObject:
        """The whole answer as it stands."""
        error: ResponseError | None = None
        if self._error is not None:
            error = {"code": self._error.code, "message": self._error.message}
        state = {
            "id": self._id,
            "object": "response",
            "created_at": self._created_at,
            "completed_at": self._completed_at,
            "status": self._status,
            "error": error,
            "incomplete_details": {"reason": self._incomplete} if self._incomplete else None,
            **self._echo,
            "service_tier": self._tier,
            "output": list(self._output),
            "usage": self._usage,
        }
        return cast(ResponseObject, state)

    @property
    def error(self) -> ApiError | None:
        """Why the response failed."""
        return self._error

    @property
    def ended(self) -> bool:
        return self._status not in ("queued", "in_progress")

    @property
    def has_output(self) -> bool:
        """True once something of the model's answer was taken in, told to the client or held."""
        return len(self._output) + len(self._waiting) > (self._compaction is not None)

    def kept(self) -> Kept | None:
        """What the bridge should remember of the ended answer, should the client not; None: nothing."""
        if self._status == "failed":
            return None
        thoughts = [item for item in self._told if isinstance(item, ReasoningState)]
        thought = Thought(
            "\n\n".join(item.text for item in thoughts if item.text),
            tuple(detail for item in thoughts for detail in item.details),
            {item.call_id: item.extra for item in self._told if isinstance(item, CallState) and item.extra},
        )
        return kept_of(self._output, thought)

    def stored(self) -> ResponseObject:
        """The ended answer as the bridge keeps it: its reasoning is sealed even if the client did not ask for that."""
        response = self.response
        if not self._seals:
            response["output"] = list(self._sealed_output())
        return response

    def not_stored(self, events: Sequence[Event]) -> list[Event]:
        """The last events again, after the answer could not be kept: they must not say that it was."""
        self._echo["store"] = False
        return [
            replace(event, fields={**event.fields, "response": self.response}) if event.type in _TERMINAL else event
            for event in events
        ]

    def _sealed_output(self) -> Iterator[OutputItem]:
        """Reasoning that only its seal says anything of is among it, though the client was told nothing."""
        said = {item["id"]: item for item in self._output}
        extras: JsonObject = {}
        for state in self._told:
            if isinstance(state, ReasoningState):
                sealed = state.sealed_by(self._kept_seal)
                if sealed is not None:
                    item = state.snapshot("completed") if state.position is None else said[state.id]
                    yield cast(OutputItem, {**item, "encrypted_content": sealed})
                    continue
            elif isinstance(state, CallState) and state.extra and state.id in said:
                extras[state.call_id] = dict(state.extra)
            if state.id in said:
                yield said[state.id]
        if extras:
            yield from self._carrier(extras)

    def _carrier(self, extras: JsonObject) -> Iterator[OutputItem]:
        """An item of nothing but what the provider wants back with its calls."""
        carrier = ReasoningState(self._ids("rs"), as_summary=False, seal=no_seal)
        carrier.write(Write("extras", values=(extras,)), self._emit, lambda: 0)
        sealed = carrier.sealed_by(self._kept_seal)
        if sealed is not None:
            yield {**carrier.snapshot("completed"), "encrypted_content": sealed}

    # --- what the model says

    def wait(self) -> None:
        """Say that the response exists, before anything else is said, and that nobody works on it yet."""
        self._status = "queued"
        self._emit("response.created", response=self.response)
        self._emit("response.queued", response=self.response)

    def start(self) -> None:
        """Say that the response exists, and is worked on. The other verbs do it if need be."""
        if not self._started:
            self._started = True
            waited, self._status = self._status == "queued", "in_progress"
            if not waited:
                self._emit("response.created", response=self.response)
            self._emit("response.in_progress", response=self.response)
            self._queue_compaction()

    def text_instead(self, text: str) -> None:
        """Whatever text the answer has from now on, this is said in the place of its first piece, and none of it."""
        self._instead = text

    def text(self, delta: str, logprobs: Sequence[JsonObject] = ()) -> None:
        if self._instead is not None:
            delta, logprobs, self._instead = self._instead, (), ""
        if delta or logprobs:
            self._write(self._last(MessageState, self._new_message), Write("text", delta, logprobs))

    def refusal(self, delta: str) -> None:
        if delta:
            self._write(self._last(MessageState, self._new_message), Write("refusal", delta))

    def annotate(self, annotations: Iterable[JsonObject]) -> None:
        """Citations in the text so far, flat as the Responses API has them."""
        values = tuple(annotations)
        if values and self._instead is None:
            self._write(self._last(MessageState, self._new_message), Write("annotation", values=values))

    def reasoning(self, delta: str) -> None:
        if delta:
            self._write(self._last(ReasoningState, self._new_reasoning), Write("reasoning", delta))

    def reasoning_details(self, details: Sequence[JsonObject]) -> None:
        """Pieces of a provider's own form of reasoning, for the way back to it."""
        if details:
            self._write(self._last(ReasoningState, self._new_reasoning), Write("details", values=details))

    def call(self, tool: CalledTool, call_id: str, *, extra: JsonObject | None = None) -> CallState:
        """A call begins; its arguments follow through `arguments`. An empty or used call id is replaced.

        Opaque keys of the call that are known now (`extra`) are carried by reasoning before it.
        """
        if not call_id or call_id in self._call_ids:
            call_id = self._ids("call")
        self._call_ids.add(call_id)
        state = _new_call(tool, self._ids(_PREFIX[tool.kind]), call_id)
        if extra:
            state.extra.update(extra)
            self._carry([state])
        self._queue(state)
        return state

    def call_extra(self, call: CallState, extra: JsonObject) -> None:
        """Opaque keys of a call that has begun already: reasoning behind all else carries them."""
        if any(name not in call.extra or call.extra[name] != value for name, value in extra.items()):
            call.extra.update(extra)
            self._late_extras[call.call_id] = call

    def arguments(self, call: CallState, delta: str) -> None:
        self._write(call, Write("arguments", delta))

    def searched(self, urls: Sequence[str]) -> None:
        """The provider has searched the web and found these pages."""
        if urls:
            self._queue(WebSearchState(self._ids("ws"), urls))

    def verbatim(self, item: JsonObject) -> None:
        """What a tool of the provider's own has done, as the provider tells it. It must be of one of the `KINDS`.

        It keeps its id, by which the provider may know it again, unless that is missing or taken.
        """
        item_id = item.get("id")
        if not isinstance(item_id, str) or not item_id or item_id in self._given_ids:
            item_id = self._ids(KINDS[str(item["type"])].prefix)
        self._given_ids.add(item_id)
        self._queue(VerbatimState(item_id, item))

    def apart(self, *, phase: str | None = None) -> None:
        """What follows belongs to another item, even if it is of the kind of the last; `phase` is that of a message."""
        self._apart = True
        self._phase = phase

    def end_call(self, call: CallState) -> None:
        """The call is whole, says the provider: the client need not wait for the rest of the answer to run it."""
        if len(self._waiting) == 1 and self._waiting[0] is call and call.runnable("completed"):
            self._close_head("completed")

    def service_tier(self, tier: str) -> None:
        if tier in SERVICE_TIERS - {"auto"}:
            self._tier = tier

    def compaction(self, encrypted_content: str) -> None:
        """A summary takes the place of the conversation so far. It stands before all that the model says."""
        self._compaction = encrypted_content
        if self._started:
            self._queue_compaction()

    def seal_with(self, seal: Seal) -> None:
        """Reasoning from here on is sealed by this function."""
        self._kept_seal = seal

    def keep_alive(self) -> None:
        """A sign of life: an event that says nothing, which all clients skip."""
        self._emit("keepalive")

    def retract(self, told: int) -> None:
        """Take back all that was said, for another try. `told`: the events heard already, the start or none."""
        self._events.clear()
        self._waiting.clear()
        self._output.clear()
        self._call_ids.clear()
        self._given_ids.clear()
        self._apart, self._phase = False, None
        self._late_extras.clear()
        self._told.clear()
        self._sequence = told
        self._started = told > 0
        self._announced = 0
        self._truncated_call = False
        self._tier = "default"
        self._status = "in_progress"
        self._error = self._incomplete = self._usage = self._completed_at = None
        if self._started:
            self._queue_compaction()

    # --- how it ends

    def complete(self, usage: Totals | None) -> None:
        """The model came to its end. A call that turns out to be cut off makes the response incomplete all the same."""
        self._end("completed", usage, None)

    def incomplete(self, reason: IncompleteReason, usage: Totals | None) -> None:
        """The model was stopped before its end."""
        self._end("incomplete", usage, reason)

    def fail(self, error: ApiError, usage: Totals | None = None) -> None:
        """The answer broke off. What was announced is closed, what was said is kept."""
        if self.ended:
            return
        self.start()
        self._close_all("failed")
        self._error = error
        self._status = "failed"
        self._usage = to_usage(usage) if usage is not None else None
        nested = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
        self._emit("error", code=error.code, message=error.message, param=error.param, error=nested)
        self._emit("response.failed", response=self.response)

    def _end(
        self, status: Literal["completed", "incomplete"], usage: Totals | None, reason: IncompleteReason | None
    ) -> None:
        if self.ended:
            return
        self.start()
        if status == "completed" and self._late_extras:
            self._carry([*self._late_extras.values()])
        self._close_all(status)
        if self._truncated_call and status == "completed":
            status, reason = "incomplete", "max_output_tokens"
        self._status = status
        self._incomplete = reason
        self._usage = to_usage(usage)
        if status == "completed":
            self._completed_at = int(self._now())
        self._emit(f"response.{status}", response=self.response)

    # --- turns: the item at the head of the queue is live, the others wait

    def _last(
        self, kind: type[MessageState] | type[ReasoningState], make: Callable[[], OutputItemState]
    ) -> OutputItemState:
        if self._waiting and isinstance(self._waiting[-1], kind) and not self._apart:
            return self._waiting[-1]
        item = make()
        self._queue(item)
        return item

    def _queue(self, item: OutputItemState) -> None:
        self.start()
        self._apart = False
        if self._waiting and not isinstance(self._waiting[0], CallState):
            self._close_head("completed")
        self._waiting.append(item)

    def _carry(self, calls: Iterable[CallState]) -> None:
        """Put what the provider wants back with these calls where the client keeps it, if it keeps anything."""
        if self._seals:
            extras: JsonObject = {call.call_id: dict(call.extra) for call in calls}
            self._write(self._last(ReasoningState, self._new_reasoning), Write("extras", values=(extras,)))

    def _write(self, item: OutputItemState, operation: Write) -> None:
        if item is self._waiting[0]:
            item.write(operation, self._emit, lambda: self._announce(item))
        else:
            item.held.append(operation)

    def _close_all(self, ending: Ending) -> None:
        """Close every item in turn. Of text and reasoning only the last was cut off when the response was."""
        while self._waiting:
            cut = len(self._waiting) == 1 or isinstance(self._waiting[0], CallState)
            self._close_head(ending if cut else "completed")

    def _close_head(self, ending: Ending) -> None:
        item = self._waiting[0]
        for operation in item.held:
            item.write(operation, self._emit, lambda: self._announce(item))
        status = item.close(ending, self._emit, lambda: self._announce(item))
        self._waiting.popleft()
        self._told.append(item)
        if isinstance(item, CallState) and status != "completed":
            self._truncated_call = True
        if status is None and item.position is not None:
            self._waiting.clear()  # a call was left open: nothing may follow it
        elif status is not None and item.position is not None:
            done = item.snapshot(status)
            self._output.append(done)
            self._emit("response.output_item.done", output_index=item.position, item=done)

    def _announce(self, item: OutputItemState) -> int:
        if item.position is None:
            item.position = self._announced
            self._announced += 1
            self._emit("response.output_item.added", output_index=item.position, item=item.blank())
        return item.position

    def _queue_compaction(self) -> None:
        if self._compaction is not None:
            self._queue(CompactionState(self._ids("cmp"), self._compaction))

    def _new_message(self) -> OutputItemState:
        phase, self._phase = self._phase, None
        return MessageState(self._ids("msg"), phase=phase)

    def _new_reasoning(self) -> OutputItemState:
        seal = self._kept_seal if self._seals else no_seal
        return ReasoningState(self._ids("rs"), as_summary=self._as_summary, seal=seal)

    def _emit(self, event_type: str, /, **fields: object) -> None:
        self._events.append(Event(event_type, self._sequence, fields))
        self._sequence += 1


def _new_call(tool: CalledTool, item_id: str, call_id: str) -> CallState:
    match tool.kind:
        case "shell":
            return ShellCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace)
        case "local_shell":
            return LocalShellCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace)
        case "apply_patch":
            return ApplyPatchCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace)
        case "custom":
            reader = BareInput() if tool.bare else InputUnwrapper(patch=tool.name == PATCH_TOOL)
            return CustomCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace, reader=reader)
        case "tool_search":
            return SearchCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace)
        case "function":
            return FunctionCallState(item_id, call_id=call_id, name=tool.name, namespace=tool.namespace)


def to_totals(usage: Usage | None) -> Totals | None:
    """Token counts of one of our answers, for another that tells them."""
    if usage is None:
        return None
    return Totals(
        prompt=usage["input_tokens"],
        completion=usage["output_tokens"],
        cached=usage["input_tokens_details"]["cached_tokens"],
        cache_write=usage["input_tokens_details"]["cache_write_tokens"],
        reasoning=usage["output_tokens_details"]["reasoning_tokens"],
    )


def to_usage(totals: Totals | None) -> Usage:
    """Token counts in the Responses form, consistent whatever the provider gave; zeros where it gave none.

    Some providers count cached tokens outside the prompt, or reasoning outside the completion (xAI). Their total may
    tell, and what is larger than the whole cannot be a part of it: then it is added.
    """
    totals = totals or Totals()
    prompt, completion = _halves(totals)
    beside = (totals.total or 0) - prompt - completion
    if totals.reasoning > completion or beside in (totals.reasoning, totals.reasoning + totals.cached):
        completion += totals.reasoning
        beside -= totals.reasoning
    if totals.cached > prompt or beside == totals.cached:
        prompt += totals.cached
    if totals.cache_write > prompt:
        prompt += totals.cache_write
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": totals.cached, "cache_write_tokens": totals.cache_write},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": totals.reasoning},
        "total_tokens": prompt + completion,
    }


def _halves(totals: Totals) -> tuple[int, int]:
    """Prompt and completion; one that was not told is what the other leaves of the total."""
    prompt, completion, total = totals.prompt, totals.completion, totals.total or 0
    if prompt is None:
        return max(0, total - (completion or 0)), completion or 0
    return prompt, max(0, total - prompt) if completion is None else completion


def no_seal(text: str, details: Sequence[JsonObject], calls: Mapping[str, JsonObject], /) -> str | None:
    """For answers without reasoning to keep."""
    return None
