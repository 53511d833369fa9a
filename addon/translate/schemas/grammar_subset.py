"""What llama.cpp and other servers can turn into a grammar that holds the model to the schema."""

from __future__ import annotations

from typing import Final

from addon.translate.schemas.dialect import CLOSED, Dialect, told
from addon.translate.schemas.keywords import COUNTS
from addon.translate.schemas.nodes import Losses, type_of, without
from addon.wire.json import Json, JsonObject

_MAX_REPEAT: Final = 256
"""Longest repetition a grammar is asked for; llama.cpp refuses those that multiply to 2,000 rules."""
_GRAMMAR_FORMATS = ("date", "time", "date-time", "uuid")


def _grammar_format(node: JsonObject, losses: Losses) -> JsonObject:
    if "format" not in node or node["format"] in _GRAMMAR_FORMATS:
        return node
    losses["format"] = None
    return told(node, ["format"])


def _small_counts(node: JsonObject, losses: Losses) -> JsonObject:
    """Without repetitions that would make the grammar too large."""
    large = [key for key in COUNTS if key in node and not _is_small(node[key])]
    losses.update(dict.fromkeys(large))
    return told(node, large)


def _is_small(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_REPEAT


def _whole_bounds(node: JsonObject, losses: Losses) -> JsonObject:
    """Bounds are whole numbers, or the server fails to read them."""
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    odd = [key for key in keys if key in node and type_of(node[key]) != "integer"]
    losses.update(dict.fromkeys(odd))
    return without(node, *odd)


GRAMMAR = Dialect(
    CLOSED,
    {"type": ["string", "number", "boolean", "object", "array", "null"]},
    (_grammar_format, _small_counts, _whole_bounds),
)
