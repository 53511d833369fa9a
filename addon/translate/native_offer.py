"""The tools of one request as a native Responses endpoint takes them, and the choice among them.

What the endpoint knows is sent as the client wrote it. What it refuses (`native_drop_tools`) is a function there if the
client runs it, by the names and declarations that chat providers get, and is left out if the provider would have to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from addon.providers.profile import Profile
from addon.translate.hosted import HostedPolicy, HostedTools, family
from addon.translate.notes import Notes
from addon.translate.tool_names import TOOL_SEARCH, Kind
from addon.translate.tools import ToolRegistry
from addon.wire.json import Json, JsonObject
from addon.wire.responses import (
    AdditionalTools,
    ChosenTool,
    FunctionTool,
    Item,
    OtherTool,
    ResponsesRequest,
    ShellTool,
    Tool,
    ToolSearchOutput,
    ToolSearchTool,
)

_REFUSED = "this provider's Responses API does not take it"


@dataclass(frozen=True, slots=True)
class NativeOffer:
    """What the request says about tools."""

    tools: Sequence[JsonObject]
    names: ToolRegistry
    """The names of the tools that are functions at the provider."""
    refused: frozenset[str]
    """Types of tools that the endpoint does not take."""

    def wraps(self, kind: str) -> bool:
        """Whether tools of this type, and their calls, are functions there."""
        return kind in self.refused

    def choice(self, choice: str | ChosenTool | None, notes: Notes) -> Json:
        """The value of tool_choice; None: the key is left out."""
        if choice is None or not self.tools:
            if choice not in (None, "auto", "none"):
                notes.add("tool_choice", "there is no tool to choose from")
            return None
        if isinstance(choice, str):
            return choice
        if choice.type != "allowed_tools":
            return next(iter(self._references(choice, notes)), None)
        allowed: list[Json] = [reference for tool in choice.tools for reference in self._references(tool, notes)]
        return {"type": "allowed_tools", "mode": choice.mode or "auto", "tools": allowed} if allowed else "none"

    def _references(self, choice: ChosenTool, notes: Notes) -> Iterator[JsonObject]:
        """The same tool, or all of the same namespace, as the provider knows them."""
        kind = _CLIENT_RUN.get(choice.type)
        if choice.type == "namespace" and self.wraps("namespace"):
            yield from (_function(name) for name in self._names_in(choice.name))
        elif kind is not None and (self.wraps(choice.type) or (choice.namespace and self.wraps("namespace"))):
            yield _function(self.names.chat_name(kind, choice.name or choice.type, choice.namespace))
        elif self.wraps(choice.type) or self.wraps(family(choice.type)):
            notes.add("tool_choice", f"{choice.type} is not among the tools that can be offered; the model decides")
        else:
            yield choice.model_dump(exclude_unset=True, exclude_none=True)

    def _names_in(self, namespace: str | None) -> Iterator[str]:
        names = (_name_of(tool) for tool in self.tools)
        return (name for name in names if name and self.names.resolve(name).namespace == namespace)


_CLIENT_RUN: dict[str, Kind] = {
    "function": "function",
    "custom": "custom",
    TOOL_SEARCH: TOOL_SEARCH,
    "shell": "shell",
    "local_shell": "local_shell",
    "apply_patch": "apply_patch",
}


def native_offer(
    request: ResponsesRequest, items: Sequence[Item], profile: Profile, notes: Notes, hosted: HostedPolicy
) -> NativeOffer:
    """The tools of `request.tools`, then those of each item that brings some.

    Raises:
        ApiError: there is a tool that the provider runs, and the configuration wants that to be an error.
    """
    refused = frozenset(profile.native_drop_tools)
    functions: list[Tool] = []
    verbatim: list[Tool] = []
    for path, tool in _declared(request, items, refused):
        match tool:
            case FunctionTool():
                functions.append(tool)
            case OtherTool() | ShellTool(is_local=False):
                if _is_offered(tool, path, refused, hosted, profile, notes):
                    verbatim.append(tool)
            case ToolSearchTool() if tool.execution != "client" and TOOL_SEARCH in refused:
                notes.add("tools: tool_search", f"{_REFUSED}; every tool is offered from the start instead")
            case _ if profile.tools and tool.type not in refused:
                verbatim.append(tool)
            case _:
                functions.append(tool)
    asked = request.model_copy(update={"tools": [_plain(tool) for tool in functions]})
    as_functions = profile.model_copy(update={"custom_tools": "function", "strict_tools": "send"})
    names = ToolRegistry.of(asked, _without_tools(items), as_functions, notes)
    searches = any(isinstance(tool, ToolSearchTool) for tool in verbatim)
    tools = [*_flat(names, functions, searches=searches), *(_as_sent(tool) for tool in verbatim)]
    return NativeOffer(tools, names, refused)


def _declared(request: ResponsesRequest, items: Iterable[Item], refused: frozenset[str]) -> Iterator[tuple[str, Tool]]:
    """Each tool with its path. What a tool search of the provider's has found stays in its item."""
    yield from ((f"tools[{index}]", tool) for index, tool in enumerate(request.tools or ()))
    for item in items:
        if isinstance(item, AdditionalTools) or (isinstance(item, ToolSearchOutput) and TOOL_SEARCH in refused):
            yield from ((f"input[].tools[{index}]", tool) for index, tool in enumerate(item.tools))


def _is_offered(
    tool: OtherTool | ShellTool,
    path: str,
    refused: frozenset[str],
    hosted: HostedPolicy,
    profile: Profile,
    notes: Notes,
) -> bool:
    """Whether the provider is to run a tool of its own."""
    match hosted.action(tool.type):
        case "error":
            HostedTools(hosted, profile, notes).meet(tool, path)
            return False
        case "drop":
            notes.add(f"tools: {tool.type}", "left out, as the configuration says")
            return False
        case "native":
            if tool.type in refused or family(tool.type) in refused:
                notes.add(f"tools: {tool.type or 'without a type'}", _REFUSED)
                return False
            return True


def _plain(tool: Tool) -> Tool:
    """Of a function what a declaration holds; the rest is sent beside it, and no loss."""
    if not isinstance(tool, FunctionTool):
        return tool
    return FunctionTool(name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict)


def _without_tools(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if not isinstance(item, (AdditionalTools, ToolSearchOutput))]


def _flat(names: ToolRegistry, tools: Sequence[Tool], *, searches: bool) -> Iterator[JsonObject]:
    """The declarations of functions as the Responses API has them."""
    sent = {tool.name: tool for tool in tools if isinstance(tool, FunctionTool)}
    for declaration in names.declarations:
        function = declaration.get("function")
        if not isinstance(function, dict):
            continue
        known = names.resolve(_name_of(function))
        tool = sent.get(known.name) if (known.kind, known.namespace) == ("function", None) else None
        extra = (tool.model_extra or {}) if tool is not None else {}
        kept = {
            name: value for name, value in extra.items() if value is not None and (searches or name != "defer_loading")
        }
        yield {"type": "function", **function, **kept}


def _as_sent(tool: Tool) -> JsonObject:
    sent: JsonObject = tool.model_dump(exclude_unset=True, exclude_none=True)
    return {"type": tool.type, **sent}


def _function(name: str) -> JsonObject:
    return {"type": "function", "name": name}


def _name_of(tool: JsonObject) -> str:
    name = tool.get("name")
    return name if isinstance(name, str) else ""
