"""The tools a client declares → the declarations a provider is sent, and what they lose.

Chat knows functions with a flat name. Namespaces, free-text tools, the client's tool search and the tools that OpenAI's
models know by heart become functions here; free-text tools stay what they are where the provider has them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from addon.providers.profile import Profile
from addon.translate import native_tools
from addon.translate.hosted import HostedTools
from addon.translate.native_tools import NativeTool
from addon.translate.notes import Notes
from addon.translate.schemas import fit_schema
from addon.translate.tool_names import TOOL_SEARCH, Identity, full_name
from addon.wire.json import JsonObject, clean
from addon.wire.responses import (
    AdditionalTools,
    ApplyPatchTool,
    CustomTool,
    FunctionTool,
    Item,
    LocalShellTool,
    NamespaceTool,
    OtherTool,
    ResponsesRequest,
    ShellTool,
    Tool,
    ToolSearchOutput,
    ToolSearchTool,
    Wire,
)

_FREE_TEXT = "Pass the input as plain text in `input`; it is handed over as it is."


@dataclass(frozen=True, slots=True)
class Spec:
    """One tool as a function, still without its chat name."""

    identity: Identity
    description: str
    parameters: JsonObject | None
    """As the client sent them."""
    strict: bool | None = None
    custom: CustomTool | None = None
    """The custom tool that this is."""


def specs_of(
    request: ResponsesRequest, items: Iterable[Item], hosted: HostedTools, notes: Notes
) -> Mapping[Identity, Spec]:
    """The tools of `request.tools`, then those of each item that brings some; the last of equal ones counts."""
    return {spec.identity: spec for spec in _specs(_tools(request, items), hosted, notes)}


def declarations_of(named: Mapping[str, Spec], profile: Profile, notes: Notes) -> Sequence[JsonObject]:
    """What the provider is sent for tools, by the name each has there."""
    strict = _strictness(list(named.values()), profile, notes)
    return [
        _custom_declaration(chat_name, spec.custom)
        if spec.custom is not None and profile.custom_tools == "custom"
        else _declaration(chat_name, spec, _parameters(spec, profile, notes), value)
        for (chat_name, spec), value in zip(named.items(), strict, strict=True)
    ]


def _tools(request: ResponsesRequest, items: Iterable[Item]) -> Iterator[tuple[str, Tool]]:
    """Each tool with its path."""
    yield from _with_paths("tools", request.tools or ())
    for item in items:
        if isinstance(item, (AdditionalTools, ToolSearchOutput)):
            yield from _with_paths("input[].tools", item.tools)


def _with_paths(path: str, tools: Iterable[Tool]) -> Iterator[tuple[str, Tool]]:
    return ((f"{path}[{index}]", tool) for index, tool in enumerate(tools))


def _specs(
    tools: Iterable[tuple[str, Tool]], hosted: HostedTools, notes: Notes, namespace: str | None = None
) -> Iterator[Spec]:
    for path, tool in tools:
        match tool:
            case FunctionTool():
                _note_unknown(tool, notes)
                yield _function(tool, namespace)
            case CustomTool():
                _note_unknown(tool, notes)
                yield _custom(tool, namespace)
            case NamespaceTool():
                inner = _with_paths(f"{path}.tools", tool.tools)
                yield from _about(tool, _specs(inner, hosted, notes, tool.name or None))
            case ToolSearchTool(execution="client"):
                yield _tool_search(tool)
            case ToolSearchTool():
                notes.add("tools: tool_search", "done at OpenAI; every tool is offered from the start instead")
            case ShellTool(is_local=True) | LocalShellTool() | ApplyPatchTool():
                _note_unknown(tool, notes)
                yield _native(tool)
            case ShellTool() | OtherTool():
                hosted.meet(tool, path)


def _note_unknown(tool: Wire, notes: Notes) -> None:
    """`defer_loading` is no loss: what is deferred is offered from the start."""
    for key, value in (tool.model_extra or {}).items():
        if value is not None and key != "defer_loading":
            notes.add(f"tools[].{key}", "not known to chat providers")


def _about(namespace: NamespaceTool, specs: Iterable[Spec]) -> Iterator[Spec]:
    """The namespace's description is told once, with its first tool: that keeps it, at the least cost in tokens."""
    about = (namespace.description or "").strip()
    for spec in specs:
        told = f"About all {namespace.name} tools: {about}" if about else ""
        yield replace(spec, description="\n\n".join(text for text in (spec.description, told) if text))
        about = ""


def _function(tool: FunctionTool, namespace: str | None) -> Spec:
    identity: Identity = ("function", namespace, tool.name)
    return Spec(identity, tool.description or "", tool.parameters, tool.strict)


def _custom(tool: CustomTool, namespace: str | None) -> Spec:
    """A free-text tool as a function with one string; its grammar can only be told, not enforced."""
    texts = [tool.description or "", _FREE_TEXT, _grammar(tool.format or {})]
    parameters: JsonObject = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    description = "\n\n".join(text for text in texts if text)
    return Spec(("custom", namespace, tool.name), description, parameters, custom=tool)


def _grammar(form: JsonObject) -> str:
    definition = form.get("definition")
    if not isinstance(definition, str) or not definition.strip():
        return ""
    syntax = form.get("syntax")
    name = {"lark": "Lark grammar", "regex": "regular expression"}.get(str(syntax), "grammar")
    return f"The input must match this {name}:\n{definition.strip()}"


def _tool_search(tool: ToolSearchTool) -> Spec:
    fallback: JsonObject = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    description = tool.description or "Searches for further tools; those it finds can be called afterwards."
    return Spec((TOOL_SEARCH, None, TOOL_SEARCH), description, tool.parameters or fallback)


def _native(tool: NativeTool) -> Spec:
    return Spec((tool.type, None, tool.type), native_tools.description(tool), native_tools.schema(tool.type))


def _strictness(specs: Sequence[Spec], profile: Profile, notes: Notes) -> list[bool | None]:
    asked = [spec.strict for spec in specs]
    if profile.strict_tools == "send" or not any(value is not None for value in asked):
        return asked
    uniform = all(spec.strict or spec.identity[0] == "custom" for spec in specs)
    if any(asked) and not (uniform and profile.strict_tools == "uniform"):
        notes.add("tools[].strict", "arguments are not held to the schema by this provider")
    return [uniform if profile.strict_tools == "uniform" else None for _ in specs]


def _parameters(spec: Spec, profile: Profile, notes: Notes) -> JsonObject:
    parameters, losses = fit_schema(spec.parameters, profile.schema_flavor)
    if losses:
        lost = ", ".join(losses)
        notes.add(f"tools: {full_name(spec.identity)}", f"schema simplified for this provider ({lost})")
    return parameters


def _declaration(chat_name: str, spec: Spec, parameters: JsonObject, strict: bool | None) -> JsonObject:
    function: JsonObject = {"name": chat_name}
    if spec.description:
        function["description"] = clean(spec.description)
    function["parameters"] = parameters
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def _custom_declaration(chat_name: str, tool: CustomTool) -> JsonObject:
    """One of chat's own custom tools. The Responses API has the grammar flat, chat nests it."""
    custom: JsonObject = {"name": chat_name}
    if tool.description:
        custom["description"] = clean(tool.description)
    match tool.format:
        case {"type": "grammar", "syntax": syntax, "definition": definition}:
            grammar: JsonObject = {"syntax": syntax, "definition": definition}
            custom["format"] = {"type": "grammar", "grammar": grammar}
        case _:
            pass
    return {"type": "custom", "custom": custom}
