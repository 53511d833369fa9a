"""A subset of JSON Schema, and how a schema without references is rewritten for it.

The work goes from the root down: a node is rewritten until nothing changes, then its children are. A fitted schema is
therefore left alone when it is fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from addon.translate.schemas.keywords import COUNTS, KEYWORDS_OF, MISSED, TOLD, TYPED
from addon.translate.schemas.merge import merged, opened, united
from addon.translate.schemas.nodes import MAX_DEPTH, Losses, as_object, is_of, types_of, with_children, without
from addon.translate.schemas.repair import repaired, root_type, with_required
from addon.wire.json import Json, JsonObject, dumps

SHARED = frozenset(
    {
        "type",
        "description",
        "default",
        "enum",
        "anyOf",
        "properties",
        "required",
        "items",
        "minimum",
        "maximum",
        *COUNTS,
    }
)
CLOSED = SHARED | {"title", "additionalProperties", "prefixItems", "format", "exclusiveMinimum", "exclusiveMaximum"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A subset of JSON Schema."""

    keywords: frozenset[str]
    anything: JsonObject
    """The schema of a value of any type, as good as it can be said."""
    steps: Sequence[Callable[[JsonObject, Losses], JsonObject]]
    """What is done to a node beyond the common steps, in this order."""


class Fitting:
    """Rewrites the nodes of a schema without references."""

    def __init__(self, dialect: Dialect, losses: Losses) -> None:
        self._dialect = dialect
        self._losses = losses

    def root(self, schema: JsonObject) -> JsonObject:
        """The root is an object without alternatives everywhere: OpenAI wants it so too."""
        node = opened(schema, self._losses)
        node = united({**node, **root_type(node, self._losses)}, self._losses)
        node = self._settled(node)
        return self._fitted({"type": "object", "properties": {}, **node}, 0)

    def _fit(self, schema: Json, depth: int) -> Json:
        if depth >= MAX_DEPTH:
            if schema and schema != self._dialect.anything:
                self._losses["depth"] = None
            return self._dialect.anything
        return self._fitted(self._settled(repaired(schema, self._losses)), depth)

    def _fitted(self, node: JsonObject, depth: int) -> JsonObject:
        return with_children(node, lambda key, child: self._child(key, child, depth + 1))

    def _child(self, key: str, schema: Json, depth: int) -> Json:
        return schema if key == "additionalProperties" and isinstance(schema, bool) else self._fit(schema, depth)

    def _settled(self, node: JsonObject) -> JsonObject:
        for _ in range(MAX_DEPTH):
            changed = self._rewritten(node)
            if changed == node:
                break
            node = changed
        return node

    def _rewritten(self, node: JsonObject) -> JsonObject:
        node = _typed(opened(node, self._losses), self._dialect.anything)
        node = _limited(node, self._dialect.keywords, self._losses)
        node = _alternatives(node, self._losses)
        for step in self._dialect.steps:
            node = step(node, self._losses)
        return _of_its_type(node)


def _typed(node: JsonObject, anything: JsonObject) -> JsonObject:
    """The node with a type, where its keywords or values give it away, or as anything."""
    if "type" in node or "anyOf" in node:
        return node
    values = node.get("enum")
    if isinstance(values, list):
        types = types_of(values)
        return {"type": types[0] if len(types) == 1 else list[Json](types), **node}
    guessed = next((name for name, keywords in KEYWORDS_OF.items() if keywords & node.keys()), None)
    return {"type": guessed, **node} if guessed else {**anything, **node}


def _limited(node: JsonObject, keywords: frozenset[str], losses: Losses) -> JsonObject:
    """The node without the keywords a dialect has not."""
    gone = [key for key in node if key not in keywords]
    losses.update(dict.fromkeys(key for key in gone if key in MISSED))
    if isinstance(node.get("additionalProperties"), dict) and "additionalProperties" in gone:
        losses["additionalProperties"] = None
    return told(node, gone)


def _alternatives(node: JsonObject, losses: Losses) -> JsonObject:
    """`anyOf` alone but for words about it: what stood beside it moves into the branches, or takes them in."""
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return node
    if "properties" in node:
        return united(node, losses)
    if len(branches) == 1:
        return merged(without(node, "anyOf"), repaired(branches[0], losses), losses)
    about, beside = _apart(without(node, "anyOf"))
    if beside:
        branches = [{**beside, **repaired(branch, losses)} for branch in branches]
    return {**about, "anyOf": branches}


def _of_its_type(node: JsonObject) -> JsonObject:
    """The node without keywords about other types, which do nothing and are refused in places."""
    name = node.get("type")
    if not isinstance(name, str):
        return node
    foreign = TYPED - KEYWORDS_OF.get(name, frozenset())
    node = without(node, *foreign)
    if name == "object":
        node = with_required(node, as_object(node.get("properties")))
    values = node.get("enum")
    if isinstance(values, list):
        fitting = [value for value in values if is_of(value, name)]
        return {**node, "enum": fitting} if fitting else without(node, "enum")
    return node


def by_type(node: JsonObject, losses: Losses) -> JsonObject:
    """Each of several types as an alternative of its own."""
    types = node.get("type")
    if not isinstance(types, list):
        return node
    if len(types) == 1:
        return {**node, "type": types[0]}
    about, rest = _apart(node)
    return {**about, "anyOf": [_of_its_type({**rest, "type": name}) for name in types]}


def _apart(node: JsonObject) -> tuple[JsonObject, JsonObject]:
    """What may stand beside alternatives, and what may not. A default would have to fit each: it is told."""
    node = told(node, ["default"])
    about = {key: value for key, value in node.items() if key in ("description", "title", "nullable")}
    return about, without(node, *about)


def told(node: JsonObject, keys: Iterable[str]) -> JsonObject:
    """The node without `keys`; of those a model understands, the description tells."""
    keys = list(keys)
    values = {key: node[key] for key in keys if key in TOLD and key in node}
    words = [f"{key}: {_word(value)}" for key, value in values.items() if value is not None and value is not False]
    rest = without(node, *keys)
    if not words:
        return rest
    description = node.get("description")
    about = f"{description} " if isinstance(description, str) and description else ""
    return {**rest, "description": f"{about}({'; '.join(words)})"}


def _word(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)
