"""The tools of one request: what the provider is offered, and which tool a name in its answer means.

`declarations` says what each tool becomes, `tool_names` how it may be called; the registry keeps the names there and
back. Names are given in the order of declaration, so that tools that come later (a tool search finds some) change
nothing that was said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from addon.providers.profile import Profile
from addon.translate import native_tools
from addon.translate.declarations import declarations_of, specs_of
from addon.translate.errors import ApiError
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy, HostedTools, is_web_search
from addon.translate.notes import Notes
from addon.translate.output import CalledTool
from addon.translate.tool_names import TOOL_SEARCH, Identity, Kind, hashed_name, plain_name
from addon.wire.json import Json, JsonObject
from addon.wire.responses import (
    ApplyPatchCall,
    ChosenTool,
    CustomToolCall,
    FunctionCall,
    Item,
    LocalShellCall,
    ResponsesRequest,
    ShellCall,
    ToolSearchCall,
)

_NAMED_BY_TYPE = frozenset({TOOL_SEARCH, "shell", "local_shell", "apply_patch"})
"""Tools that have no name of their own."""


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
    search: Mapping[str, Json] = field(default_factory=dict)
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
        specs = specs_of(request, items, hosted, notes)
        registry = cls(profile)
        registry._searches = hosted.searches
        registry._declared = [registry._add(identity) for identity in specs]
        for identity in _called(items):
            registry._remember(identity)
        if profile.tools:
            chat_names = (tool.chat_name for tool in registry._declared)
            registry.declarations = declarations_of(dict(zip(chat_names, specs.values(), strict=True)), profile, notes)
        elif specs:
            registry._declared = []
            notes.add("tools", "this model cannot call tools")
        return registry

    def chat_name(self, kind: Kind, name: str, namespace: str | None) -> str:
        """The name of a tool at the provider, whether it is still declared or not."""
        identity = (kind, namespace or None, name)
        known = self._by_identity.get(identity)
        return known.chat_name if known else plain_name(identity, self._profile.tool_name_max)

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
        name, attempt = plain_name(identity, limit), 0
        while name in self._by_chat_name:
            name, attempt = hashed_name(identity, limit, attempt), attempt + 1
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
