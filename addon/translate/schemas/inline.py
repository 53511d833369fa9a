"""A schema with references → the same schema with what they mean in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from addon.translate.schemas.merge import merged
from addon.translate.schemas.nodes import MAX_DEPTH, Losses, as_object, with_children
from addon.wire.json import Json, JsonObject

_MAX_INLINED: Final = 5_000
"""Nodes that references may add: definitions that use each other twice would grow without end."""


class Inlining:
    """Puts what a `$ref` means in its place. One that leads back to where it stands may be anything there."""

    def __init__(self, root: JsonObject, losses: Losses) -> None:
        self._root = root
        self._losses = losses
        self._left = _MAX_INLINED

    def whole(self) -> JsonObject:
        inlined = self._inlined(self._root, ("#",), 0)
        return inlined if isinstance(inlined, dict) else {}

    def _inlined(self, schema: Json, trail: tuple[str, ...], depth: int) -> Json:
        if not isinstance(schema, dict):
            return schema
        if depth > MAX_DEPTH:
            self._losses["depth"] = None
            return {}
        if len(trail) > 1:
            self._left -= 1
        node = {key: value for key, value in schema.items() if key not in ("$defs", "definitions")}
        ref = node.pop("$ref", None)
        if isinstance(ref, str):
            target = self._target(ref, trail)
            # The keywords beside a reference hold as well; each side is inlined from where it stands.
            beside = self._children(node, trail, depth)
            return merged(beside, target(depth + 1), self._losses) if target else beside
        return self._children(node, trail, depth)

    def _children(self, node: JsonObject, trail: tuple[str, ...], depth: int) -> JsonObject:
        return with_children(node, lambda _, child: self._inlined(child, trail, depth + 1))

    def _target(self, ref: str, trail: tuple[str, ...]) -> Callable[[int], JsonObject] | None:
        found = _pointed_at(self._root, ref)
        if found is None:
            self._losses["unknown $ref"] = None
        elif ref in trail or self._left <= 0:
            self._losses["recursion" if ref in trail else "size"] = None
        else:
            return lambda depth: as_object(self._inlined(found, (*trail, ref), depth))
        return None


def _pointed_at(root: JsonObject, ref: str) -> JsonObject | None:
    """What a JSON pointer within the document means."""
    start, *steps = ref.split("/")
    if start != "#":
        return None
    found: Json = root
    for step in steps:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6:
            found = found[int(name)] if int(name) < len(found) else None
        else:
            return None
    return found if isinstance(found, dict) else None
