"""A call whose answer is checked before the client hears of it: custom tool inputs against their tools' grammars, and
the text against the schema that was asked for.

The answer is held until it is whole. If something does not fit, the model is told once what is wrong, and the client
gets the second answer, whatever is in it; else it gets the first one, as it came. A document that fits and only has a
fence or words around it is told without these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from addon.actions import Action
from addon.exchange import ResponsesExchange
from addon.preceding import UnheardAnswer
from addon.translate.answer_schema import AnswerCheck
from addon.translate.errors import ApiError
from addon.translate.grammar import InputCheck, compile_format
from addon.translate.output import ResponseBuilder
from addon.tries import AnswerReader
from addon.wire.json import JsonObject
from addon.wire.responses import (
    CustomTool,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    NamespaceTool,
    OutputItem,
    ResponseObject,
    ResponsesRequest,
    Tool,
    read_item,
)

SENT_BACK = "an answer that did not fit its grammar or schema went back to the model once"

InputChecks: TypeAlias = Mapping[tuple[str | None, str], InputCheck]
"""By the namespace and name of a custom tool."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked in one answer."""

    inputs: InputChecks = field(default_factory=dict)
    answer: AnswerCheck | None = None

    def __bool__(self) -> bool:
        return bool(self.inputs) or self.answer is not None


def checks_of(tools: Iterable[Tool]) -> InputChecks:
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
    def response(self) -> ResponseObject:
        return self._builder.response

    @property
    def kept_output(self) -> Sequence[OutputItem]:
        """The items with what the model thought, whether the client asked for that or not."""
        return self._builder.stored()["output"]


class KeptExchange(ResponsesExchange):
    """An exchange that needs no provider any more: the answer has come already."""

    def keep(self, result: bytes | ApiError) -> None:
        """Say what came of the call: the body of a success, or the error in its place."""
        self._kept = result

    def begin(self) -> list[Action]:
        super().begin()  # what that would send was sent
        if isinstance(self._kept, ApiError):
            return self._lost(self._kept)
        return [*self.upstream_head(200, {}), *self.upstream_data(self._kept), *self.upstream_end()]


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong with an answer."""

    calls: Mapping[str, str] = field(default_factory=dict)
    """By call id."""
    text: str | None = None
    document: str | None = None
    """Of a text that is none itself, the document in it that fits: nothing that the model has to be told."""

    def __bool__(self) -> bool:
        return bool(self.calls) or self.text is not None

    @property
    def where(self) -> str:
        """What it was that did not fit, as the client called it."""
        return "tools" if self.calls else "text.format"


def problems(response: ResponseObject, checks: Checks) -> Problems:
    """What of an answer does not fit."""
    text = _text_alone(response) if checks.answer is not None else None
    if checks.answer is None or text is None:
        return Problems(_problems_of_calls(response["output"], checks.inputs))
    problem = checks.answer.problem(text)
    document = checks.answer.repaired(text) if problem is not None else None
    return Problems(document=document) if document is not None else Problems(text=problem)


def _text_alone(response: ResponseObject) -> str | None:
    """The text that is all of an answer. With calls, a refusal or an early end there is more to it than its form."""
    spoken = [item for item in response["output"] if item["type"] not in _UNSPOKEN]
    return _said(spoken) if response["status"] == "completed" and all(map(_is_text, spoken)) else None


_UNSPOKEN = ("reasoning", "web_search_call", "compaction")


def _is_text(item: OutputItem) -> bool:
    return item["type"] == "message" and all(part["type"] == "output_text" for part in item["content"])


def _said(output: Sequence[OutputItem]) -> str:
    return "".join(
        part["text"]
        for item in output
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == "output_text"
    )


def _problems_of_calls(output: Sequence[OutputItem], checks: InputChecks) -> dict[str, str]:
    found = {}
    for item in output:
        if item["type"] == "custom_tool_call":
            check = checks.get((item.get("namespace"), item["name"]))
            problem = check.problem(item["input"]) if check is not None else None
            if problem is not None:
                found[item["call_id"]] = problem
    return found


def corrected(request: ResponsesRequest, output: Sequence[OutputItem], found: Problems) -> ResponsesRequest:
    """The request with the answer that is not accepted behind it, thoughts included, and what is wrong with that."""
    answer = [read_item(cast(JsonObject, item)) for item in output if item["type"] in _ANSWER]
    if found.text is None:
        answer += _refused_calls(answer, found.calls)
    else:
        empty = [] if _said(output) else [Message(role="assistant", content=_EMPTY)]
        answer += [*empty, Message(role="user", content=f"{found.text}. {_ANSWER_AGAIN}")]
    return request.model_copy(update={"input": [*request.items(), *answer]})


_ANSWER = frozenset({"reasoning", "message", "function_call", "custom_tool_call"})
"""What of an answer the model is shown again. Other calls have not been made, and their results could not be told."""
_EMPTY = "(an empty answer)"
_ANSWER_AGAIN = (
    "It was not accepted. Answer again, with the whole JSON document, corrected, and nothing else: no Markdown fence, "
    "no words around it."
)


def _refused_calls(answer: Sequence[Item], found: Mapping[str, str]) -> list[Item]:
    """A result for each call of the answer."""
    results: list[Item] = []
    for item in answer:
        match item:
            case CustomToolCall(call_id=call_id):
                verdict = _verdict(found.get(call_id))
                results.append(CustomToolCallOutput(type="custom_tool_call_output", call_id=call_id, output=verdict))
            case FunctionCall(call_id=call_id):
                verdict = _verdict(found.get(call_id))
                results.append(FunctionCallOutput(type="function_call_output", call_id=call_id, output=verdict))
            case _:
                pass
    return results


def _verdict(problem: str | None) -> str:
    if problem is None:
        return "Not run, because another call of the same answer was refused. Make this call again if it is needed."
    return f"Refused, nothing was run: {problem}. Make the call again with an input in the tool's format."
