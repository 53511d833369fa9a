"""The items of a conversation → the `input` of a native Responses endpoint.

Our ids and what else only this bridge or the client knows go; reasoning comes back out of its carrier as the provider
made it; each call gets one result. Message texts take the plainest form, since few endpoints know all of OpenAI's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from addon.providers.profile import Profile
from addon.translate.arguments import object_text
from addon.translate.call_ids import CallIds
from addon.translate.content import ContentReader, from_agent, has_media, join_text
from addon.translate.history import ABORTED
from addon.translate.hosted import family, is_hosted_item
from addon.translate.memory import Call, call_key
from addon.translate.native_offer import NativeOffer
from addon.translate.native_stream import REASONING_ITEM
from addon.translate.native_tools import arguments_of, found_text, kind_of, patch_text, shell_text
from addon.translate.notes import Notes
from addon.translate.reasoning import Memory, Sealed, note_foreign, unsealed
from addon.translate.tool_names import TOOL_SEARCH, Kind
from addon.wire.chat import ContentPart, FileData, ImageUrl
from addon.wire.json import Json, JsonObject, clean, dumps
from addon.wire.responses import (
    AdditionalTools,
    AgentMessage,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    Compaction,
    CompactionTrigger,
    Content,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    LocalShellCall,
    LocalShellCallOutput,
    Message,
    Reasoning,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    UnknownItem,
)

_ROLES = frozenset({"user", "assistant", "system", "developer"})
_RESULT_OF = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
    "tool_search_call": "tool_search_output",
}
"""Calls that the client runs, and the items that answer them."""
_RESULTS = frozenset(_RESULT_OF.values())
_MODELS = frozenset({"message", "reasoning"})


def to_input(
    items: Sequence[Item], offer: NativeOffer, profile: Profile, *, origin: str, memory: Memory, notes: Notes
) -> list[JsonObject]:
    """The whole history for one model.

    Args:
        items: with references and summaries resolved.
        offer: the tools of the request.
        origin: of whom reasoning is handed back.
        memory: finds the reasoning of earlier turns.

    Raises:
        ApiError: for content that cannot be had from here.
    """
    reader = _ItemReader(offer, profile, origin, memory, notes)
    return list(_paired(list(reader.read(items)), notes))


class _ItemReader:
    """Reads items for one endpoint. What makes no item there is dropped, with a note."""

    def __init__(self, offer: NativeOffer, profile: Profile, origin: str, memory: Memory, notes: Notes) -> None:
        self._offer = offer
        self._profile = profile
        self._origin = origin
        self._memory = memory
        self._notes = notes
        files = "data_uri" if profile.file_part == "data_uri" else "openai"
        self._content = ContentReader(profile.model_copy(update={"file_part": files}), notes)
        self._ids = _Ids(CallIds(profile.tool_id))
        self._calls: dict[str, str] = {}
        self._has_thought = False
        """The model's turn has its reasoning already."""

    def read(self, items: Iterable[Item]) -> Iterator[JsonObject]:
        for index, item in enumerate(items):
            if isinstance(item, Call):
                yield from self._remembered(item)
            for made in self._item(item, f"input[{index}]"):
                self._has_thought = made["type"] == "reasoning" or (self._has_thought and _is_models(made))
                yield made

    def _item(self, item: Item, path: str) -> Iterator[JsonObject]:
        match item:
            case Message():
                yield from self._message(item, f"{path}.content")
            case AgentMessage():
                yield from self._agent_message(item, f"{path}.content")
            case Reasoning():
                yield from self._reasoning(item)
            case (
                FunctionCall() | CustomToolCall() | ToolSearchCall() | ShellCall() | LocalShellCall() | ApplyPatchCall()
            ):
                if not self._repeats(item):
                    yield self._call(item)
            case FunctionCallOutput() | CustomToolCallOutput() | ToolSearchOutput() | ShellCallOutput():
                yield self._result(item, path)
            case ApplyPatchCallOutput() | LocalShellCallOutput():
                yield self._result(item, path)
            case UnknownItem() if is_hosted_item(item.type) and not self._is_refused(item.type):
                yield item.model_dump(exclude_unset=True, exclude_none=True)
            case UnknownItem():
                why = "items of this type are not known here, or not to this provider"
                self._notes.add(f"input: {item.type or 'no type'}", why)
            case ItemReference():
                self._notes.add("input: item_reference", f"'{item.id}' is not known here and was left out")
            case Compaction():
                self._notes.add("input: compaction", "it was made elsewhere, cannot be read and was left out")
            case AdditionalTools() | CompactionTrigger():
                pass  # seen to already

    def _is_refused(self, item_type: str) -> bool:
        return self._offer.wraps(family(item_type)) or self._offer.wraps(item_type.removesuffix("_call"))

    # --- messages

    def _message(self, message: Message, path: str) -> Iterator[JsonObject]:
        role = message.role
        if role not in _ROLES:
            self._notes.add(f"input: role {role}", "messages of this role are sent as the user's")
            role = "user"
        reader = self._content.parts if role == "user" else self._content.text
        content = _content(
            reader(message.content, path), as_text=role == "assistant" or isinstance(message.content, str)
        )
        if not content:
            self._notes.add("input: message", "a message without content was left out")
            return
        made: JsonObject = {"type": "message", "role": role, "content": content}
        if message.phase is not None:
            made["phase"] = message.phase
        yield made

    def _agent_message(self, message: AgentMessage, path: str) -> Iterator[JsonObject]:
        parts = self._content.parts(message.content, path)
        if parts:
            yield {"type": "message", "role": "user", "content": _content(from_agent(message, parts), as_text=True)}
        else:
            self._notes.add("input: agent_message", "a message without content was left out")

    # --- reasoning

    def _reasoning(self, item: Reasoning) -> Iterator[JsonObject]:
        """The provider's own items, if this is what carries them; the client's copy of our telling is no use to it."""
        if not item.encrypted_content:
            return
        sealed = unsealed(item.encrypted_content, self._memory, self._notes)
        if sealed is not None:
            yield from self._restored(sealed)

    def _remembered(self, call: Call) -> Iterator[JsonObject]:
        """The reasoning before a call, if the client has not kept it."""
        if self._has_thought:
            return
        sealed = self._memory.recall(call_key(call))
        if sealed is not None:
            yield from self._marked(self._restored(sealed))

    def _marked(self, items: Iterable[JsonObject]) -> Iterator[JsonObject]:
        for item in items:
            self._has_thought = True
            yield item

    def _restored(self, sealed: Sealed) -> Iterator[JsonObject]:
        if sealed.origin != self._origin:
            note_foreign(sealed.origin, self._notes)
            return
        for detail in sealed.details:
            item = detail.get("item")
            if detail.get("type") == REASONING_ITEM and isinstance(item, dict):
                yield item

    # --- calls and results

    def _repeats(self, call: Call) -> bool:
        """Whether the client has sent this very call twice, before its result."""
        said = dumps(call.model_dump(exclude={"id", "status"}))
        repeated = bool(call.call_id) and self._calls.get(call.call_id) == said
        self._calls[call.call_id] = said
        if repeated:
            self._notes.add("input: repeated call", f"call {call.call_id} was sent more than once")
        return repeated

    def _call(self, call: Call) -> JsonObject:
        call_id = self._ids.of_call(clean(call.call_id))
        match call:
            case FunctionCall():
                named = self._named("function", call.name, call.namespace)
                return {"type": "function_call", "call_id": call_id, **named, "arguments": self._arguments(call)}
            case CustomToolCall() if not self._offer.wraps("custom") and not self._flattens(call.namespace):
                named = self._named("custom", call.name, call.namespace)
                return {"type": "custom_tool_call", "call_id": call_id, **named, "input": clean(call.input)}
            case CustomToolCall():
                return self._function("custom", call.name, call_id, dumps({"input": clean(call.input)}), call.namespace)
            case ToolSearchCall() if self._offer.wraps(TOOL_SEARCH):
                return self._function(TOOL_SEARCH, TOOL_SEARCH, call_id, self._arguments(call))
            case ShellCall() | LocalShellCall() | ApplyPatchCall() if self._offer.wraps(kind_of(call)):
                return self._function(kind_of(call), kind_of(call), call_id, arguments_of(call))
            case _:
                return _as_sent(call, call_id)

    def _function(
        self, kind: Kind, name: str, call_id: str, arguments: str, namespace: str | None = None
    ) -> JsonObject:
        chat_name = self._offer.names.chat_name(kind, name, namespace)
        return {"type": "function_call", "call_id": call_id, "name": chat_name, "arguments": arguments}

    def _flattens(self, namespace: str | None) -> bool:
        return bool(namespace) and self._offer.wraps("namespace")

    def _named(self, kind: Kind, name: str, namespace: str | None) -> JsonObject:
        if self._flattens(namespace):
            return {"name": self._offer.names.chat_name(kind, name, namespace)}
        return {"name": clean(name), "namespace": namespace} if namespace else {"name": clean(name)}

    def _arguments(self, call: FunctionCall | ToolSearchCall) -> str:
        arguments, repaired = object_text(call.arguments, empty=self._profile.empty_arguments)
        if repaired:
            what = call.name if isinstance(call, FunctionCall) else TOOL_SEARCH
            self._notes.add("input: arguments", f"those of a call of {what} were no JSON object and were made one")
        return arguments

    def _result(
        self,
        item: FunctionCallOutput
        | CustomToolCallOutput
        | ToolSearchOutput
        | ShellCallOutput
        | ApplyPatchCallOutput
        | LocalShellCallOutput,
        path: str,
    ) -> JsonObject:
        call_id = self._ids.of_result(clean(item.call_id or (item.id or "")))
        self._calls.pop(item.call_id, None)
        match item:
            case FunctionCallOutput() | CustomToolCallOutput():
                return {"type": item.type, "call_id": call_id, "output": self._output(item.output, path)}
            case ToolSearchOutput() if self._offer.wraps(TOOL_SEARCH):
                return _function_output(call_id, _found(item))
            case ShellCallOutput() if self._offer.wraps("shell"):
                return _function_output(call_id, shell_text(item.output))
            case ApplyPatchCallOutput() if self._offer.wraps("apply_patch"):
                return _function_output(call_id, patch_text(item))
            case LocalShellCallOutput() if self._offer.wraps("local_shell"):
                return _function_output(call_id, self._output(item.output, path))
            case _:
                return _as_sent(item, call_id)

    def _output(self, output: Content, path: str) -> Json:
        return _content(self._content.result(output, f"{path}.output"), as_text=True)


class _Ids:
    """The ids of calls at the provider, and which of them a result means."""

    def __init__(self, ids: CallIds) -> None:
        self._ids = ids
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)
        self._last: dict[str, str] = {}

    def of_call(self, wanted: str) -> str:
        given = self._ids.assign(wanted)
        self._open[wanted].append(given)
        self._last[wanted] = given
        return given

    def of_result(self, wanted: str) -> str:
        """Calls with the same id are answered in their order; the last one takes what comes after that."""
        waiting = self._open[wanted]
        return waiting.popleft() if waiting else self._last.get(wanted, wanted)


def _is_models(item: JsonObject) -> bool:
    """Whether the model's turn goes on with it."""
    return item.get("type") in _RESULT_OF or (item.get("type") in _MODELS and item.get("role") in (None, "assistant"))


def _as_sent(item: Item, call_id: str) -> JsonObject:
    """A call, or its result, of a tool that the endpoint knows. The older shell has no id but the item's own."""
    sent: JsonObject = item.model_dump(exclude_unset=True, exclude_none=True)
    if isinstance(item, (LocalShellCall, LocalShellCallOutput)):
        return sent
    sent = {name: value for name, value in sent.items() if name != "id"}
    return {**sent, "call_id": call_id} if sent.get("call_id") else sent


def _function_output(call_id: str, output: Json) -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _found(item: ToolSearchOutput) -> str:
    lines = [f"- {name}" for tool in item.tools if isinstance(name := tool.model_dump().get("name"), str)]
    return found_text(lines)


def _content(parts: Sequence[ContentPart], *, as_text: bool) -> Json:
    """Content as text if it may be and is nothing else, or as the parts that the Responses API has."""
    if as_text and not has_media(parts):
        return join_text(parts)
    return [_part(part) for part in parts]


def _part(part: ContentPart) -> JsonObject:
    match part["type"]:
        case "text":
            return {"type": "input_text", "text": part["text"]}
        case "image_url":
            return {"type": "input_image", "detail": "auto", **_image(part["image_url"])}
        case "file":
            return {"type": "input_file", **_file(part["file"])}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}


def _image(image: ImageUrl) -> JsonObject:
    url: JsonObject = {"image_url": image["url"]}
    return {**url, "detail": image["detail"]} if "detail" in image else url


def _file(file: FileData) -> JsonObject:
    data: JsonObject = {"file_data": file["file_data"]}
    return {**data, "filename": file["filename"]} if "filename" in file else data


# --- calls and their results ------------------------------------------------------------------------------------------


def _paired(items: Sequence[JsonObject], notes: Notes) -> Iterator[JsonObject]:
    """Each call with one result of its own kind, and no result without its call: else endpoints refuse the request."""
    calls = {item["call_id"]: item for item in items if item["type"] in _RESULT_OF and item.get("call_id")}
    results: defaultdict[Json, list[JsonObject]] = defaultdict(list)
    for item in items:
        if item["type"] in _RESULTS:
            results[item.get("call_id")].append(item)
    lacking: list[JsonObject] = []
    for item in items:
        if item["type"] in _RESULT_OF:
            yield item
            lacking += [item] if item.get("call_id") and item["call_id"] not in results else []
            continue
        yield from _aborted(lacking, notes)
        lacking.clear()
        if item["type"] not in _RESULTS or not item.get("call_id"):
            yield item
        elif item["call_id"] not in calls:
            notes.add("input: result without a call", f"that of {item['call_id']} was left out")
        elif item is results[item["call_id"]][0]:
            yield _fitting(_merged(results[item["call_id"]]), calls[item["call_id"]])
    yield from _aborted(lacking, notes)


def _merged(results: Sequence[JsonObject]) -> JsonObject:
    """What a tool has said later, in one result with what it said first."""
    first, *others = results
    for other in others:
        first = {**first, "output": _joined(first.get("output"), other.get("output"))}
    return first


def _joined(output: Json, more: Json) -> Json:
    if isinstance(output, str) and isinstance(more, str):
        return f"{output}\n{more}"
    return [*_as_parts(output), *_as_parts(more)]


def _as_parts(output: Json) -> list[Json]:
    if isinstance(output, list):
        return output
    return [{"type": "input_text", "text": output}] if output else []


def _fitting(result: JsonObject, call: JsonObject) -> JsonObject:
    """The result in the form of its call: clients may mix up those of functions and custom tools."""
    plain = ("function_call_output", "custom_tool_call_output")
    kind = _RESULT_OF[str(call["type"])]
    return {**result, "type": kind} if kind in plain and result["type"] in plain else result


def _aborted(calls: Iterable[JsonObject], notes: Notes) -> Iterator[JsonObject]:
    for call in calls:
        notes.add("input: call without a result", f"call {call['call_id']} was answered '{ABORTED}'")
        result: JsonObject = {"type": _RESULT_OF[str(call["type"])], "call_id": call["call_id"]}
        yield {**result, **_NO_RESULT.get(str(call["type"]), {"output": ABORTED})}


_NO_RESULT: dict[str, JsonObject] = {
    "shell_call": {"output": [{"stdout": "", "stderr": ABORTED, "outcome": {"type": "timeout"}}]},
    "apply_patch_call": {"status": "failed", "output": ABORTED},
    "tool_search_call": {"execution": "client", "tools": []},
}
