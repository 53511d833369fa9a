"""Tools that run at OpenAI: what becomes of each, by the configuration and by what the provider has of its own.

Only the web search has a counterpart at chat providers: a parameter or a tool of theirs that switches it on, both in
the profile. Nothing of the rest can be had, so it is left out or refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.wire.responses import OtherTool, ShellTool

HostedAction: TypeAlias = Literal["native", "drop", "error"]
"""The provider's own where it has one, else left out; always left out, with a note; the request is refused."""

OTHERS: Final = "*"
"""Stands for the types that the configuration does not name."""

_WEB_SEARCH: Final = "web_search"
_FAMILIES = (
    "web_search", "file_search", "code_interpreter", "image_generation", "mcp", "computer", "shell",
    "programmatic_tool_calling",
)  # fmt: skip
_ITEM = re.compile(
    "(web_search|file_search|code_interpreter|image_generation|mcp|computer|program)"
    "(_call|_list_tools|_approval_request|_approval_response|)(_output|)"
)
_OF_NO_CONSEQUENCE = frozenset({"external_web_access"})


@dataclass(frozen=True, slots=True)
class HostedPolicy:
    """What the configuration says, by the type of the tool without its date or "_preview"."""

    actions: Mapping[str, HostedAction] = field(default_factory=dict)

    def action(self, tool_type: str) -> HostedAction:
        return self.actions.get(family(tool_type)) or self.actions.get(OTHERS) or "native"


DEFAULT_POLICY: Final = HostedPolicy()
"""What the provider has of its own, else nothing."""


def family(tool_type: str) -> str:
    """`web_search` for `web_search_preview_2025_03_11`; the type itself if it is none that is known."""
    return next((name for name in _FAMILIES if tool_type.startswith(name)), tool_type)


def is_web_search(tool_type: str) -> bool:
    return family(tool_type) == _WEB_SEARCH


def is_hosted_item(item_type: str) -> bool:
    """Whether an item of the history tells what a hosted tool did."""
    return _ITEM.fullmatch(item_type) is not None


class HostedTools:
    """The hosted tools of one request, as they come up."""

    def __init__(self, policy: HostedPolicy, profile: Profile, notes: Notes) -> None:
        self.searches = False
        """The provider's own web search serves one of them."""
        self._policy = policy
        self._profile = profile
        self._notes = notes

    def meet(self, tool: OtherTool | ShellTool, path: str) -> None:
        """Decide about a tool that is none of the client's.

        Args:
            tool: of any type that is not a kind of function.
            path: where it stands in the request, such as "tools[2]".

        Raises:
            ApiError: the configuration wants it to be an error.
        """
        action = self._policy.action(tool.type)
        if action == "error":
            raise _refused(tool, path)
        why = self._why_left_out(tool, action)
        if why is not None:
            self._notes.add(f"tools: {tool.type or 'without a type'}", why)
            return
        self.searches = True
        self._note_settings(tool)

    def _why_left_out(self, tool: OtherTool | ShellTool, action: HostedAction) -> str | None:
        """None: the provider's own search takes its place."""
        is_offered = self._profile.web_search is not None or self._profile.web_search_tool is not None
        if not is_web_search(tool.type) or not is_offered:
            return f"{_where(tool).removeprefix('is ')}; not available at this provider"
        if action == "drop":
            return "left out, as the configuration says"
        if (tool.model_extra or {}).get("external_web_access") is False:
            return "the client wants no live access to the web, and this provider has no other"
        return None

    def _note_settings(self, tool: OtherTool | ShellTool) -> None:
        extra = (tool.model_extra or {}).items()
        lost = [key for key, value in extra if value is not None and key not in _OF_NO_CONSEQUENCE]
        if lost:
            self._notes.add(f"tools: {tool.type}", f"the provider's own search has no {', '.join(sorted(lost))}")


def _refused(tool: OtherTool | ShellTool, path: str) -> ApiError:
    message = (
        f"The tool '{tool.type}' {_where(tool)} and cannot be used here. Remove it from the request, or let the bridge "
        "leave it out: `hosted_tools` in bridge.yaml."
    )
    return ApiError.bad_request(message, param=path, code="unsupported_value")


def _where(tool: OtherTool | ShellTool) -> str:
    """What keeps a tool from being used with another provider's model."""
    match family(tool.type):
        case "shell":
            return "runs in a container at OpenAI"
        case "computer":
            return "is built into OpenAI's models"
        case known if known in _FAMILIES:
            return "is hosted at OpenAI"
    return "is not a type of tool that is known here"
