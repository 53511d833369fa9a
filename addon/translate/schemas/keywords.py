"""The keywords of JSON Schema: which hold schemas, which speak of one type only, and which are missed when they go."""

from __future__ import annotations

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
UNIONS = ("allOf", "anyOf", "oneOf")
MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
LISTS = frozenset({*UNIONS, "prefixItems"})
SINGLES = frozenset(
    {
        "items", "additionalItems", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
        "unevaluatedProperties", "not", "if", "then", "else",
    }
)  # fmt: skip

_NUMERIC = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"})
KEYWORDS_OF = {
    "object": frozenset({"properties", "required", "additionalProperties", "minProperties", "maxProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": _NUMERIC,
    "integer": _NUMERIC,
}
"""What says something about one type only. The order is the one in which a missing type is guessed."""
TYPED = frozenset[str]().union(*KEYWORDS_OF.values())

COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_LIMITS = frozenset({"pattern", "format", "multipleOf", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", *COUNTS})
TOLD = _LIMITS | {"enum", "default"}
"""What is short enough for the description."""
MISSED = _LIMITS | {
    "not", "if", "patternProperties", "dependentSchemas", "dependentRequired", "dependencies", "contains",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties", "prefixItems", "minProperties", "maxProperties",
}  # fmt: skip
"""Keywords whose absence lets a wrong value pass; all others are annotations."""
