"""Refusals of tools: of their kind and names, of the choice among them, of the ids of their calls."""

from __future__ import annotations

import re
from collections.abc import Sequence

from addon.translate.healing.refusal import Refusal, Remedy, Rule, dropping, rule
from addon.wire.json import Json, dumps


def _while_thinking(refusal: Refusal) -> Remedy | None:
    """A forced call is what the client builds upon, so rather the thinking goes, where it can be turned off."""
    profile = refusal.profile
    if refusal.body.get("tool_choice") == "auto":
        return Remedy({"tool_choice_omit_auto": True}, "tool_choice", "this provider takes none while the model thinks")
    overrides: dict[str, Json] = {"forced_choice_with_thinking": "auto"}
    what, why = "tool_choice", "this provider forces no call while the model thinks; the model decides"
    if profile.forced_choice_with_thinking == "ok" and profile.off_fragment and profile.thinking_default != "always":
        overrides = {"forced_choice_with_thinking": "disable_thinking"}
        what, why = "reasoning.effort", "off where a call is forced: this provider does not do both"
    if profile.thinking_default == "off" and not any(name in refusal.body for name in profile.on_fragment):
        overrides["thinking_default"] = "on"  # it thinks unasked; where the profile does not know, it sees no conflict
    return Remedy(overrides, what, why)


def _choice(refusal: Refusal) -> Remedy | None:
    form = _form(refusal.body.get("tool_choice"))
    if form is None:
        return None
    if form in refusal.profile.tool_choice_values:
        return Remedy(_choosing_without(form, refusal), "tool_choice", f"this provider does not take the form '{form}'")
    if form == "none":
        return None
    return Remedy(
        dropping(refusal.profile, "tool_choice"), "tool_choice", "refused by this provider; the model decides"
    )


def _form(choice: Json) -> str | None:
    if isinstance(choice, dict):
        return "allowed" if choice.get("type") == "allowed_tools" else "named"
    return choice if isinstance(choice, str) else None


def _choosing_without(form: str, refusal: Refusal) -> dict[str, Json]:
    kept: list[Json] = [known for known in refusal.profile.tool_choice_values if known != form]
    if form == "required" and "'any'" in refusal.text and "any" not in kept:
        kept.append("any")
    overrides: dict[str, Json] = {"tool_choice_values": kept}
    if form == "auto":
        overrides["tool_choice_omit_auto"] = True
    if form == "named" and refusal.profile.tool_choice_fallback == "auto" and ("required" in kept or "any" in kept):
        overrides["tool_choice_fallback"] = "filter_required"
    return overrides


def _no_strict(refusal: Refusal) -> Remedy | None:
    if '"strict":' not in dumps(refusal.tools):
        return None
    return Remedy({"strict_tools": "drop"}, "tools[].strict", "refused by this provider; it is left out")


def _uniform_strict(refusal: Refusal) -> Remedy | None:
    if refusal.profile.strict_tools != "send":
        return _no_strict(refusal)
    return Remedy({"strict_tools": "uniform"}, "tools[].strict", "this provider wants the same value for all tools")


def _only_functions(refusal: Refusal) -> Remedy | None:
    kinds = {tool.get("type") for tool in refusal.tools}
    overrides: dict[str, Json] = {"custom_tools": "function"} if "custom" in kinds else {}
    overrides |= {"web_search_tool": None} if kinds - {"custom", "function"} else {}
    return Remedy(overrides, "tools", "this provider knows functions only") if overrides else None


def _call_ids(refusal: Refusal) -> Remedy | None:
    rules = refusal.profile.tool_id.model_dump(mode="json")
    exact = re.search(r"with a length of ([1-9]\d*)", refusal.text)
    most = re.search(r"maximum length:? (?:of )?([1-9]\d*)|at most ([1-9]\d*) char", refusal.text, re.I)
    charset = re.search(r"'\^?(\[[^\]]+\])", refusal.text)
    if exact:
        rules |= {"exact_len": int(exact[1]), "max_len": int(exact[1]), "charset": "[A-Za-z0-9]"}
    elif most:
        rules["max_len"] = min(int(most[1] or most[2]), rules["max_len"])
    elif charset and _is_charset(charset[1]):
        rules["charset"] = charset[1]
    return Remedy({"tool_id": rules}, "call ids", "this provider takes only ids of a certain form; they are mapped")


def _is_charset(pattern: str) -> bool:
    """It tells what an id may be made of."""
    try:
        return re.fullmatch(pattern, "a") is not None
    except re.error:
        return False


def _shorter_names(refusal: Refusal) -> Remedy | None:
    told = re.search(r"(?:maximum length:? (?:of )?|cannot exceed |at most |\{1,)(\d+)", refusal.text, re.I)
    limit = int(told[1]) if told else 0
    if not 16 <= limit < refusal.profile.tool_name_max:
        return None
    return Remedy({"tool_name_max": limit}, "tools: names", f"this provider takes {limit} characters at most")


_CHOICE = r"tool[_ ]choice"
_REFUSED = r"(?:(?:not|n't|un)[ -]?(?:be |currently )?(?:support\w*|allowed|permitted|accept\w*)|invalid)"

RULES: Sequence[Rule] = (
    rule(
        _while_thinking,
        rf"{_CHOICE}.{{0,120}}\b(?:thinking|reasoning)\b|\b(?:thinking|reasoning)\b.{{0,120}}{_CHOICE}",
    ),
    rule(
        _choice,
        rf"{_CHOICE}.{{0,80}}(?:{_REFUSED}|must be|should be|only)|(?:{_REFUSED}|only).{{0,80}}{_CHOICE}",
        r"only named tools are supported",
    ),
    rule(
        _no_strict,
        r"strict ?= ?true (?:is|are) not supported|'additionalProperties' is required to be supplied and to be false",
    ),
    rule(_uniform_strict, r"mixed values for 'strict'|same value for the 'strict'"),
    rule(
        _only_functions,
        r"tools?\W.{0,40}(?:unknown variant|(?:invalid|unsupported) (?:value|type)).{0,80}function",
        r"(?:unknown variant|invalid value):? '(?:custom|web_search\w*)'.{0,60}function|tools\[\d+\]\.type ?不支持",
    ),
    rule(
        _call_ids,
        r"tool call id was|tool_calls?\W{0,3}\d*\W{0,2}\.?id'?:? string too long|tool_call_id'?:? string too long",
        r"(?:tool_use\.id|tool_use_id|tool_call_id|tool_calls\S*\.id).{0,40}match pattern",
    ),
    rule(
        _shorter_names,
        r"function\.name'?:? string too long|invalid function name.{0,200}maximum length|length of the tool name",
        r"tool name .{0,200}(?:match|exceed|too long)",
    ),
)
