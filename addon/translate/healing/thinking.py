"""Refusals that have to do with thinking: that of earlier turns, how much of it now, and streams that it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from addon.providers.profile import STYLE_FRAGMENTS
from addon.translate.healing.names import NO_SWITCH, THINKING_WANTED, left_out
from addon.translate.healing.refusal import Refusal, Remedy, Rule, dropping, rule
from addon.wire.json import Json, JsonObject

# --- earlier thinking -------------------------------------------------------------------------------------------------

_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")


def _not_wanted_back(refusal: Refusal) -> Remedy | None:
    replayed = any(field in message for message in refusal.messages("assistant") for field in _FIELDS)
    if not replayed or refusal.says(*THINKING_WANTED):
        return None
    return Remedy({"replay": "never"}, "reasoning_content", "this model takes none of its earlier thinking back")


def _wanted_back(refusal: Refusal) -> Remedy | None:
    """First with all that is kept, and a space for what was lost: the one stand-in that is taken by all who demand it.
    Then without thinking."""
    back: dict[str, Json] = {
        "replay": "always",
        "replay_field": "reasoning_content",
        "replay_missing": "space",
        "replay_scope": "all_turns",
    }
    why = "this model wants its earlier thinking back; a space stands for what is lost"
    return Remedy(back, "reasoning_content", why).beyond(refusal.profile) or _off(refusal)


def _off(refusal: Refusal) -> Remedy | None:
    """No thinking, whatever effort the client asks for."""
    profile = refusal.profile
    if profile.thinking_default == "always" or profile.effort_map == _NO_EFFORT:
        return None
    off = dict(profile.off_fragment) or dict(STYLE_FRAGMENTS["thinking_type"].off)
    overrides: dict[str, Json] = {
        "thinking_style": "thinking_type" if profile.thinking_style == "none" else profile.thinking_style,
        "thinking_off": off,
        "thinking_auto": off,
        "thinking_default": "off",
        "effort_values": [],
        "effort_map": {**_NO_EFFORT},
    }
    return Remedy(overrides, "reasoning.effort", "off: earlier thinking that this model wants back is lost")


# --- how much ---------------------------------------------------------------------------------------------------------

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max", "ultra")
_NO_EFFORT = dict.fromkeys(("none", *_EFFORTS), "none")
_EFFORT = re.compile(rf"(?<![\w-])(?:none|{'|'.join(_EFFORTS)}|default)(?![\w-])")
_ACCEPTED = re.compile(
    r"(?:supported (?:string )?values|one of|valid (?:levels|values|options)|allowed values|(?:should|must) be"
    r"|expected|only supports?|supports? only)\b(.*?)(?:received|but got|input_value|$)",
    re.I,
)
_COMMON = ("low", "medium", "high")
"""Where efforts are known at all, these are."""


def _effort(refusal: Refusal) -> Remedy | None:
    """The efforts that the provider names, or the common ones, if it has not just refused one of these."""
    sent = _sent_effort(refusal.body)
    if sent is None or not _is_of_effort(refusal, sent):
        return None
    told = _ACCEPTED.search(refusal.text)
    named = _EFFORT.findall(told[1].lower()) if told else []
    values = [*dict.fromkeys(named)] or [*_COMMON]
    if sent in values:
        return None if named else left_out([("reasoning_effort",), ("reasoning",)], refusal)
    mapped = {ours: theirs for ours, theirs in refusal.profile.effort_map.items() if theirs in values}
    if "default" in values:  # on or off, without degrees
        values.remove("default")
        mapped |= {name: "default" for name in _EFFORTS if name not in values}
    overrides: dict[str, Json] = {"effort_values": [*values], "effort_map": {**mapped}}
    if sent == "none":  # it was to turn thinking off
        overrides["thinking_default"] = "always"
    return Remedy(overrides, "reasoning.effort", f"'{sent}' is refused by this provider; the nearest it takes is used")


def _is_of_effort(refusal: Refusal, sent: str) -> bool:
    """Other parameters have levels too: without its name, the value has to be that of the effort."""
    named = f"{refusal.error.param} {refusal.text}".lower()
    return "effort" in named or "reasoning" in named or (f"'{sent}'" in named and not refusal.error.param)


def _sent_effort(body: JsonObject) -> str | None:
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else body.get("reasoning_effort")
    return effort if isinstance(effort, str) else None


def _switched_too(refusal: Refusal) -> Remedy | None:
    if refusal.profile.thinking_style != "effort":
        return None
    overrides = {"thinking_style": "thinking_type"}
    return Remedy(overrides, "reasoning.effort", "this provider wants thinking to be switched on with it")


def _always(refusal: Refusal) -> Remedy | None:
    profile = refusal.profile
    overrides: dict[str, Json] = {"thinking_default": "always"}
    if profile.auto_fragment and profile.auto_fragment == profile.off_fragment:
        overrides["thinking_auto"] = {}
    return Remedy(overrides, "reasoning.effort", "this model's thinking cannot be turned off")


def _never(refusal: Refusal) -> Remedy | None:
    profile = refusal.profile
    names = [name for name in {**profile.on_fragment, **profile.auto_fragment} if name in refusal.body]
    if not names:
        return None
    return Remedy({**NO_SWITCH, **dropping(profile, *names)}, "reasoning.effort", "this model does not think")


# --- streams ----------------------------------------------------------------------------------------------------------


def _stream_to_think(refusal: Refusal) -> Remedy | None:
    """When it thinks, if the profile can tell; otherwise always."""
    profile = refusal.profile
    asked = any(name in refusal.body for name in profile.on_fragment)
    if profile.thinking_needs_stream or not (asked or profile.thinking_default != "off"):
        return _stream(refusal)
    return Remedy({"thinking_needs_stream": True}, "stream", "this model streams when it thinks")


def _stream(refusal: Refusal) -> Remedy | None:
    if refusal.body.get("stream") is True:
        return None
    return Remedy({"stream_mode": "always"}, "stream", "this model does nothing but stream")


RULES: Sequence[Rule] = (
    rule(_wanted_back, *THINKING_WANTED),
    rule(
        _not_wanted_back,
        r"remove the '?reasoning_content|messages?\[?[\w.]*\]?\.reasoning\w*'?:? [^.]*not supported",
    ),
    rule(_off, r"expected '?thinking'? or '?redacted_thinking|must start with a thinking block"),
    rule(
        _stream_to_think,
        r"enable[_ ]thinking.{0,60}(?:non-?streaming|stream ?= ?false|非流式)",
        r"thinking.{0,60}(?:only|requires?|must).{0,20}stream",
    ),
    rule(
        _stream,
        r"only supports? (?:the )?stream|support\w* streaming only|streaming is required",
        r"stream'? (?:must|should) be (?:set to )?true|non-?streaming .{0,40}not support",
    ),
    rule(
        _always,
        r"(?:thinking|reasoning) (?:is mandatory|cannot be disabled|can't be disabled|must be enabled)",
        r"restricted to true|only works in thinking mode|(?:not|n't) support disabling (?:thinking|reason)",
    ),
    rule(_switched_too, r"invalid combination of reasoning_effort and thinking"),
    rule(
        _effort,
        r"reasoning[_. ]effort\b.{0,80}(?:does not support|one of|should be|must be|expected|invalid)",
        r"(?:unsupported value|invalid|unknown variant|validation error).{0,80}(?:reasoning[_. ]effort|think value)",
        r"invalid reasoning value|level '\w+' not supported, valid levels",
        r"supported values are:? .{0,40}'(?:low|medium|high)'",
    ),
    rule(_never, r"(?:not|n't) support (?:thinking|reasoning)(?![\w_])"),
)
