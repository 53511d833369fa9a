"""One node of a schema: its parts, and the types of its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from addon.translate.schemas.keywords import LISTS, MAPS, SINGLES
from addon.wire.json import Json, JsonObject

Losses: TypeAlias = dict[str, None]
"""Keywords and short words for what a provider is not told, in the order of their discovery."""
MAX_DEPTH: Final = 64
"""Schemas within schemas; what is deeper may be anything."""


def with_children(node: JsonObject, change: Callable[[str, Json], Json]) -> JsonObject:
    """The node with its schemas changed; `change` is told the keyword each stands under."""
    return {key: _changed(key, value, change) for key, value in node.items()}


def _changed(key: str, value: Json, change: Callable[[str, Json], Json]) -> Json:
    if key in MAPS and isinstance(value, dict):
        return {name: change(key, child) for name, child in value.items()}
    if isinstance(value, list) and (key in LISTS or key == "items"):
        return [change(key, child) for child in value]
    return change(key, value) if key in SINGLES else value


def without(node: JsonObject, *keys: str) -> JsonObject:
    return {key: value for key, value in node.items() if key not in keys}


def as_object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def types_of(values: Sequence[Json]) -> list[str]:
    types = list(dict.fromkeys(type_of(value) for value in values))
    return [name for name in types if not (name == "integer" and "number" in types)]


def type_of(value: Json) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case list():
            return "array"
        case _:
            return "object"


def is_of(value: Json, name: Json) -> bool:
    own = type_of(value)
    if isinstance(value, float) and name == "integer":
        return value.is_integer()
    return own == name or (own == "integer" and name == "number")
