"""Gemini's subset: OpenAPI's `nullable` for null, one type for each node, enumerated texts only."""

from __future__ import annotations

from addon.translate.schemas.dialect import SHARED, Dialect, by_type, told
from addon.translate.schemas.merge import any_of
from addon.translate.schemas.nodes import Losses, without
from addon.wire.json import Json, JsonObject

_GEMINI_FORMATS = {
    "string": ("date-time", "enum"), "number": ("float", "double"), "integer": ("int32", "int64"),
}  # fmt: skip


def _nullable(node: JsonObject, losses: Losses) -> JsonObject:
    """OpenAPI's `nullable` for the type null, wherever it stands."""
    types, branches = node.get("type"), node.get("anyOf")
    if types == "null":
        return {**without(node, "enum"), "type": "string", "nullable": True}
    if isinstance(types, list) and "null" in types:
        others = [name for name in types if name != "null"]
        return {**node, "type": others or ["string"], "nullable": True}
    if isinstance(branches, list) and any(_says_null(branch) for branch in branches):
        others = [branch for branch in branches if not _says_null(branch)]
        return {**node, "anyOf": others or [{"type": "string"}], "nullable": True}
    return node


def _says_null(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _text_enum(node: JsonObject, losses: Losses) -> JsonObject:
    """Only texts can be enumerated, and no empty ones."""
    values = node.get("enum")
    if not isinstance(values, list):
        return node
    if None in values:
        node = {**node, "enum": [value for value in values if value is not None], "nullable": True}
        return node if node["enum"] else without(node, "enum")
    if node.get("type") == "string" and all(isinstance(value, str) and value for value in values):
        return node
    losses["enum"] = None
    return told(node, ["enum"])


def _known_format(node: JsonObject, losses: Losses) -> JsonObject:
    if "format" not in node or node["format"] in _GEMINI_FORMATS.get(str(node.get("type")), ()):
        return node
    losses["format"] = None
    return told(node, ["format"])


def _one_item_schema(node: JsonObject, losses: Losses) -> JsonObject:
    """An array has one schema for all its items, and must have it."""
    return {**node, "items": {}} if node.get("type") == "array" and "items" not in node else node


def _tuple_as_items(node: JsonObject, losses: Losses) -> JsonObject:
    places = node.get("prefixItems")
    if not isinstance(places, list):
        return node
    losses["tuple"] = None
    more = [node["items"]] if "items" in node else []
    return {**without(node, "prefixItems"), "items": any_of([*places, *more])}


def _some_properties(node: JsonObject, losses: Losses) -> JsonObject:
    """An object may lack `properties`, but they may not be empty."""
    return without(node, "properties") if node.get("properties") == {} else node


GEMINI = Dialect(
    SHARED | {"nullable", "format", "pattern", "minProperties", "maxProperties", "prefixItems"},
    {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
    (_tuple_as_items, _nullable, by_type, _text_enum, _known_format, _one_item_schema, _some_properties),
)
