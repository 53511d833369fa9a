"""The tools of one request: what the provider is offered, and which tool a name in its answer means.

Chat knows functions with a flat name. Namespaces, free-text tools, the client's tool search and the tools that OpenAI's
models know by heart become functions here; the registry keeps the names there and back. Names are given in the order of
declaration, so that tools that come later (a tool search finds some) change nothing that was said before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from addon.providers.profile import Profile
from addon.translate import native_tools
from addon.translate.errors import ApiError
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy, HostedTools, is_web_search
from addon.translate.native_tools import NativeKind, NativeTool
from addon.translate.notes import Notes
from addon.translate.output import CalledTool
from addon.translate.schemas import fit_schema
from addon.wire.json import Json, JsonObject, clean
from addon.wire.responses import (
    AdditionalTools,
    ApplyPatchCall,
    ApplyPatchTool,
    ChosenTool,
    CustomTool,
    CustomToolCall,
    FunctionCall,
    FunctionTool,
    Item,
    LocalShellCall,
    LocalShellTool,
    NamespaceTool,
    OtherTool,
    ResponsesRequest,
    ShellCall,
    ShellTool,
    Tool,
    ToolSearchCall,
    ToolSearchOutput,
    ToolSearchTool,
    Wire,
)

Kind: TypeAlias = Literal["function", "custom", "tool_search"] | NativeKind
Identity: TypeAlias = tuple[Kind, str | None, str]
"""What makes a tool the client's: kind, namespace, name."""

TOOL_SEARCH: Final = "tool_search"

_NAMED_BY_TYPE = frozenset({TOOL_SEARCH, "shell", "local_shell", "apply_patch"})
"""Tools that have no name of their own."""

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
    search_tool: JsonObject | None = None
    """Switches the provider's own web search on, among the tools."""
    search: Mapping[str, Json] = MappingProxyType({})
    """Parameters that switch it on."""

    def parameters(self) -> JsonObject:
        tools: list[Json] = [*self.declarations, *([self.search_tool] if self.search_tool else [])]
        parameters: JsonObject = {"tools": tools} if tools else {}
        if self.choice is not None:
            parameters["tool_choice"] = self.choice
        return {**parameters, **self.search}


class ToolRegistry:
    """The tools of one request. `declarations` holds all of them as chat functions, in declared order."""

    def __init__(self, profile: Profile) -> None:
        self.declarations: Sequence[JsonObject] = ()
        self._profile = profile
        self._declared: list[KnownTool] = []
        self._by_identity: dict[Identity, KnownTool] = {}
        self._by_chat_name: dict[str, KnownTool] = {}
        self._loosely: dict[str, KnownTool | None] = {}
        self._searches = False

    @classmethod
    def of(
        cls,
        request: ResponsesRequest,
        items: Sequence[Item],
        profile: Profile,
        notes: Notes,
        policy: HostedPolicy = DEFAULT_POLICY,
    ) -> ToolRegistry:
        """The tools of `request.tools`, then those of each item that brings some; the last of equal ones counts.

        Tools that are only called in the history have a name too, but are not offered.

        Raises:
            ApiError: there is a hosted tool, and `policy` wants that to be an error.
        """
        hosted = HostedTools(policy, profile, notes)
        specs = {spec.identity: spec for spec in _specs(_tools(request, items), hosted, notes)}
        registry = cls(profile)
        registry._searches = hosted.searches
        registry._declared = [registry._add(identity) for identity in specs]
        for identity in _called(items):
            registry._remember(identity)
        if profile.tools:
            strict = _strictness(list(specs.values()), profile, notes)
            pairs = zip(registry._declared, specs.values(), strict, strict=True)
            registry.declarations = [
                _custom_declaration(tool.chat_name, spec.custom)
                if spec.custom is not None and registry._is_bare(tool.chat_name)
                else _declaration(tool.chat_name, spec, _parameters(spec, profile, notes), value)
                for tool, spec, value in pairs
            ]
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
        return CalledTool(known.kind, known.name, known.namespace, bare=self._is_bare(chat_name))

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
        return self._with_search(self._functions(wish, notes, force=force), wish, notes)

    def _functions(self, wish: _Wish, notes: Notes, *, force: bool) -> Offer:
        if not self.declarations:
            if wish.forced or wish.missing:
                notes.add("tool_choice", "there is no tool to choose from")
            return Offer()
        if wish.forced and not force:
            notes.add("tool_choice", "this provider cannot force a call while the model thinks; the model decides")
            wish = replace(wish, mode="auto", named=False)
        return self._realise(wish, notes)

    def _with_search(self, offer: Offer, wish: _Wish, notes: Notes) -> Offer:
        """The provider's own web search beside the functions, if the client has such a tool and may get it called."""
        if not self._searches or not wish.search:
            return offer
        if offer.declarations and not self._profile.web_search_with_tools:
            notes.add("tools: web_search", "this provider does not search where functions are offered")
            return offer
        tool = self._profile.web_search_tool if self._profile.tools else None
        return replace(offer, search=self._profile.web_search or {}, search_tool=dict(tool) if tool else None)

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
                return _Wish("none", search=False)
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
        search = False
        for entry in choice.tools:
            if self._searches and is_web_search(entry.type):
                search = True
                continue
            found = self._find(entry)
            if not found:
                notes.add("tool_choice", f"{_label(entry)} is allowed, but not among the tools that can be offered")
            allowed.update(dict.fromkeys(tool.chat_name for tool in found))
        if not allowed:
            return _Wish("none", missing=not search, search=search)
        mode: Literal["auto", "required"] = "required" if choice.mode in ("required", "any") else "auto"
        return _Wish(mode, tuple(allowed), search=search)

    def _named(self, choice: ChosenTool, notes: Notes) -> _Wish:
        found = self._find(choice)
        if len(found) == 1:
            return _Wish("required", (found[0].chat_name,), named=True, search=False)
        if self._searches and is_web_search(choice.type):
            notes.add("tool_choice", "the provider's own search cannot be forced; the model decides")
            return _Wish("auto")
        notes.add("tool_choice", f"{_label(choice)} is not among the tools that can be offered; the model decides")
        return _Wish("auto", missing=True)

    def _find(self, wanted: ChosenTool) -> list[KnownTool]:
        """The declared tools an entry means: one, or all of a namespace."""
        if wanted.type == "namespace":
            return [tool for tool in self._declared if tool.namespace == wanted.name]
        name = wanted.type if wanted.type in _NAMED_BY_TYPE else wanted.name
        same = [tool for tool in self._declared if (tool.kind, tool.name) == (wanted.type, name)]
        exact = [tool for tool in same if tool.namespace == wanted.namespace]
        return exact or (same if wanted.namespace is None and len(same) == 1 else [])

    def _is_bare(self, chat_name: str) -> bool:
        """True for what is one of chat's own custom tools at this provider."""
        return self._profile.custom_tools == "custom" and self.resolve(chat_name).kind == "custom"

    def _reference(self, chat_name: str) -> JsonObject:
        kind = "custom" if self._is_bare(chat_name) else "function"
        return {"type": kind, kind: {"name": chat_name}}

    def _realise(self, wish: _Wish, notes: Notes) -> Offer:
        accepted = self._profile.tool_choice_values
        if wish.mode == "none":
            sendable = self._profile.tool_choice_none == "send" and "none" in accepted and not wish.search
            return Offer(self.declarations, "none") if sendable else Offer()
        if wish.named and "named" in accepted:
            return Offer(self.declarations, self._reference(wish.only[0]), forced=True)
        if wish.only and not wish.named and "allowed" in accepted:
            tools: list[Json] = [self._reference(name) for name in wish.only]
            allowed: JsonObject = {"mode": wish.mode, "tools": tools}
            return Offer(self.declarations, {"type": "allowed_tools", "allowed_tools": allowed}, forced=wish.forced)
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
    search: bool = True
    """The provider's own web search may be used, if the client has such a tool."""

    @property
    def forced(self) -> bool:
        return self.mode == "required"


@dataclass(frozen=True, slots=True)
class _Spec:
    """One tool as a function, still without its chat name."""

    identity: Identity
    description: str
    parameters: JsonObject | None
    """As the client sent them."""
    strict: bool | None = None
    custom: CustomTool | None = None
    """The custom tool that this is."""


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


def _tools(request: ResponsesRequest, items: Iterable[Item]) -> Iterator[tuple[str, Tool]]:
    """Each tool with its path."""
    yield from _with_paths("tools", request.tools or ())
    for item in items:
        if isinstance(item, (AdditionalTools, ToolSearchOutput)):
            yield from _with_paths("input[].tools", item.tools)


def _with_paths(path: str, tools: Iterable[Tool]) -> Iterator[tuple[str, Tool]]:
    return ((f"{path}[{index}]", tool) for index, tool in enumerate(tools))


def _called(items: Iterable[Item]) -> Iterator[Identity]:
    for item in items:
        match item:
            case FunctionCall() if item.name:
                yield ("function", item.namespace or None, item.name)
            case CustomToolCall() if item.name:
                yield ("custom", item.namespace or None, item.name)
            case ToolSearchCall():
                yield (TOOL_SEARCH, None, TOOL_SEARCH)
            case ShellCall() | LocalShellCall() | ApplyPatchCall():
                kind = native_tools.kind_of(item)
                yield (kind, None, kind)


def _specs(
    tools: Iterable[tuple[str, Tool]], hosted: HostedTools, notes: Notes, namespace: str | None = None
) -> Iterator[_Spec]:
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


def _about(namespace: NamespaceTool, specs: Iterable[_Spec]) -> Iterator[_Spec]:
    """The namespace's description is told once, with its first tool: that keeps it, at the least cost in tokens."""
    about = (namespace.description or "").strip()
    for spec in specs:
        told = f"About all {namespace.name} tools: {about}" if about else ""
        yield replace(spec, description="\n\n".join(text for text in (spec.description, told) if text))
        about = ""


def _function(tool: FunctionTool, namespace: str | None) -> _Spec:
    identity: Identity = ("function", namespace, tool.name)
    return _Spec(identity, tool.description or "", tool.parameters, tool.strict)


def _custom(tool: CustomTool, namespace: str | None) -> _Spec:
    """A free-text tool as a function with one string; its grammar can only be told, not enforced."""
    texts = [tool.description or "", _FREE_TEXT, _grammar(tool.format or {})]
    parameters: JsonObject = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    description = "\n\n".join(text for text in texts if text)
    return _Spec(("custom", namespace, tool.name), description, parameters, custom=tool)


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
    return _Spec((TOOL_SEARCH, None, TOOL_SEARCH), description, tool.parameters or fallback)


def _native(tool: NativeTool) -> _Spec:
    return _Spec((tool.type, None, tool.type), native_tools.description(tool), native_tools.schema(tool.type))


def _strictness(specs: Sequence[_Spec], profile: Profile, notes: Notes) -> list[bool | None]:
    asked = [spec.strict for spec in specs]
    if profile.strict_tools == "send" or not any(value is not None for value in asked):
        return asked
    uniform = all(spec.strict or spec.identity[0] == "custom" for spec in specs)
    if any(asked) and not (uniform and profile.strict_tools == "uniform"):
        notes.add("tools[].strict", "arguments are not held to the schema by this provider")
    return [uniform if profile.strict_tools == "uniform" else None for _ in specs]


def _parameters(spec: _Spec, profile: Profile, notes: Notes) -> JsonObject:
    parameters, losses = fit_schema(spec.parameters, profile.schema_flavor)
    if losses:
        lost = ", ".join(losses)
        notes.add(f"tools: {_full_name(spec.identity)}", f"schema simplified for this provider ({lost})")
    return parameters


def _declaration(chat_name: str, spec: _Spec, parameters: JsonObject, strict: bool | None) -> JsonObject:
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
