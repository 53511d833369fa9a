"""The names in a refusal ("Unknown name 'store' at …") → a request without what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from addon.providers.profile import Profile
from addon.translate.healing.formats import KEYWORDS, narrower_schemas, weaker_format
from addon.translate.healing.refusal import Refusal, Remedy, bent, dropping
from addon.wire.json import Json

Path: TypeAlias = tuple[str, ...]
"""Where something is in the request, without numbers: ("messages", "name")."""

NO_SWITCH: Mapping[str, Json] = {
    "thinking_style": "none",
    "thinking_on": None,
    "thinking_off": None,
    "thinking_auto": None,
}
"""Overrides for a model that takes no parameter about its thinking."""

TOKEN_LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Each of the names for the limit, and the other one."""

THINKING_WANTED = (
    r"missing '?reasoning_content|reasoning_content'? (?:is |field is )?(?:missing|required)",
    r"reasoning_content'? .{0,60}(?:passed back|must be (?:sent|provided|included|returned|present))",
)
"""Words that demand what others refuse: who says them never refuses it."""
NAMES_WANTED = (
    r"'tool', ?'name'.{0,40}field required|function_response\.name.{0,40}empty",
    r"role '?tool'? must have a '?name|tool messages? .{0,40}name is required",
)
"""The same, of the name of the function that a result is of."""

# --- reading ----------------------------------------------------------------------------------------------------------

_NAME = r"[A-Za-z_$][\w$.\[\]-]{0,120}"
_VALUE = r": ?(?:True|False|None|'[^']*'|[\d.]+)"
_ITEM = rf"[\[{{(]{{0,3}}'?{_NAME}'?(?:{_VALUE})?[\]}})]{{0,3}}"
_NAMES = rf"({_ITEM}(?:(?:, ?(?:and )?| and ){_ITEM}){{0,20}})"
_THING = r"(?:parameter|argument|field|key|propert(?:y|ies)|input|option|param|name)s?(?:\(s\))?"
_PLACED = r"(?: at '([^']+)')"
_LOCATION = r"'loc': ?[\[(]([^\])]*)[\])]"

_UNKNOWN = tuple(
    re.compile(words, re.I)
    for words in (
        rf"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|extraneous) (?:request |keyword |body )?{_THING}"
        rf"(?: (?:supplied|provided|found|in (?:the )?request(?: body)?))?:? ?{_NAMES}{_PLACED}?",
        rf"argument not supported on this model: {_NAMES}",
        rf"does(?: not|n't) support (?:the )?{_THING}:? ?{_NAMES}",
        r"property '([\w$]+)' is unsupported",
        rf"additional properties are not allowed \({_NAMES} (?:was|were) unexpected\)(?: - '([^' ]+)')?",
        rf"extra inputs are not permitted, field: {_NAMES}",
        rf"({_NAME}):? extra inputs are not permitted",
    )
)
"""The provider does not know what it names: first the names, then where they stand."""

_EXTRA = re.compile(rf"extra_forbidden'[^{{}}]{{0,80}}?{_LOCATION}|{_LOCATION}, ?'msg': ?'extra inputs", re.I)
"""The same, as pydantic writes it."""

_NOT_TAKEN = tuple(
    re.compile(words, re.I)
    for words in (
        rf"{_NAMES} (?:parameter |argument |field )?(?:(?:is|are) )?(?:currently |only )?"
        r"(?:not (?:currently )?|un)(?:supported|allowed|permitted|recogni[sz]ed|available|accepted)",
        rf"does(?: not|n't) support (?:the )?{_NAMES}",
        r"'(\w+)' parameter is only allowed when",
        r"([a-z_]+) ?参数(?:非法|错误|不支持)",
    )
)
"""The same in words that are said of other things too."""

_OF_A_NAME = re.compile(r"unsupported|unknown|unrecogni|not (?:supported|permitted|allowed)|unexpected|extra", re.I)
"""What `param` names is not known, whatever the sentence."""


def unknown(refusal: Refusal) -> Remedy | None:
    """Without what the provider calls unknown."""
    located = [path_of(one or other) for one, other in _EXTRA.findall(refusal.text)]
    return left_out([*_named(_UNKNOWN, refusal.text), *located, *_pointed_at(refusal)], refusal)


def not_taken(refusal: Refusal) -> Remedy | None:
    """Without what the provider says not to support."""
    return left_out([*_named(_NOT_TAKEN, refusal.text), *_pointed_at(refusal)], refusal)


def path_of(text: str) -> Path:
    """The path in messages[0].content or tools.0.function; FastAPI begins its own with "body"."""
    steps = [step for step in re.split(r"[^\w$-]+", text) if step and not step.isdecimal()]
    return tuple(steps[1:] if steps[:1] == ["body"] else steps)


def _pointed_at(refusal: Refusal) -> list[Path]:
    return [path_of(refusal.error.param)] if _OF_A_NAME.search(refusal.text) and " " not in refusal.error.param else []


def _named(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[Path]:
    for pattern in patterns:
        for match in pattern.finditer(text):
            names, *place = match.groups()
            before = path_of(place[0]) if place and place[0] else ()
            for name in re.findall(_NAME, re.sub(_VALUE, "", names)):
                yield (*before, *path_of(name))


# --- leaving out ------------------------------------------------------------------------------------------------------


def left_out(paths: Sequence[Path], refusal: Refusal) -> Remedy | None:
    """A request without all of these, as far as it asks the same without them: without tools it never does."""
    if ("tools",) in paths:
        return None
    overrides: dict[str, Json] = {}
    named: list[str] = []
    for path in dict.fromkeys(filter(None, paths)):
        found = _without(_located(path, refusal), replace(refusal, profile=bent(refusal.profile, overrides)))
        overrides |= found
        named += [".".join(path)] if found else []
    if not overrides:
        return None
    instead = overrides.get("max_tokens_field")
    why = (
        f"this provider wants {instead}" if instead and len(named) == 1 else "refused by this provider; it is left out"
    )
    return Remedy(overrides, ", ".join(named), why)


def _located(path: Path, refusal: Refusal) -> Path:
    """The path from the root: many name a field of a message or a tool alone, and one spells in camel case."""
    if path[0] in refusal.body:
        return path
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path[0]).lower()
    if snake in refusal.body:
        return (snake, *path[1:])
    if any(path[-1] in message for message in refusal.messages()):
        return ("messages", path[-1])
    return ("tools", *path) if path[-1] == "strict" or path[-1] in KEYWORDS else path


def _without(path: Path, refusal: Refusal) -> Mapping[str, Json]:
    """What cannot be spared stays: the messages, the model, the tools, the stream."""
    match path:
        case ("messages", *_, field):
            return _without_in_messages(field, refusal)
        case ("tools", *inner):
            return _without_in_tools(inner, refusal)
        case ("response_format", _, *_):
            return weaker_format(refusal)
        case (name, *_) if name in refusal.body and name not in ("messages", "model", "stream"):
            return _without_parameter(name, refusal.profile)
    return {}


def _without_in_messages(field: str, refusal: Refusal) -> Mapping[str, Json]:
    match field:
        case "reasoning_content" | "reasoning" | "reasoning_details" if not refusal.says(*THINKING_WANTED):
            return {"replay": "never"} if any(field in message for message in refusal.messages("assistant")) else {}
        case "name" if not refusal.says(*NAMES_WANTED):
            return {"tool_result_name": False}
        case "prefix":
            return {"trailing_assistant": "user_stub"}
    return {}


def _without_in_tools(inner: Sequence[str], refusal: Refusal) -> Mapping[str, Json]:
    if inner and inner[-1] == "strict":
        return {"strict_tools": "drop"}
    if inner and (inner[-1] in KEYWORDS or "parameters" in inner):
        return narrower_schemas(KEYWORDS & {inner[-1]}, refusal)
    return {}


def _without_parameter(name: str, profile: Profile) -> dict[str, Json]:
    """`name` is what the provider calls it. It is dropped in any case: a client that speaks chat may have sent it."""
    ours = next((known for known, theirs in profile.rename_params.items() if theirs == name), name)
    overrides = dropping(profile, ours)
    if name in profile.extra_body:
        overrides["extra_body"] = {key: value for key, value in profile.extra_body.items() if key != name}
    if name in TOKEN_LIMITS and TOKEN_LIMITS[name] not in profile.drop_params:
        overrides["max_tokens_field"] = TOKEN_LIMITS[name]
    elif name == "stream_options":
        overrides["stream_usage"] = "none"
    elif name == "parallel_tool_calls":
        overrides["parallel_tool_calls"] = "drop"
    elif profile.web_search and name in profile.web_search:
        overrides["web_search"] = None
    elif {*profile.on_fragment, *profile.off_fragment, *profile.auto_fragment} - {*profile.drop_params} == {name}:
        overrides |= NO_SWITCH
    return overrides
