"""The tools of one request: what the provider is offered, and which tool a name in its answer means.

Chat knows functions with a flat name. Namespaces, free-text tools and the client's tool search become functions here;
the registry keeps the names there and back. Names are given in the order of declaration, so that tools that come later
(a tool search finds some) change nothing that was said before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output import CalledTool
from addon.wire.json import Json, JsonObject, clean
from addon.wire.responses import (
    AdditionalTools,
    ChosenTool,
    CustomTool,
    CustomToolCall,
    FunctionCall,
    FunctionTool,
    Item,
    NamespaceTool,
    OtherTool,
    ResponsesRequest,
    Tool,
    ToolSearchCall,
    ToolSearchOutput,
    ToolSearchTool,
    Wire,
)

Kind: TypeAlias = Literal["function", "custom", "tool_search"]
Identity: TypeAlias = tuple[Kind, str | None, str]
"""What makes a tool the client's: kind, namespace, name."""

TOOL_SEARCH: Final = "tool_search"
"""The name of the one tool that has none of its own."""

_CLIENT_RUN = frozenset({"shell", "local_shell", "apply_patch", "computer", "computer_use_preview"})
_HOSTED = re.compile("web_search|file_search|code_interpreter|image_generation|mcp|programmatic_tool_calling")

_FREE_TEXT = "Pass the input as plain text in `input`; it is handed over as it is."
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class KnownTool:
    """A tool as the client knows it, and the name it has at the provider."""

    kind: Kind
    name: str
    namespace: str | None
    chat_name: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What a chat request says about tools, apart from parallel_tool_calls."""

    declarations: Sequence[JsonObject] = ()
    choice: Json = None
    """The value of tool_choice; None: the key is left out."""
    forced: bool = False
    """The model must call a tool."""

    def parameters(self) -> JsonObject:
        if not self.declarations:
            return {}
        tools: JsonObject = {"tools": list(self.declarations)}
        return tools if self.choice is None else {**tools, "tool_choice": self.choice}


class ToolRegistry:
    """The tools of one request. `declarations` holds all of them as chat functions, in declared order."""

    def __init__(self, profile: Profile) -> None:
        self.declarations: Sequence[JsonObject] = ()
        self._profile = profile
        self._declared: list[KnownTool] = []
        self._by_identity: dict[Identity, KnownTool] = {}
        self._by_chat_name: dict[str, KnownTool] = {}
        self._loosely: dict[str, KnownTool | None] = {}

    @classmethod
    def of(cls, request: ResponsesRequest, items: Sequence[Item], profile: Profile, notes: Notes) -> ToolRegistry:
        """The tools of `request.tools`, then those of each item that brings some; the last of equal ones counts.

        Tools that are only called in the history have a name too, but are not offered.
        """
        specs = {spec.identity: spec for spec in _specs(_tools(request, items), notes)}
        registry = cls(profile)
        registry._declared = [registry._add(identity) for identity in specs]
        for identity in _called(items):
            registry._remember(identity)
        if profile.tools:
            strict = _strictness(list(specs.values()), profile, notes)
            pairs = zip(registry._declared, specs.values(), strict, strict=True)
            registry.declarations = [_declaration(tool.chat_name, spec, value) for tool, spec, value in pairs]
        elif specs:
            registry._declared = []
            notes.add("tools", "this model cannot call tools")
        return registry

    def chat_name(self, kind: Kind, name: str, namespace: str | None) -> str:
        """The name of a tool at the provider, whether it is still declared or not."""
        identity = (kind, namespace or None, name)
        known = self._by_identity.get(identity)
        return known.chat_name if known else _plain_name(identity, self._profile.tool_name_max)

    def resolve(self, chat_name: str) -> KnownTool:
        """The tool a model means by a name. What nobody declared is taken for a function of that name."""
        known = self._by_chat_name.get(chat_name) or self._loosely.get(chat_name)
        return known or KnownTool("function", chat_name, None, chat_name)

    def called(self, chat_name: str) -> CalledTool:
        """What `resolve` finds, for the item that tells the call."""
        known = self.resolve(chat_name)
        return CalledTool(known.kind, known.name, known.namespace)

    def offer(self, choice: str | ChosenTool | None, notes: Notes, *, force: bool = True) -> Offer:
        """The declarations and the tool_choice that give the client's choice at this provider.

        Args:
            choice: tool_choice as the client sent it.
            notes: told what the choice loses.
            force: False weakens a choice that forces a call to "auto".

        Raises:
            ApiError: the provider cannot do it, and its profile wants that to be an error.
        """
        wish = self._wish(choice, notes)
        if not self.declarations:
            if wish.forced or wish.missing:
                notes.add("tool_choice", "there is no tool to choose from")
            return Offer()
        if wish.forced and not force:
            notes.add("tool_choice", "this provider cannot force a call while the model thinks; the model decides")
            wish = replace(wish, mode="auto", named=False)
        return self._realise(wish, notes)

    # --- names -----------------------------------------------------------------------------------------------------

    def _add(self, identity: Identity) -> KnownTool:
        kind, namespace, name = identity
        tool = KnownTool(kind, name, namespace, self._free_name(identity))
        self._by_identity[identity] = tool
        self._by_chat_name[tool.chat_name] = tool
        for form in {name, f"{namespace}.{name}"} if namespace else ():
            self._loosely[form] = None if form in self._loosely else tool
        return tool

    def _remember(self, identity: Identity) -> None:
        """A call in the history: of a declared tool, perhaps without its namespace, or of one that is gone."""
        if identity in self._by_identity:
            return
        kind, namespace, name = identity
        same = [] if namespace else [tool for tool in self._declared if (tool.kind, tool.name) == (kind, name)]
        if len(same) == 1:
            self._by_identity[identity] = same[0]
        else:
            self._add(identity)

    def _free_name(self, identity: Identity) -> str:
        limit = self._profile.tool_name_max
        name, attempt = _plain_name(identity, limit), 0
        while name in self._by_chat_name:
            name, attempt = _hashed_name(identity, limit, attempt), attempt + 1
        return name

    # --- the choice ------------------------------------------------------------------------------------------------

    def _wish(self, choice: str | ChosenTool | None, notes: Notes) -> _Wish:
        match choice:
            case None | "auto":
                return _Wish("auto")
            case "none":
                return _Wish("none")
            case "required" | "any":
                return _Wish("required")
            case ChosenTool(type="allowed_tools"):
                return self._allowed(choice, notes)
            case ChosenTool():
                return self._named(choice, notes)
        notes.add("tool_choice", f"{choice!r} is not a choice; the model decides")
        return _Wish("auto")

    def _allowed(self, choice: ChosenTool, notes: Notes) -> _Wish:
        allowed: dict[str, None] = {}
        for entry in choice.tools:
            found = self._find(entry)
            if not found:
                notes.add("tool_choice", f"{_label(entry)} is allowed, but not among the tools that can be offered")
            allowed.update(dict.fromkeys(tool.chat_name for tool in found))
        if not allowed:
            return _Wish("none", missing=True)
        return _Wish("required" if choice.mode in ("required", "any") else "auto", tuple(allowed))

    def _named(self, choice: ChosenTool, notes: Notes) -> _Wish:
        found = self._find(choice)
        if len(found) == 1:
            return _Wish("required", (found[0].chat_name,), named=True)
        notes.add("tool_choice", f"{_label(choice)} is not among the tools that can be offered; the model decides")
        return _Wish("auto", missing=True)

    def _find(self, wanted: ChosenTool) -> list[KnownTool]:
        """The declared tools an entry means: one, or all of a namespace."""
        if wanted.type == "namespace":
            return [tool for tool in self._declared if tool.namespace == wanted.name]
        name = TOOL_SEARCH if wanted.type == TOOL_SEARCH else wanted.name
        same = [tool for tool in self._declared if (tool.kind, tool.name) == (wanted.type, name)]
        exact = [tool for tool in same if tool.namespace == wanted.namespace]
        return exact or (same if wanted.namespace is None and len(same) == 1 else [])

    def _realise(self, wish: _Wish, notes: Notes) -> Offer:
        accepted = self._profile.tool_choice_values
        if wish.mode == "none":
            sendable = self._profile.tool_choice_none == "send" and "none" in accepted
            return Offer(self.declarations, "none") if sendable else Offer()
        if wish.named and "named" in accepted:
            return Offer(self.declarations, {"type": "function", "function": {"name": wish.only[0]}}, forced=True)
        if wish.only and not wish.named and "allowed" in accepted:
            return Offer(self.declarations, _allowed_tools(wish), forced=wish.forced)
        if wish.named:
            return self._instead_of_naming(wish, notes)
        return self._by_mode(self._only(wish), wish, notes)

    def _by_mode(self, declarations: Sequence[JsonObject], wish: _Wish, notes: Notes) -> Offer:
        if not wish.forced:
            return Offer(declarations, self._auto())
        value = self._requiring()
        if value is not None:
            return Offer(declarations, value, forced=True)
        if self._profile.tool_choice_fallback == "error":
            raise _cannot_force()
        notes.add("tool_choice", "this provider cannot force a call; the model decides")
        return Offer(declarations, self._auto())

    def _instead_of_naming(self, wish: _Wish, notes: Notes) -> Offer:
        """A named tool where the provider takes no name: offer it alone and require a call, or weaken the choice."""
        if self._profile.tool_choice_fallback == "error":
            raise _cannot_force()
        if self._profile.tool_choice_fallback != "auto" and self._requiring() is not None:
            return Offer(self._only(wish), self._requiring(), forced=True)
        notes.add("tool_choice", "this provider cannot force a certain tool; the model decides")
        return Offer(self.declarations, self._auto())

    def _requiring(self) -> str | None:
        """The provider's word for "call some tool"."""
        words: tuple[Literal["required", "any"], ...] = ("required", "any")
        if self._profile.tool_choice_fallback == "filter_any":
            words = ("any", "required")
        return next((word for word in words if word in self._profile.tool_choice_values), None)

    def _auto(self) -> str | None:
        omit = self._profile.tool_choice_omit_auto or "auto" not in self._profile.tool_choice_values
        return None if omit else "auto"

    def _only(self, wish: _Wish) -> Sequence[JsonObject]:
        if not wish.only:
            return self.declarations
        pairs = zip(self._declared, self.declarations, strict=True)
        return [declaration for tool, declaration in pairs if tool.chat_name in wish.only]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a tool_choice comes to, before the provider is asked whether it can do that."""

    mode: Literal["none", "auto", "required"]
    only: tuple[str, ...] = ()
    """Chat names of the tools that may be called; empty: all."""
    named: bool = False
    """The choice names one tool."""
    missing: bool = False
    """It named tools that are not there."""

    @property
    def forced(self) -> bool:
        return self.mode == "required"


@dataclass(frozen=True, slots=True)
class _Spec:
    """One tool as a function, still without its chat name."""

    identity: Identity
    description: str
    parameters: JsonObject
    strict: bool | None = None


def _allowed_tools(wish: _Wish) -> JsonObject:
    tools: list[Json] = [{"type": "function", "function": {"name": name}} for name in wish.only]
    return {"type": "allowed_tools", "allowed_tools": {"mode": wish.mode, "tools": tools}}


def _cannot_force() -> ApiError:
    return ApiError.bad_request(
        "This provider cannot force a tool call, and its profile forbids to weaken the choice. "
        'Send tool_choice "auto", or set tool_choice_fallback in the profile.',
        param="tool_choice",
        code="unsupported_value",
    )


def _label(choice: ChosenTool) -> str:
    path = ".".join(part for part in (choice.namespace, choice.name) if part)
    return f"{choice.type} {path}".strip()


# --- what is declared ------------------------------------------------------------------------------------------------


def _tools(request: ResponsesRequest, items: Iterable[Item]) -> Iterator[Tool]:
    yield from request.tools or ()
    for item in items:
        if isinstance(item, (AdditionalTools, ToolSearchOutput)):
            yield from item.tools


def _called(items: Iterable[Item]) -> Iterator[Identity]:
    for item in items:
        match item:
            case FunctionCall() if item.name:
                yield ("function", item.namespace or None, item.name)
            case CustomToolCall() if item.name:
                yield ("custom", item.namespace or None, item.name)
            case ToolSearchCall():
                yield (TOOL_SEARCH, None, TOOL_SEARCH)


def _specs(tools: Iterable[Tool], notes: Notes, namespace: str | None = None) -> Iterator[_Spec]:
    for tool in tools:
        match tool:
            case FunctionTool():
                _note_unknown(tool, notes)
                yield _function(tool, namespace)
            case CustomTool():
                _note_unknown(tool, notes)
                yield _custom(tool, namespace)
            case NamespaceTool():
                yield from _about(tool, _specs(tool.tools, notes, tool.name or None))
            case ToolSearchTool(execution="client"):
                yield _tool_search(tool)
            case ToolSearchTool():
                notes.add("tools: tool_search", "done at OpenAI; every tool is offered from the start instead")
            case OtherTool():
                notes.add(f"tools: {tool.type or 'without a type'}", _why_not(tool.type))


def _why_not(tool_type: str) -> str:
    if _HOSTED.match(tool_type):
        return "hosted at OpenAI; not available at this provider"
    if tool_type in _CLIENT_RUN:
        return "built into OpenAI's models; not offered to this provider's"
    return "not a type of tool that is known here; not offered"


def _note_unknown(tool: Wire, notes: Notes) -> None:
    """`defer_loading` is no loss: what is deferred is offered from the start."""
    for key, value in (tool.model_extra or {}).items():
        if value is not None and key != "defer_loading":
            notes.add(f"tools[].{key}", "not known to chat providers")


def _about(namespace: NamespaceTool, specs: Iterable[_Spec]) -> Iterator[_Spec]:
    """The namespace's description is told once, with its first tool: that keeps it, at the least cost in tokens."""
    about = (namespace.description or "").strip()
    for spec in specs:
        told = f"About all {namespace.name} tools: {about}" if about else ""
        yield replace(spec, description="\n\n".join(text for text in (spec.description, told) if text))
        about = ""


def _function(tool: FunctionTool, namespace: str | None) -> _Spec:
    identity: Identity = ("function", namespace, tool.name)
    return _Spec(identity, tool.description or "", object_schema(tool.parameters), tool.strict)


def _custom(tool: CustomTool, namespace: str | None) -> _Spec:
    """A free-text tool as a function with one string; its grammar can only be told, not enforced."""
    texts = [tool.description or "", _FREE_TEXT, _grammar(tool.format or {})]
    parameters: JsonObject = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return _Spec(("custom", namespace, tool.name), "\n\n".join(text for text in texts if text), parameters)


def _grammar(form: JsonObject) -> str:
    definition = form.get("definition")
    if not isinstance(definition, str) or not definition.strip():
        return ""
    syntax = form.get("syntax")
    name = {"lark": "Lark grammar", "regex": "regular expression"}.get(str(syntax), "grammar")
    return f"The input must match this {name}:\n{definition.strip()}"


def _tool_search(tool: ToolSearchTool) -> _Spec:
    fallback: JsonObject = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    description = tool.description or "Searches for further tools; those it finds can be called afterwards."
    parameters = object_schema(tool.parameters) if tool.parameters else fallback
    return _Spec((TOOL_SEARCH, None, TOOL_SEARCH), description, parameters)


def _strictness(specs: Sequence[_Spec], profile: Profile, notes: Notes) -> list[bool | None]:
    asked = [spec.strict for spec in specs]
    if profile.strict_tools == "send" or not any(value is not None for value in asked):
        return asked
    uniform = all(spec.strict or spec.identity[0] == "custom" for spec in specs)
    if any(asked) and not (uniform and profile.strict_tools == "uniform"):
        notes.add("tools[].strict", "arguments are not held to the schema by this provider")
    return [uniform if profile.strict_tools == "uniform" else None for _ in specs]


def _declaration(chat_name: str, spec: _Spec, strict: bool | None) -> JsonObject:
    function: JsonObject = {"name": chat_name}
    if spec.description:
        function["description"] = clean(spec.description)
    function["parameters"] = spec.parameters
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


# --- schemas ---------------------------------------------------------------------------------------------------------

_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_SCHEMAS = frozenset(
    {
        "items", "prefixItems", "additionalItems", "contains", "additionalProperties", "propertyNames",
        "unevaluatedItems", "unevaluatedProperties", "anyOf", "oneOf", "allOf", "not", "if", "then", "else",
    }
)  # fmt: skip


def object_schema(parameters: JsonObject | None) -> JsonObject:
    """A function's parameters as every provider takes them: an object with properties, and nothing but JSON Schema."""
    schema = _plain_schema(parameters or {})
    root = schema if isinstance(schema, dict) else {}
    if root.get("type") is None:
        root = {"type": "object", **{key: value for key, value in root.items() if key != "type"}}
    return root if "properties" in root else {**root, "properties": {}}


def _plain_schema(schema: Json) -> Json:
    """`schema` without the mark `encrypted` that Codex puts on properties. A property of that name stays."""
    if isinstance(schema, list):
        return [_plain_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain_schemas(key, value)
        for key, value in schema.items()
        if not (key == "encrypted" and isinstance(value, bool))
    }


def _plain_schemas(key: str, value: Json) -> Json:
    if key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
        return {name: _plain_schema(schema) for name, schema in value.items()}
    return _plain_schema(value) if key in _SCHEMAS else value


# --- names -----------------------------------------------------------------------------------------------------------


def _plain_name(identity: Identity, limit: int) -> str:
    """`namespace__name` where that is a legal name, else the nearest legal one."""
    full = _full_name(identity)
    legal = 0 < len(full) <= limit and not _ILLEGAL.search(full)
    return full if legal else _hashed_name(identity, limit, 0)


def _hashed_name(identity: Identity, limit: int, attempt: int) -> str:
    """A legal name that depends on nothing but the tool, and is hardly another's."""
    kind, namespace, name = identity
    key = "\0".join((kind, namespace or "", name, *("again",) * attempt))
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = _ILLEGAL.sub("_", _full_name(identity))[: limit - len(mark) - 1]
    return f"{head or 'tool'}_{mark}"


def _full_name(identity: Identity) -> str:
    _, namespace, name = identity
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
