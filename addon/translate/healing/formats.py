"""Refusals of schemas, and of the form an answer is to have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from addon.translate.healing.refusal import Refusal, Remedy, Rule, dropping, rule
from addon.translate.schemas.gemini import GEMINI
from addon.translate.schemas.grammar_subset import GRAMMAR
from addon.translate.schemas.mfjs import MFJS
from addon.wire.json import Json, dumps

KEYWORDS = frozenset(
    {
        "$ref", "$defs", "definitions", "$schema", "$id", "anyOf", "any_of", "oneOf", "one_of", "allOf", "all_of",
        "const", "additionalProperties", "additional_properties", "patternProperties", "propertyNames",
        "unevaluatedProperties", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "prefixItems",
        "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "examples",
        "dependentRequired", "contentEncoding", "nullable",
    }
)  # fmt: skip
"""Keywords of schemas that are no words of other things."""

_REFERENCES = frozenset({"$ref", "$defs", "definitions"})
_FURTHER = frozenset({"additionalProperties", "additional_properties"})
_FLAVORS: Sequence[tuple[str, frozenset[str]]] = (
    ("none", KEYWORDS),
    ("no_additional_properties", KEYWORDS - _FURTHER),
    ("inline_defs", KEYWORDS - _REFERENCES),
    ("mfjs", MFJS.keywords),
    ("grammar", GRAMMAR.keywords),
    ("gemini", GEMINI.keywords),
)
"""The dialects of schemas, from free to narrow, and what each leaves in."""
_NAMED = (
    ("mfjs", re.compile(r"flavou?red json ?schema", re.I)),
    ("grammar", re.compile("grammar|schema conversion", re.I)),
)
"""Dialects that their servers call by name."""


def _schema(refusal: Refusal) -> Remedy | None:
    """Of one schema for the answer more can be saved than of all tools: it can be told in words."""
    if "response_format" in refusal.text:
        return _weaker(refusal)
    if "required to be supplied" in refusal.text:  # there is too little in it, not too much
        return None
    overrides = narrower_schemas(KEYWORDS & {*re.findall(r"[\w$]+", refusal.text)}, refusal)
    why = "this provider does not understand all of them; they are simplified"
    return Remedy(overrides, "tools: schemas", why) if overrides else None


def narrower_schemas(keywords: frozenset[str], refusal: Refusal) -> Mapping[str, Json]:
    """The next dialect without these keywords, or, if none are named, with less than now."""
    names = [name for name, _ in _FLAVORS]
    current = names.index(refusal.profile.schema_flavor)
    later = _FLAVORS[current + 1 :]
    if not later or (keywords and not keywords & _FLAVORS[current][1]):
        return {}
    for dialect, words in _NAMED:
        if words.search(refusal.text):
            return {"schema_flavor": dialect} if names.index(dialect) > current else {}
    if not keywords:
        keywords = _REFERENCES if '"$ref"' in dumps(refusal.body) else frozenset({"const"})
    keywords |= _FURTHER - _FLAVORS[current][1]
    return {"schema_flavor": next((name for name, left_in in later if not keywords & left_in), names[-1])}


def _weaker(refusal: Refusal) -> Remedy | None:
    overrides = weaker_format(refusal)
    return Remedy(overrides, "text.format", "refused by this provider; a weaker form is used") if overrides else None


def weaker_format(refusal: Refusal) -> Mapping[str, Json]:
    """json_schema → json_object → instructions. What a client that speaks chat has sent itself is dropped."""
    wanted = refusal.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    level = refusal.profile.response_format
    if kind is None:
        return {}
    if kind == "json_schema" and level == "json_schema":
        return {"response_format": "json_object"}
    if kind == "json_object" and level in ("json_schema", "json_object"):
        return {"response_format": "prompt"}
    return dropping(refusal.profile, "response_format")


def _not_with_tools(refusal: Refusal) -> Remedy | None:
    if "response_format" not in refusal.body or not refusal.tools:
        return None
    overrides: Mapping[str, Json] = {"response_format_with_tools": False}
    if not refusal.profile.response_format_with_tools:
        overrides = dropping(refusal.profile, "response_format")
    return Remedy(overrides, "text.format", "only told in the instructions: this provider takes none with tools")


def _word_json(refusal: Refusal) -> Remedy | None:
    return Remedy({"json_needs_word": True}, "text.format", "this provider wants the word JSON in the instructions")


_FORMAT = r"(?:response[_ ]format|json[_ ](?:mode|schema|object)|structured outputs?|response mime type)"
_TOOLS = r"\b(?:tools?|function[_ ]?call\w*)\b"
_TOGETHER = r"\b(?:combin\w+|together|simultaneous\w*|same time|incompatible|both|with)\b"
_REFUSED = r"(?:(?:not|n't|cannot|un)[ -]?(?:be |currently |yet )?(?:support\w*|available|allowed|accept\w*|enabled))"
_SPECIAL = r"(?:anyOf|oneOf|allOf|const|additionalProperties|patternProperties|\$ref)"

RULES: Sequence[Rule] = (
    rule(_word_json, r"contain the word '?json"),
    rule(
        _not_with_tools,
        rf"{_FORMAT}.{{0,60}}{_TOGETHER}.{{0,60}}{_TOOLS}",
        rf"{_TOOLS}.{{0,60}}{_TOGETHER}.{{0,60}}{_FORMAT}",
    ),
    rule(
        _weaker,
        rf"{_FORMAT}.{{0,80}}(?:{_REFUSED}|unavailable|must be)",
        rf"(?:{_REFUSED}|unavailable).{{0,40}}{_FORMAT}",
    ),
    rule(
        _schema,
        r"invalid (?:json )?schema|unsupported (?:json )?schema|unrecogni[sz]ed schema",
        r"schema is (?:invalid|not)|not a valid .{0,30}schema|schema conversion failed",
        r"failed to (?:parse|compile) grammar",
        r"pointertonowhere|unresolvable|resolve.{0,40}\$ref|\$(?:ref|defs)\b.{0,40}(?:not|unresol|invalid)",
        r"proto field is not repeating",
        rf"(?:keyword|'{_SPECIAL}').{{0,40}}not (?:supported|permitted|allowed)",
        rf"schema.{{0,80}}{_SPECIAL}.{{0,40}}not (?:supported|permitted|allowed)",
        rf"(?:not|n't) support (?:the )?(?:keyword )?'?{_SPECIAL}",
    ),
)
