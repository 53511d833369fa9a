"""Moonshot's subset (MFJS): one type for each node, enumerated scalars, defaults of the declared type."""

from __future__ import annotations

from addon.translate.schemas.dialect import CLOSED, Dialect, by_type, told
from addon.translate.schemas.nodes import Losses, is_of, without
from addon.wire.json import JsonObject


def _scalar_enum(node: JsonObject, losses: Losses) -> JsonObject:
    """Texts and numbers can be enumerated."""
    values = node.get("enum")
    if not isinstance(values, list) or isinstance(node.get("type"), list):
        return node
    if node.get("type") in ("string", "number", "integer"):
        return node
    if node.get("type") != "null":
        losses["enum"] = None
        return told(node, ["enum"])
    return without(node, "enum")


def _default_of_type(node: JsonObject, losses: Losses) -> JsonObject:
    """A default is a scalar of the declared type."""
    if "default" not in node or not isinstance(node.get("type"), str):
        return node
    value, name = node["default"], node["type"]
    if name not in ("object", "array") and is_of(value, name):
        return node
    return without(node, "default") if value is None else told(node, ["default"])


MFJS = Dialect(
    CLOSED | {"pattern", "multipleOf", "uniqueItems", "minProperties", "maxProperties"},
    {"anyOf": [{"type": name} for name in ("string", "number", "boolean", "object", "array", "null")]},
    (by_type, _scalar_enum, _default_of_type),
)
