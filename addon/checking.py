"""A call whose custom tool inputs are checked against the tools' grammars before the client hears of them.

The answer is held until it is whole. If an input does not fit, the model is told once what is wrong, and the client
gets the second answer, whatever is in it; else it gets the first one, as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from addon.exchange import Action, ResponsesExchange
from addon.preceding import UnheardAnswer
from addon.translate.errors import ApiError
from addon.translate.grammar import InputCheck, compile_format
from addon.translate.output import ResponseBuilder
from addon.tries import AnswerReader, ChatNames
from addon.wire.chat import AssistantMessage, ChatRequest, ToolCall, ToolMessage
from addon.wire.json import Json, dumps
from addon.wire.responses import (
    CustomTool,
    CustomToolCallItem,
    FunctionCallItem,
    NamespaceTool,
    OutputItem,
    Tool,
)

Checks: TypeAlias = Mapping[tuple[str | None, str], InputCheck]
"""By the namespace and name of a custom tool."""


def checks_of(tools: Iterable[Tool]) -> Checks:
    """The checks that can be made for these tools."""
    return dict(_checks(tools, None))


def _checks(tools: Iterable[Tool], namespace: str | None) -> Iterator[tuple[tuple[str | None, str], InputCheck]]:
    for tool in tools:
        match tool:
            case NamespaceTool():
                yield from _checks(tool.tools, tool.name)
            case CustomTool():
                check = compile_format(tool.format)
                if check is not None:
                    yield (namespace, tool.name), check
            case _:
                pass


class Draft(UnheardAnswer):
    """An answer that is kept, as it came, until it has been looked at."""

    def __init__(self, builder: ResponseBuilder, reader: AnswerReader) -> None:
        super().__init__(builder, reader)
        self._received: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._received.append(data)
        super().feed(data)

    @property
    def received(self) -> bytes:
        return b"".join(self._received)

    @property
    def output(self) -> Sequence[OutputItem]:
        return self._builder.response["output"]


class KeptExchange(ResponsesExchange):
    """An exchange that needs no provider any more: the answer has come already."""

    def keep(self, result: bytes | ApiError) -> None:
        """Say what came of the call: the body of a success, or the error in its place."""
        self._kept = result

    def begin(self) -> list[Action]:
        self._prepare(self._call)
        if isinstance(self._kept, ApiError):
            return self._lost(self._kept)
        return [*self.upstream_head(200, {}), *self.upstream_data(self._kept), *self.upstream_end()]


def problems(output: Sequence[OutputItem], checks: Checks) -> dict[str, str]:
    """What is wrong with the calls of an answer, by call id."""
    found = {}
    for item in output:
        if item["type"] == "custom_tool_call":
            check = checks.get((item.get("namespace"), item["name"]))
            problem = check.problem(item["input"]) if check is not None else None
            if problem is not None:
                found[item["call_id"]] = problem
    return found


def correction(output: Sequence[OutputItem], found: Mapping[str, str], names: ChatNames) -> list[Json]:
    """The messages that tell the model what was wrong with its answer: its calls, each with a result."""
    calls = [item for item in output if item["type"] in ("custom_tool_call", "function_call")]
    said = "".join(
        part["text"]
        for item in output
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == "output_text"
    )
    message: AssistantMessage = {"role": "assistant", "content": said or None}
    message["tool_calls"] = [_tool_call(item, names) for item in calls]
    results: list[ToolMessage] = [
        {"role": "tool", "tool_call_id": item["call_id"], "content": _verdict(found.get(item["call_id"]))}
        for item in calls
    ]
    return cast(list[Json], [message, *results])


def told_again(body: ChatRequest, more: Sequence[Json]) -> ChatRequest:
    """The request with further messages."""
    messages = body.get("messages")
    return {**body, "messages": [*(messages if isinstance(messages, list) else []), *more]}


def _tool_call(item: CustomToolCallItem | FunctionCallItem, names: ChatNames) -> ToolCall:
    namespace = item.get("namespace")
    if item["type"] == "custom_tool_call":
        name = names.chat_name("custom", item["name"], namespace)
        arguments = dumps({"input": item["input"]})
    else:
        name, arguments = names.chat_name("function", item["name"], namespace), item["arguments"]
    return {"id": item["call_id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _verdict(problem: str | None) -> str:
    if problem is None:
        return "Not run, because another call of the same answer was refused. Make this call again if it is needed."
    return f"Refused, nothing was run: {problem}. Make the call again with an input in the tool's format."
