"""Several schemas for one value → one schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from addon.translate.schemas.keywords import TYPED
from addon.translate.schemas.nodes import Losses, as_list, as_object, without
from addon.translate.schemas.repair import repaired, with_required
from addon.wire.json import Json, JsonObject, dumps


def opened(schema: Json, losses: Losses) -> JsonObject:
    """A node in fewer words: no allOf, oneOf or const, no list under `items`."""
    node = repaired(schema, losses)
    while isinstance(parts := node.get("allOf"), list):
        node = without(node, "allOf")
        for part in parts:
            node = merged(node, repaired(part, losses), losses)
    if "oneOf" in node:
        one_of = node["oneOf"]
        if "anyOf" in node:
            losses["oneOf"] = None
        node = {"anyOf": one_of, **without(node, "oneOf")}
    if "const" in node:
        node = {"enum": [node["const"]], **without(node, "const")}
    if isinstance(node.get("items"), list):
        node = {"prefixItems": node["items"], **without(node, "items")}
        if not node["prefixItems"]:
            node = without(node, "prefixItems")
    return without(node, "items") if isinstance(node.get("items"), bool) else node


def merged(node: JsonObject, other: JsonObject, losses: Losses) -> JsonObject:
    """One schema for values that satisfy both, with the words of the first where they differ."""
    both = dict(node)
    for key, value in other.items():
        if key not in both or both[key] == value:
            both[key] = value
        else:
            both[key] = _both(key, both[key], value, losses)
    return both


def _both(key: str, first: Json, second: Json, losses: Losses) -> Json:
    match key, first, second:
        case "properties", dict(), dict():
            shared: JsonObject = {
                name: {"allOf": [first[name], schema]} if name in first and first[name] != schema else schema
                for name, schema in second.items()
            }
            return {**first, **shared}
        case "required", list(), list():
            return [*first, *(name for name in second if name not in first)]
        case "allOf", list(), list():
            return [*first, *second]
        case "additionalProperties", _, False:
            return False
        case "enum", list(), list():
            return [value for value in first if value in second] or first
        case "type", list(), str() if second in first:
            return second
    if key in TYPED or key in ("anyOf", "oneOf", "not", "const", "enum", "type"):
        losses[f"a second {key}"] = None
    return first


def united(node: JsonObject, losses: Losses) -> JsonObject:
    """An object with the properties of all its alternatives, for dialects that cannot have both beside each other."""
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return node
    losses["alternatives beside properties"] = None
    alternatives = [opened(branch, losses) for branch in branches]
    objects = [branch for branch in alternatives if branch.get("type") in (None, "object")]
    properties: JsonObject = {**_all_properties(objects), **as_object(node.get("properties"))}
    required: JsonObject = {"required": [*as_list(node.get("required")), *_always_required(objects)]}
    whole: JsonObject = {**without(node, "anyOf", "required"), "properties": properties}
    return with_required({**whole, **required} if required["required"] else whole, properties)


def _all_properties(objects: Iterable[JsonObject]) -> JsonObject:
    found: dict[str, list[Json]] = {}
    for branch in objects:
        for name, schema in as_object(branch.get("properties")).items():
            found.setdefault(name, []).append(schema)
    return {name: any_of(schemas) for name, schemas in found.items()}


def _always_required(objects: Iterable[JsonObject]) -> list[Json]:
    first, *others = [as_list(branch.get("required")) for branch in objects] or [[]]
    return [name for name in first if all(name in names for names in others)]


def any_of(schemas: Sequence[Json]) -> Json:
    distinct = list({dumps(schema): schema for schema in schemas}.values())
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
