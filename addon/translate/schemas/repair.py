"""A client's schema, however broken → JSON Schema that any provider can read."""

from __future__ import annotations

from collections.abc import Iterable

from addon.translate.schemas.keywords import LISTS, MAPS, SINGLES, TYPES, UNIONS
from addon.translate.schemas.nodes import MAX_DEPTH, Losses, with_children, without
from addon.wire.json import Json, JsonObject


def plain_root(schema: JsonObject, losses: Losses) -> JsonObject:
    node = repaired(schema, losses)
    node = repaired({"type": "object", "properties": {}, **node, **root_type(node, losses)}, losses)
    return _plain_children(node, 0, losses)


def opened_up(schema: Json, losses: Losses) -> JsonObject:
    """A repaired schema that says nothing about further properties, in it and in all schemas in it."""
    if not isinstance(schema, dict):
        return {}
    if isinstance(schema.get("additionalProperties"), dict):
        losses["additionalProperties"] = None
    node = without(schema, "additionalProperties")
    return with_children(node, lambda _, child: child if isinstance(child, bool) else opened_up(child, losses))


def root_type(node: JsonObject, losses: Losses) -> JsonObject:
    given = node.get("type")
    if given is not None and "object" not in (given if isinstance(given, list) else [given]):
        losses["a root that is not an object"] = None
    return {"type": "object"}


def _plain(key: str, schema: Json, depth: int, losses: Losses) -> Json:
    if isinstance(schema, bool) and key != "properties":
        return schema
    if depth >= MAX_DEPTH:
        if schema:
            losses["depth"] = None
        return {}
    return _plain_children(repaired(schema, losses), depth, losses)


def _plain_children(node: JsonObject, depth: int, losses: Losses) -> JsonObject:
    return with_children(node, lambda key, child: _plain(key, child, depth + 1, losses))


def repaired(schema: Json, losses: Losses) -> JsonObject:
    """One node without what is no JSON Schema: a schema that is no object, keywords of a wrong form, Codex's marks."""
    if not isinstance(schema, dict):
        return {}
    node: JsonObject = {}
    for key, value in schema.items():
        if key == "$schema" or (key == "encrypted" and isinstance(value, bool)):
            continue
        if _is_sound(key, value):
            node[key] = value
        elif value is not None:
            losses[f"invalid {key}"] = None
    properties = node.get("properties")
    if isinstance(properties, dict) and not any(key in node for key in (*UNIONS, "$ref")):
        return with_required(node, properties)
    return node


def _is_sound(key: str, value: Json) -> bool:
    if key == "type":
        names = value if isinstance(value, list) else [value]
        return bool(names) and all(name in TYPES for name in names)
    if key == "required":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    if key in MAPS:
        return isinstance(value, dict)
    if key in LISTS or key == "enum":
        return isinstance(value, list) and bool(value)
    if key in SINGLES:
        return isinstance(value, (dict, bool)) or (key == "items" and isinstance(value, list))
    return isinstance(value, str) if key in ("description", "$ref", "pattern", "format") else True


def with_required(node: JsonObject, known: Iterable[str]) -> JsonObject:
    """The node with no name in `required` that is not `known`, which some providers refuse."""
    named = node.get("required")
    if not isinstance(named, list):
        return node
    kept: list[Json] = [name for name in named if isinstance(name, str) and name in known]
    if len(kept) == len(named):
        return node
    rest = without(node, "required")
    return {**rest, "required": kept} if kept else rest
