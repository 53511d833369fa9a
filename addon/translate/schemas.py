"""A client's JSON Schema → the same schema as a provider takes it, and what that loses.

Schemas come from whatever tools a user has installed, and one that a provider cannot read fails the whole request. So
each is repaired, for everybody, and rewritten where a provider knows a subset only. A constraint that a dialect has no
keyword for is told in the description, where the model at least can read it.

The work goes from the root down: a node is rewritten until nothing changes, then its children are. A fitted schema is
therefore left alone when it is fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from addon.wire.json import Json, JsonObject, dumps

SchemaFlavor: TypeAlias = Literal["none", "gemini", "mfjs", "grammar", "inline_defs"]

_Losses: TypeAlias = dict[str, None]
"""Keywords and short words for what a provider is not told, in the order of their discovery."""

_MAX_DEPTH: Final = 64
"""Schemas within schemas; what is deeper may be anything."""
_MAX_INLINED: Final = 5_000
"""Nodes that references may add: definitions that use each other twice would grow without end."""
_MAX_REPEAT: Final = 256
"""Longest repetition a grammar is asked for; llama.cpp refuses those that multiply to 2,000 rules."""

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_UNIONS = ("allOf", "anyOf", "oneOf")
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS = frozenset({*_UNIONS, "prefixItems"})
_SINGLES = frozenset(
    {
        "items", "additionalItems", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
        "unevaluatedProperties", "not", "if", "then", "else",
    }
)  # fmt: skip

_NUMERIC = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"})
_KEYWORDS_OF = {
    "object": frozenset({"properties", "required", "additionalProperties", "minProperties", "maxProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": _NUMERIC,
    "integer": _NUMERIC,
}
"""What says something about one type only. The order is the one in which a missing type is guessed."""
_TYPED = frozenset[str]().union(*_KEYWORDS_OF.values())

_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_LIMITS = frozenset(
    {"pattern", "format", "multipleOf", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", *_COUNTS}
)
_TOLD = _LIMITS | {"enum", "default"}
"""What is short enough for the description."""
_MISSED = _LIMITS | {
    "not", "if", "patternProperties", "dependentSchemas", "dependentRequired", "dependencies", "contains",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties", "prefixItems", "minProperties", "maxProperties",
}  # fmt: skip
"""Keywords whose absence lets a wrong value pass; all others are annotations."""


def fit_schema(schema: JsonObject | None, flavor: SchemaFlavor) -> tuple[JsonObject, Sequence[str]]:
    """The schema of a function's parameters, or of an answer, for a provider.

    Args:
        schema: as the client sent it, however broken.
        flavor: the provider's dialect.

    Returns:
        A schema of an object, and short words for what of the client's schema is not in it.
    """
    losses: _Losses = {}
    whole = schema or {}
    if flavor != "none":
        whole = _Inlining(whole, losses).whole()
    dialect = _DIALECTS.get(flavor)
    return (_plain_root(whole, losses) if dialect is None else _Fitting(dialect, losses).root(whole)), tuple(losses)


# --- references ------------------------------------------------------------------------------------------------------


class _Inlining:
    """Puts what a `$ref` means in its place. One that leads back to where it stands may be anything there."""

    def __init__(self, root: JsonObject, losses: _Losses) -> None:
        self._root = root
        self._losses = losses
        self._left = _MAX_INLINED

    def whole(self) -> JsonObject:
        inlined = self._inlined(self._root, ("#",), 0)
        return inlined if isinstance(inlined, dict) else {}

    def _inlined(self, schema: Json, trail: tuple[str, ...], depth: int) -> Json:
        if not isinstance(schema, dict):
            return schema
        if depth > _MAX_DEPTH:
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
            return _merged(beside, target(depth + 1), self._losses) if target else beside
        return self._children(node, trail, depth)

    def _children(self, node: JsonObject, trail: tuple[str, ...], depth: int) -> JsonObject:
        return _with_children(node, lambda _, child: self._inlined(child, trail, depth + 1))

    def _target(self, ref: str, trail: tuple[str, ...]) -> Callable[[int], JsonObject] | None:
        found = _pointed_at(self._root, ref)
        if found is None:
            self._losses["unknown $ref"] = None
        elif ref in trail or self._left <= 0:
            self._losses["recursion" if ref in trail else "size"] = None
        else:
            return lambda depth: _as_object(self._inlined(found, (*trail, ref), depth))
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


# --- for everybody ---------------------------------------------------------------------------------------------------


def _plain_root(schema: JsonObject, losses: _Losses) -> JsonObject:
    node = _repaired(schema, losses)
    node = _repaired({"type": "object", "properties": {}, **node, **_root_type(node, losses)}, losses)
    return _plain_children(node, 0, losses)


def _root_type(node: JsonObject, losses: _Losses) -> JsonObject:
    given = node.get("type")
    if given is not None and "object" not in (given if isinstance(given, list) else [given]):
        losses["a root that is not an object"] = None
    return {"type": "object"}


def _plain(key: str, schema: Json, depth: int, losses: _Losses) -> Json:
    if isinstance(schema, bool) and key != "properties":
        return schema
    if depth >= _MAX_DEPTH:
        if schema:
            losses["depth"] = None
        return {}
    return _plain_children(_repaired(schema, losses), depth, losses)


def _plain_children(node: JsonObject, depth: int, losses: _Losses) -> JsonObject:
    return _with_children(node, lambda key, child: _plain(key, child, depth + 1, losses))


def _with_children(node: JsonObject, change: Callable[[str, Json], Json]) -> JsonObject:
    """The node with its schemas changed; `change` is told the keyword each stands under."""
    return {key: _changed(key, value, change) for key, value in node.items()}


def _changed(key: str, value: Json, change: Callable[[str, Json], Json]) -> Json:
    if key in _MAPS and isinstance(value, dict):
        return {name: change(key, child) for name, child in value.items()}
    if isinstance(value, list) and (key in _LISTS or key == "items"):
        return [change(key, child) for child in value]
    return change(key, value) if key in _SINGLES else value


def _repaired(schema: Json, losses: _Losses) -> JsonObject:
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
    if isinstance(properties, dict) and not any(key in node for key in (*_UNIONS, "$ref")):
        return _with_required(node, properties)
    return node


def _is_sound(key: str, value: Json) -> bool:
    if key == "type":
        names = value if isinstance(value, list) else [value]
        return bool(names) and all(name in _TYPES for name in names)
    if key == "required":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    if key in _MAPS:
        return isinstance(value, dict)
    if key in _LISTS or key == "enum":
        return isinstance(value, list) and bool(value)
    if key in _SINGLES:
        return isinstance(value, (dict, bool)) or (key == "items" and isinstance(value, list))
    return isinstance(value, str) if key in ("description", "$ref", "pattern", "format") else True


def _with_required(node: JsonObject, known: Iterable[str]) -> JsonObject:
    """The node with no name in `required` that is not `known`, which some providers refuse."""
    named = node.get("required")
    if not isinstance(named, list):
        return node
    kept: list[Json] = [name for name in named if isinstance(name, str) and name in known]
    if len(kept) == len(named):
        return node
    rest = _without(node, "required")
    return {**rest, "required": kept} if kept else rest


# --- in a dialect ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Dialect:
    """A subset of JSON Schema."""

    keywords: frozenset[str]
    anything: JsonObject
    """The schema of a value of any type, as good as it can be said."""
    steps: Sequence[Callable[[JsonObject, _Losses], JsonObject]]
    """What is done to a node beyond the common steps, in this order."""


class _Fitting:
    """Rewrites the nodes of a schema without references."""

    def __init__(self, dialect: _Dialect, losses: _Losses) -> None:
        self._dialect = dialect
        self._losses = losses

    def root(self, schema: JsonObject) -> JsonObject:
        """The root is an object without alternatives everywhere: OpenAI wants it so too."""
        node = _opened(schema, self._losses)
        node = _united({**node, **_root_type(node, self._losses)}, self._losses)
        node = self._settled(node)
        return self._fitted({"type": "object", "properties": {}, **node}, 0)

    def _fit(self, schema: Json, depth: int) -> Json:
        if depth >= _MAX_DEPTH:
            if schema and schema != self._dialect.anything:
                self._losses["depth"] = None
            return self._dialect.anything
        return self._fitted(self._settled(_repaired(schema, self._losses)), depth)

    def _fitted(self, node: JsonObject, depth: int) -> JsonObject:
        return _with_children(node, lambda key, child: self._child(key, child, depth + 1))

    def _child(self, key: str, schema: Json, depth: int) -> Json:
        return schema if key == "additionalProperties" and isinstance(schema, bool) else self._fit(schema, depth)

    def _settled(self, node: JsonObject) -> JsonObject:
        for _ in range(_MAX_DEPTH):
            changed = self._rewritten(node)
            if changed == node:
                break
            node = changed
        return node

    def _rewritten(self, node: JsonObject) -> JsonObject:
        node = _typed(_opened(node, self._losses), self._dialect.anything)
        node = _limited(node, self._dialect.keywords, self._losses)
        node = _alternatives(node, self._losses)
        for step in self._dialect.steps:
            node = step(node, self._losses)
        return _of_its_type(node)


def _opened(schema: Json, losses: _Losses) -> JsonObject:
    """A node in fewer words: no allOf, oneOf or const, no list under `items`."""
    node = _repaired(schema, losses)
    while isinstance(parts := node.get("allOf"), list):
        node = _without(node, "allOf")
        for part in parts:
            node = _merged(node, _repaired(part, losses), losses)
    if "oneOf" in node:
        one_of = node["oneOf"]
        if "anyOf" in node:
            losses["oneOf"] = None
        node = {"anyOf": one_of, **_without(node, "oneOf")}
    if "const" in node:
        node = {"enum": [node["const"]], **_without(node, "const")}
    if isinstance(node.get("items"), list):
        node = {"prefixItems": node["items"], **_without(node, "items")}
        if not node["prefixItems"]:
            node = _without(node, "prefixItems")
    return _without(node, "items") if isinstance(node.get("items"), bool) else node


def _merged(node: JsonObject, other: JsonObject, losses: _Losses) -> JsonObject:
    """One schema for values that satisfy both, with the words of the first where they differ."""
    both = dict(node)
    for key, value in other.items():
        if key not in both or both[key] == value:
            both[key] = value
        else:
            both[key] = _both(key, both[key], value, losses)
    return both


def _both(key: str, first: Json, second: Json, losses: _Losses) -> Json:
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
    if key in _TYPED or key in ("anyOf", "oneOf", "not", "const", "enum", "type"):
        losses[f"a second {key}"] = None
    return first


def _typed(node: JsonObject, anything: JsonObject) -> JsonObject:
    """The node with a type, where its keywords or values give it away, or as anything."""
    if "type" in node or "anyOf" in node:
        return node
    values = node.get("enum")
    if isinstance(values, list):
        types = _types_of(values)
        return {"type": types[0] if len(types) == 1 else list[Json](types), **node}
    guessed = next((name for name, keywords in _KEYWORDS_OF.items() if keywords & node.keys()), None)
    return {"type": guessed, **node} if guessed else {**anything, **node}


def _types_of(values: Sequence[Json]) -> list[str]:
    types = list(dict.fromkeys(_type_of(value) for value in values))
    return [name for name in types if not (name == "integer" and "number" in types)]


def _type_of(value: Json) -> str:
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


def _is_of(value: Json, name: Json) -> bool:
    own = _type_of(value)
    if isinstance(value, float) and name == "integer":
        return value.is_integer()
    return own == name or (own == "integer" and name == "number")


def _limited(node: JsonObject, keywords: frozenset[str], losses: _Losses) -> JsonObject:
    """The node without the keywords a dialect has not."""
    gone = [key for key in node if key not in keywords]
    losses.update(dict.fromkeys(key for key in gone if key in _MISSED))
    if isinstance(node.get("additionalProperties"), dict) and "additionalProperties" in gone:
        losses["additionalProperties"] = None
    return _told(node, gone)


def _told(node: JsonObject, keys: Iterable[str]) -> JsonObject:
    """The node without `keys`; of those a model understands, the description tells."""
    keys = list(keys)
    values = {key: node[key] for key in keys if key in _TOLD and key in node}
    words = [f"{key}: {_word(value)}" for key, value in values.items() if value is not None and value is not False]
    rest = _without(node, *keys)
    if not words:
        return rest
    description = node.get("description")
    about = f"{description} " if isinstance(description, str) and description else ""
    return {**rest, "description": f"{about}({'; '.join(words)})"}


def _word(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)


def _alternatives(node: JsonObject, losses: _Losses) -> JsonObject:
    """`anyOf` alone but for words about it: what stood beside it moves into the branches, or takes them in."""
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return node
    if "properties" in node:
        return _united(node, losses)
    if len(branches) == 1:
        return _merged(_without(node, "anyOf"), _repaired(branches[0], losses), losses)
    about, beside = _apart(_without(node, "anyOf"))
    if beside:
        branches = [{**beside, **_repaired(branch, losses)} for branch in branches]
    return {**about, "anyOf": branches}


def _apart(node: JsonObject) -> tuple[JsonObject, JsonObject]:
    """What may stand beside alternatives, and what may not. A default would have to fit each: it is told."""
    node = _told(node, ["default"])
    about = {key: value for key, value in node.items() if key in ("description", "title", "nullable")}
    return about, _without(node, *about)


def _united(node: JsonObject, losses: _Losses) -> JsonObject:
    """An object with the properties of all its alternatives, for dialects that cannot have both beside each other."""
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return node
    losses["alternatives beside properties"] = None
    opened = [_opened(branch, losses) for branch in branches]
    objects = [branch for branch in opened if branch.get("type") in (None, "object")]
    properties: JsonObject = {**_all_properties(objects), **_as_object(node.get("properties"))}
    required: JsonObject = {"required": [*_as_list(node.get("required")), *_always_required(objects)]}
    united: JsonObject = {**_without(node, "anyOf", "required"), "properties": properties}
    return _with_required({**united, **required} if required["required"] else united, properties)


def _all_properties(objects: Iterable[JsonObject]) -> JsonObject:
    found: dict[str, list[Json]] = {}
    for branch in objects:
        for name, schema in _as_object(branch.get("properties")).items():
            found.setdefault(name, []).append(schema)
    return {name: _any_of(schemas) for name, schemas in found.items()}


def _always_required(objects: Iterable[JsonObject]) -> list[Json]:
    first, *others = [_as_list(branch.get("required")) for branch in objects] or [[]]
    return [name for name in first if all(name in names for names in others)]


def _any_of(schemas: Sequence[Json]) -> Json:
    distinct = list({dumps(schema): schema for schema in schemas}.values())
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _of_its_type(node: JsonObject) -> JsonObject:
    """The node without keywords about other types, which do nothing and are refused in places."""
    name = node.get("type")
    if not isinstance(name, str):
        return node
    foreign = _TYPED - _KEYWORDS_OF.get(name, frozenset())
    node = _without(node, *foreign)
    if name == "object":
        node = _with_required(node, _as_object(node.get("properties")))
    values = node.get("enum")
    if isinstance(values, list):
        fitting = [value for value in values if _is_of(value, name)]
        return {**node, "enum": fitting} if fitting else _without(node, "enum")
    return node


def _by_type(node: JsonObject, losses: _Losses) -> JsonObject:
    """Each of several types as an alternative of its own."""
    types = node.get("type")
    if not isinstance(types, list):
        return node
    if len(types) == 1:
        return {**node, "type": types[0]}
    about, rest = _apart(node)
    return {**about, "anyOf": [_of_its_type({**rest, "type": name}) for name in types]}


def _without(node: JsonObject, *keys: str) -> JsonObject:
    return {key: value for key, value in node.items() if key not in keys}


def _as_object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


# --- Gemini ----------------------------------------------------------------------------------------------------------

_GEMINI_FORMATS = {
    "string": ("date-time", "enum"), "number": ("float", "double"), "integer": ("int32", "int64"),
}  # fmt: skip


def _nullable(node: JsonObject, losses: _Losses) -> JsonObject:
    """OpenAPI's `nullable` for the type null, wherever it stands."""
    types, branches = node.get("type"), node.get("anyOf")
    if types == "null":
        return {**_without(node, "enum"), "type": "string", "nullable": True}
    if isinstance(types, list) and "null" in types:
        others = [name for name in types if name != "null"]
        return {**node, "type": others or ["string"], "nullable": True}
    if isinstance(branches, list) and any(_says_null(branch) for branch in branches):
        others = [branch for branch in branches if not _says_null(branch)]
        return {**node, "anyOf": others or [{"type": "string"}], "nullable": True}
    return node


def _says_null(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _text_enum(node: JsonObject, losses: _Losses) -> JsonObject:
    """Only texts can be enumerated, and no empty ones."""
    values = node.get("enum")
    if not isinstance(values, list):
        return node
    if None in values:
        node = {**node, "enum": [value for value in values if value is not None], "nullable": True}
        return node if node["enum"] else _without(node, "enum")
    if node.get("type") == "string" and all(isinstance(value, str) and value for value in values):
        return node
    losses["enum"] = None
    return _told(node, ["enum"])


def _known_format(node: JsonObject, losses: _Losses) -> JsonObject:
    if "format" not in node or node["format"] in _GEMINI_FORMATS.get(str(node.get("type")), ()):
        return node
    losses["format"] = None
    return _told(node, ["format"])


def _one_item_schema(node: JsonObject, losses: _Losses) -> JsonObject:
    """An array has one schema for all its items, and must have it."""
    return {**node, "items": {}} if node.get("type") == "array" and "items" not in node else node


def _tuple_as_items(node: JsonObject, losses: _Losses) -> JsonObject:
    places = node.get("prefixItems")
    if not isinstance(places, list):
        return node
    losses["tuple"] = None
    more = [node["items"]] if "items" in node else []
    return {**_without(node, "prefixItems"), "items": _any_of([*places, *more])}


def _some_properties(node: JsonObject, losses: _Losses) -> JsonObject:
    """An object may lack `properties`, but they may not be empty."""
    return _without(node, "properties") if node.get("properties") == {} else node


# --- Moonshot --------------------------------------------------------------------------------------------------------


def _scalar_enum(node: JsonObject, losses: _Losses) -> JsonObject:
    """Texts and numbers can be enumerated."""
    values = node.get("enum")
    if not isinstance(values, list) or isinstance(node.get("type"), list):
        return node
    if node.get("type") in ("string", "number", "integer"):
        return node
    if node.get("type") != "null":
        losses["enum"] = None
        return _told(node, ["enum"])
    return _without(node, "enum")


def _default_of_type(node: JsonObject, losses: _Losses) -> JsonObject:
    """A default is a scalar of the declared type."""
    if "default" not in node or not isinstance(node.get("type"), str):
        return node
    value, name = node["default"], node["type"]
    if name not in ("object", "array") and _is_of(value, name):
        return node
    return _without(node, "default") if value is None else _told(node, ["default"])


# --- grammars --------------------------------------------------------------------------------------------------------

_GRAMMAR_FORMATS = ("date", "time", "date-time", "uuid")


def _grammar_format(node: JsonObject, losses: _Losses) -> JsonObject:
    if "format" not in node or node["format"] in _GRAMMAR_FORMATS:
        return node
    losses["format"] = None
    return _told(node, ["format"])


def _small_counts(node: JsonObject, losses: _Losses) -> JsonObject:
    """Without repetitions that would make the grammar too large."""
    large = [key for key in _COUNTS if key in node and not _is_small(node[key])]
    losses.update(dict.fromkeys(large))
    return _told(node, large)


def _is_small(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_REPEAT


def _whole_bounds(node: JsonObject, losses: _Losses) -> JsonObject:
    """Bounds are whole numbers, or the server fails to read them."""
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    odd = [key for key in keys if key in node and _type_of(node[key]) != "integer"]
    losses.update(dict.fromkeys(odd))
    return _without(node, *odd)


# --- the dialects ----------------------------------------------------------------------------------------------------

_SHARED = frozenset(
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
        *_COUNTS,
    }
)
_CLOSED = _SHARED | {"title", "additionalProperties", "prefixItems", "format", "exclusiveMinimum", "exclusiveMaximum"}

_DIALECTS: dict[SchemaFlavor, _Dialect] = {
    "gemini": _Dialect(
        _SHARED | {"nullable", "format", "pattern", "minProperties", "maxProperties", "prefixItems"},
        {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
        (
            _tuple_as_items, _nullable, _by_type, _text_enum, _known_format, _one_item_schema, _some_properties,
        ),
    ),
    "mfjs": _Dialect(
        _CLOSED | {"pattern", "multipleOf", "uniqueItems", "minProperties", "maxProperties"},
        {"anyOf": [{"type": name} for name in ("string", "number", "boolean", "object", "array", "null")]},
        (_by_type, _scalar_enum, _default_of_type),
    ),
    "grammar": _Dialect(
        _CLOSED,
        {"type": ["string", "number", "boolean", "object", "array", "null"]},
        (_grammar_format, _small_counts, _whole_bounds),
    ),
}  # fmt: skip
