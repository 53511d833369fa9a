"""What a native Responses endpoint has against a request → what to change about requests to it (see `healing`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from addon.providers.profile import Profile
from addon.translate.errors import UpstreamError
from addon.translate.healing import Remedy
from addon.wire.json import Json, JsonObject

_NOT_THERE = frozenset({404, 405, 501})
_REFUSED = frozenset({400, 415, 422})
_NEEDED = frozenset({"model", "input", "instructions", "tools", "stream", "text.format"})
"""What a request says. Without it, it would be another one."""

_NO_API = re.compile(
    r"(?:not support|unsupported|not available|not enabled)\w* .{0,40}\bresponses\b|\bresponses\b.{0,40}not supported",
    re.I,
)
_ABOUT_A_NAME = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|extra (?:inputs|fields)"
    r"|(?:not|n't) (?:\w+ )?(?:support|permit|allow|accept|recogni)|additional propert",
    re.I,
)


def native_remedy(error: UpstreamError, profile: Profile, body: JsonObject, *, may_leave: bool) -> Remedy | None:
    """What may make the provider serve a request that its Responses endpoint has refused.

    Args:
        error: what the provider said.
        profile: with which the request was made.
        body: the request.
        may_leave: the chat endpoint may serve it instead.

    Returns:
        None if nothing is known that helps.
    """
    if may_leave and _is_missing(error):
        why = "this provider does not serve the Responses API here; its chat/completions did"
        return Remedy({"native_responses": "no"}, "mode", why)
    if error.status not in _REFUSED or not _ABOUT_A_NAME.search(error.message):
        return None
    tool = next((kind for kind in _tool_types(body) if _is_named(kind, error)), None)
    if tool is not None and re.search(r"\btools?\b", f"{error.message} {error.param}", re.I):
        kinds: list[Json] = [*profile.native_drop_tools, tool]
        return Remedy({"native_drop_tools": kinds}, f"tools: {tool}", "refused by this provider")
    name = next((name for name in _names(body) if _is_named(name, error)), None)
    if name is None:
        return None
    names: list[Json] = [*profile.native_drop_params, name]
    return Remedy({"native_drop_params": names}, name, "refused by this provider; it is left out")


def _is_missing(error: UpstreamError) -> bool:
    """There is no such endpoint, or not for this model. That there is no such model is another matter."""
    said = f"{error.code} {error.message}"
    if _NO_API.search(said):
        return error.status in _NOT_THERE | _REFUSED
    return error.status in _NOT_THERE and "model" not in said.lower()


def _tool_types(body: JsonObject) -> Iterator[str]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "function":
            yield kind


def _names(body: JsonObject) -> Iterator[str]:
    """The parameters that can be spared, the inner ones of an object before itself."""
    for name, value in body.items():
        for inner in value if isinstance(value, dict) and name != "metadata" else ():
            if f"{name}.{inner}" not in _NEEDED:
                yield f"{name}.{inner}"
        if name not in _NEEDED:
            yield name


def _is_named(name: str, error: UpstreamError) -> bool:
    """Named as the parameter, or as a word of its own in the message: in quotes, or written as only names are."""
    if error.param == name:
        return True
    quoted = rf"['\"`‘“\[(/.]{re.escape(name)}['\"`’”\]):,.]|^{re.escape(name)}\b"
    bare = rf"(?<![\w.]){re.escape(name)}(?![\w.]*\w)" if re.search(r"[._]", name) else quoted
    return re.search(f"{quoted}|{bare}", error.message) is not None
