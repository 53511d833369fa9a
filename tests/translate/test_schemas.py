from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.request import to_chat
from addon.translate.schemas import SchemaFlavor, fit_schema
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import AdditionalTools, FunctionTool, NamespaceTool, Tool, ToolSearchOutput, read_request

CAPTURES = sorted((Path(__file__).parents[1] / "fixtures" / "captures").glob("*.json"))
FLAVORS: tuple[SchemaFlavor, ...] = ("none", "no_additional_properties", "inline_defs", "gemini", "mfjs", "grammar")
DIALECTS: tuple[SchemaFlavor, ...] = ("gemini", "mfjs", "grammar")

EMPTY: JsonObject = {"type": "object", "properties": {}}
TEXT: JsonObject = {"type": "string"}
NUMBER: JsonObject = {"type": "number"}
NULL: JsonObject = {"type": "null"}


def about(schema: Json, **more: Json) -> JsonObject:
    """An object with one property."""
    return {"type": "object", "properties": {"a": schema}, **more}


# --- for everybody ---------------------------------------------------------------------------------------------------


@dataclass
class Case:
    id: str
    flavor: SchemaFlavor
    given: JsonObject | None
    fitted: JsonObject
    lost: list[str] = field(default_factory=list)


REPAIRS = [
    Case("none", "none", None, EMPTY),
    Case("empty", "none", {}, EMPTY),
    Case("null type", "none", {"type": None}, EMPTY),
    Case("no root type", "none", {"properties": {"a": TEXT}}, about(TEXT)),
    Case("no properties", "none", {"type": "object"}, EMPTY),
    Case("no properties, but what they need", "none", {"type": "object", "required": ["a"]}, EMPTY),
    Case("a list of types at the root", "none", {"type": ["object", "null"]}, EMPTY),
    Case(
        "another root",
        "none",
        {"type": "array", "items": TEXT},
        {**EMPTY, "items": TEXT},
        ["a root that is not an object"],
    ),
    Case(
        "a null type deeper",
        "none",
        about({"type": None, "properties": {"b": TEXT}}),
        about({"properties": {"b": TEXT}}),
    ),
    Case("types as a list", "none", about({"type": ["string", "null"]}), about({"type": ["string", "null"]})),
    Case("required and unknown", "none", about(TEXT, required=["b", "a"]), about(TEXT, required=["a"])),
    Case("nothing known is required", "none", about(TEXT, required=["b"]), about(TEXT)),
    Case(
        "required of another part",
        "none",
        about(TEXT, required=["b"], allOf=[{"properties": {"b": TEXT}}]),
        about(TEXT, required=["b"], allOf=[{"properties": {"b": TEXT}}]),
    ),
    Case(
        "properties that are no schemas",
        "none",
        {"type": "object", "properties": {"a": True, "b": False, "c": None, "d": "x"}},
        {"type": "object", "properties": {"a": {}, "b": {}, "c": {}, "d": {}}},
    ),
    Case(
        "booleans elsewhere",
        "none",
        about({"not": False}, additionalProperties=False),
        about({"not": False}, additionalProperties=False),
    ),
    Case("the mark encrypted", "none", about({"type": "string", "encrypted": True}, encrypted=False), about(TEXT)),
    Case(
        "a property called encrypted",
        "none",
        {"type": "object", "properties": {"encrypted": {"type": "boolean"}}},
        {"type": "object", "properties": {"encrypted": {"type": "boolean"}}},
    ),
    Case(
        "deep, but not in values",
        "none",
        about({"items": {"anyOf": [{"encrypted": True}]}, "default": {"encrypted": True, "$schema": "s"}}),
        about({"items": {"anyOf": [{}]}, "default": {"encrypted": True, "$schema": "s"}}),
    ),
    Case("$schema", "none", {"$schema": "http://json-schema.org/draft-07/schema#", **about(TEXT)}, about(TEXT)),
    Case(
        "what is no JSON Schema",
        "none",
        about({"type": "any", "required": "x", "description": None}, properties={"a": {"type": ["string", 3]}}),
        about({}),
        ["invalid type"],
    ),
    Case(
        "references",
        "none",
        about({"$ref": "#/$defs/t"}, **{"$defs": {"t": TEXT}}),
        about({"$ref": "#/$defs/t"}, **{"$defs": {"t": TEXT}}),
    ),
]

OPENED = [
    Case(
        "closed, at any depth",
        "no_additional_properties",
        about(
            {"type": "array", "items": about({"$ref": "#/$defs/t"}, additionalProperties=False)},
            additionalProperties=False,
            **{"$defs": {"t": about(TEXT, additionalProperties=True)}},
        ),
        about({"type": "array", "items": about({"$ref": "#/$defs/t"})}, **{"$defs": {"t": about(TEXT)}}),
    ),
    Case(
        "a form for further properties",
        "no_additional_properties",
        {"type": "object", "additionalProperties": TEXT},
        EMPTY,
        ["additionalProperties"],
    ),
    Case(
        "a property of that name",
        "no_additional_properties",
        {"type": "object", "properties": {"additionalProperties": TEXT}},
        {"type": "object", "properties": {"additionalProperties": TEXT}},
    ),
]

TREE: JsonObject = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}

INLINED = [
    Case("$defs", "inline_defs", about({"$ref": "#/$defs/t"}, **{"$defs": {"t": TEXT}}), about(TEXT)),
    Case("definitions", "inline_defs", about({"$ref": "#/definitions/t"}, definitions={"t": TEXT}), about(TEXT)),
    Case(
        "escaped names",
        "inline_defs",
        about({"$ref": "#/$defs/x~1y%20~0"}, **{"$defs": {"x/y ~": TEXT}}),
        about(TEXT),
    ),
    Case(
        "words beside a reference",
        "inline_defs",
        about(
            {"$ref": "#/$defs/t", "description": "mine"}, **{"$defs": {"t": {"type": "string", "description": "its"}}}
        ),
        about({"type": "string", "description": "mine"}),
    ),
    Case(
        "another property",
        "inline_defs",
        {"properties": {"a": TEXT, "b": {"$ref": "#/properties/a"}}},
        {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
    ),
    Case("the root is a reference", "inline_defs", {"$ref": "#/$defs/o", "$defs": {"o": about(TEXT)}}, about(TEXT)),
    Case(
        "one in a list",
        "inline_defs",
        about({"anyOf": [{"$ref": "#/$defs/t"}, NULL]}, **{"$defs": {"t": TEXT}}),
        about({"anyOf": [TEXT, NULL]}),
    ),
    Case(
        "recursion is cut at the second visit",
        "inline_defs",
        about({"$ref": "#/$defs/tree"}, **{"$defs": {"tree": TREE}}),
        about({"type": "object", "properties": {"next": {}}}),
        ["recursion"],
    ),
    Case("the root in itself", "inline_defs", about({"$ref": "#"}), about({}), ["recursion"]),
    Case(
        "a chain of references",
        "inline_defs",
        about({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}}}),
        about({}),
        ["recursion"],
    ),
    Case("leads nowhere", "inline_defs", about({"$ref": "#/$defs/gone"}), about({}), ["unknown $ref"]),
    Case("leads away", "inline_defs", about({"$ref": "https://example.com/s.json"}), about({}), ["unknown $ref"]),
    Case(
        "a property called $ref",
        "inline_defs",
        {"properties": {"$ref": TEXT}},
        {"type": "object", "properties": {"$ref": TEXT}},
    ),
]

SCALARS: list[Json] = [TEXT, NUMBER, {"type": "boolean"}]

GEMINI = [
    Case("const", "gemini", about({"const": "x"}), about({"type": "string", "enum": ["x"]})),
    Case(
        "numbers cannot be enumerated",
        "gemini",
        about({"enum": [1, 2]}),
        about({"type": "integer", "description": "(enum: [1,2])"}),
        ["enum"],
    ),
    Case(
        "null among the values",
        "gemini",
        about({"enum": ["x", None]}),
        about({"type": "string", "nullable": True, "enum": ["x"]}),
    ),
    Case(
        "annotations",
        "gemini",
        about({"type": "string", "title": "A", "examples": ["x"], "$comment": "c"}),
        about(TEXT),
    ),
    Case(
        "a default stays",
        "gemini",
        about({"type": "string", "default": "x"}),
        about({"type": "string", "default": "x"}),
    ),
    Case(
        "bounds without their own value",
        "gemini",
        about({"type": "integer", "exclusiveMinimum": 0, "description": "How many."}),
        about({"type": "integer", "description": "How many. (exclusiveMinimum: 0)"}),
        ["exclusiveMinimum"],
    ),
    Case("closed objects", "gemini", about(TEXT, additionalProperties=False), about(TEXT)),
    Case(
        "maps",
        "gemini",
        about({"type": "object", "additionalProperties": TEXT, "patternProperties": {"^x": TEXT}}),
        about({"type": "object"}),
        ["patternProperties", "additionalProperties"],
    ),
    Case("oneOf", "gemini", about({"oneOf": [TEXT, NUMBER]}), about({"anyOf": [TEXT, NUMBER]})),
    Case(
        "or null",
        "gemini",
        about({"anyOf": [TEXT, NULL], "default": None}),
        about({"type": "string", "nullable": True}),
    ),
    Case("types", "gemini", about({"type": ["string", "null"]}), about({"type": "string", "nullable": True})),
    Case(
        "several types",
        "gemini",
        about({"type": ["string", "integer", "null"], "minLength": 1}),
        about({"nullable": True, "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}),
    ),
    Case("only null", "gemini", about(NULL), about({"type": "string", "nullable": True})),
    Case(
        "a known format",
        "gemini",
        about({"type": "string", "format": "date-time"}),
        about({"type": "string", "format": "date-time"}),
    ),
    Case(
        "another format",
        "gemini",
        about({"type": "string", "format": "uri"}),
        about({"type": "string", "description": "(format: uri)"}),
        ["format"],
    ),
    Case("allOf", "gemini", about({"allOf": [about(TEXT), {"required": ["a"]}]}), about(about(TEXT, required=["a"]))),
    Case(
        "a tuple",
        "gemini",
        about({"items": [TEXT, NUMBER]}),
        about({"type": "array", "items": {"anyOf": [TEXT, NUMBER]}}),
        ["tuple"],
    ),
    Case(
        "items of any kind", "gemini", about({"type": "array"}), about({"type": "array", "items": {"anyOf": SCALARS}})
    ),
    Case("anything", "gemini", about({"description": "d"}), about({"anyOf": SCALARS, "description": "d"})),
    Case("no properties deeper", "gemini", about({"type": "object", "properties": {}}), about({"type": "object"})),
    Case(
        "references",
        "gemini",
        about({"$ref": "#/$defs/t"}, **{"$defs": {"t": {"const": "x"}}}),
        about({"type": "string", "enum": ["x"]}),
    ),
    Case(
        "of another type",
        "gemini",
        about({"type": "string", "properties": {"b": TEXT}, "required": ["b"]}),
        about(TEXT),
    ),
]

ANYTHING: JsonObject = {
    "anyOf": [{"type": name} for name in ("string", "number", "boolean", "object", "array", "null")]
}

MFJS = [
    Case("another root", "mfjs", {"type": "string"}, EMPTY, ["a root that is not an object"]),
    Case(
        "alternatives at the root",
        "mfjs",
        {"anyOf": [about(TEXT, required=["a"]), {"properties": {"a": NUMBER, "b": TEXT}, "required": ["b", "a"]}]},
        {"type": "object", "properties": {"a": {"anyOf": [TEXT, NUMBER]}, "b": TEXT}, "required": ["a"]},
        ["alternatives beside properties"],
    ),
    Case(
        "a tuple",
        "mfjs",
        about({"type": "array", "items": [TEXT, NUMBER]}),
        about({"type": "array", "prefixItems": [TEXT, NUMBER]}),
    ),
    Case(
        "a tuple with a rest",
        "mfjs",
        about({"type": "array", "prefixItems": [TEXT], "items": False}),
        about({"type": "array", "prefixItems": [TEXT]}),
    ),
    Case(
        "a type beside alternatives",
        "mfjs",
        about({"type": "array", "anyOf": [{"items": TEXT}, {"maxItems": 0}], "description": "d"}),
        about({"description": "d", "anyOf": [{"type": "array", "items": TEXT}, {"type": "array", "maxItems": 0}]}),
    ),
    Case(
        "a type among alternatives",
        "mfjs",
        about({"type": "string", "anyOf": [{"minLength": 1}, NULL]}),
        about({"anyOf": [{"type": "string", "minLength": 1}, NULL]}),
    ),
    Case(
        "types",
        "mfjs",
        about({"type": ["array", "null"], "items": TEXT, "description": "d"}),
        about({"description": "d", "anyOf": [{"type": "array", "items": TEXT}, NULL]}),
    ),
    Case("values without a type", "mfjs", about({"enum": ["x", "y"]}), about({"type": "string", "enum": ["x", "y"]})),
    Case(
        "values of several types",
        "mfjs",
        about({"enum": ["x", 1, None]}),
        about({"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "integer", "enum": [1]}, NULL]}),
    ),
    Case(
        "a truth value",
        "mfjs",
        about({"const": True}),
        about({"type": "boolean", "description": "(enum: [true])"}),
        ["enum"],
    ),
    Case("a guessed type", "mfjs", about({"minLength": 1}), about({"type": "string", "minLength": 1})),
    Case("anything", "mfjs", about({}), about(ANYTHING)),
    Case(
        "a default beside alternatives",
        "mfjs",
        about({"anyOf": [TEXT, NUMBER], "default": 5}),
        about({"description": "(default: 5)", "anyOf": [TEXT, NUMBER]}),
    ),
    Case(
        "a default of another type",
        "mfjs",
        about({"type": "array", "default": []}),
        about({"type": "array", "description": "(default: [])"}),
    ),
    Case("a default that is null", "mfjs", about({"type": "string", "default": None}), about(TEXT)),
    Case(
        "limits stay",
        "mfjs",
        about({"type": "integer", "minimum": 1, "multipleOf": 2}),
        about({"type": "integer", "minimum": 1, "multipleOf": 2}),
    ),
    Case(
        "conditions",
        "mfjs",
        about({"type": "string", "not": {"const": "x"}, "if": {}, "then": {}}),
        about(TEXT),
        ["not", "if"],
    ),
    Case(
        "references", "mfjs", about({"$ref": "#/definitions/t", "type": "string"}, definitions={"t": TEXT}), about(TEXT)
    ),
]

GRAMMAR = [
    Case(
        "a pattern",
        "grammar",
        about({"type": "string", "pattern": "^\\d+$"}),
        about({"type": "string", "description": "(pattern: ^\\d+$)"}),
        ["pattern"],
    ),
    Case(
        "a known format",
        "grammar",
        about({"type": "string", "format": "date"}),
        about({"type": "string", "format": "date"}),
    ),
    Case(
        "another format",
        "grammar",
        about({"format": "email"}),
        about({"type": "string", "description": "(format: email)"}),
        ["format"],
    ),
    Case(
        "a short limit",
        "grammar",
        about({"type": "string", "maxLength": 256}),
        about({"type": "string", "maxLength": 256}),
    ),
    Case(
        "a long limit",
        "grammar",
        about({"type": "string", "minLength": 1, "maxLength": 2000}),
        about({"type": "string", "minLength": 1, "description": "(maxLength: 2000)"}),
        ["maxLength"],
    ),
    Case(
        "a bound that is no whole number",
        "grammar",
        about({"type": "number", "minimum": 0.5}),
        about(NUMBER),
        ["minimum"],
    ),
    Case("types", "grammar", about({"type": ["string", "null"]}), about({"type": ["string", "null"]})),
    Case(
        "anything",
        "grammar",
        about({"description": "d"}),
        about({"type": ["string", "number", "boolean", "object", "array", "null"], "description": "d"}),
    ),
    Case("closed objects", "grammar", about(TEXT, additionalProperties=False), about(TEXT, additionalProperties=False)),
    Case(
        "maps",
        "grammar",
        about({"type": "object", "additionalProperties": {"const": "x"}}),
        about({"type": "object", "additionalProperties": {"type": "string", "enum": ["x"]}}),
    ),
    Case(
        "alternatives beside properties",
        "grammar",
        about({"properties": {"b": TEXT, "c": TEXT}, "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}),
        about({"type": "object", "properties": {"b": TEXT, "c": TEXT}}),
        ["alternatives beside properties"],
    ),
    Case(
        "conditions", "grammar", about({"type": "string", "not": {}, "if": {}, "else": {}}), about(TEXT), ["not", "if"]
    ),
    Case(
        "patterns of names",
        "grammar",
        about({"type": "object", "patternProperties": {"^x": TEXT}}),
        about({"type": "object"}),
        ["patternProperties"],
    ),
    Case(
        "recursion",
        "grammar",
        about({"$ref": "#/$defs/t"}, **{"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}),
        about({"type": "array", "items": {"type": ["string", "number", "boolean", "object", "array", "null"]}}),
        ["recursion"],
    ),
]


@pytest.mark.parametrize(
    "case", [*REPAIRS, *OPENED, *INLINED, *GEMINI, *MFJS, *GRAMMAR], ids=lambda case: f"{case.flavor}: {case.id}"
)
def test_rule(case: Case) -> None:
    before = copy.deepcopy(case.given)
    fitted, lost = fit_schema(case.given, case.flavor)
    assert (fitted, list(lost)) == (case.fitted, case.lost)
    assert case.given == before


@pytest.mark.parametrize("flavor", FLAVORS)
def test_depth_is_bounded(flavor: SchemaFlavor) -> None:
    schema: JsonObject = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}}
    fitted, lost = fit_schema(schema, flavor)
    assert list(lost) == ["depth"]
    assert dumps(fitted).count("properties") <= 66


@pytest.mark.parametrize("flavor", FLAVORS[2:])
def test_definitions_that_double_are_bounded(flavor: SchemaFlavor) -> None:
    refs: JsonObject = {
        f"d{n}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{n + 1}"} for side in "ab"}}
        for n in range(40)
    }
    fitted, lost = fit_schema({"$ref": "#/$defs/d0", "$defs": {**refs, "d40": TEXT}}, flavor)
    assert "size" in lost
    assert len(dumps(fitted)) < 5_000_000


# --- always ----------------------------------------------------------------------------------------------------------

MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLES = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
FORBIDDEN: dict[SchemaFlavor, set[str]] = {
    "none": {"$schema", "encrypted"},
    "no_additional_properties": {"$schema", "encrypted", "additionalProperties"},
    "inline_defs": {"$schema", "encrypted", "$ref", "$defs", "definitions"},
}
COMMON = {"$schema", "$ref", "$defs", "definitions", "oneOf", "allOf", "const", "not", "if", "then", "else"}
COMMON |= {"patternProperties", "dependentSchemas", "contains", "propertyNames", "encrypted", "examples"}
FORBIDDEN["gemini"] = COMMON | {"title", "exclusiveMinimum", "exclusiveMaximum", "additionalProperties", "prefixItems"}
FORBIDDEN["mfjs"] = COMMON
FORBIDDEN["grammar"] = COMMON | {"pattern", "multipleOf"}


def nodes(schema: Json) -> Iterator[JsonObject]:
    """The schema and all schemas in it."""
    assert isinstance(schema, (dict, bool))
    if isinstance(schema, bool):
        return
    yield schema
    for key, value in schema.items():
        if key in MAPS and isinstance(value, dict):
            children = list(value.values())
        elif isinstance(value, list) and (key in LISTS or key == "items"):
            children = value
        else:
            children = [value] if key in SINGLES else []
        for child in children:
            yield from nodes(child)


def check(schema: JsonObject, flavor: SchemaFlavor) -> None:
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    for node in nodes(schema):
        assert not node.keys() & FORBIDDEN[flavor] - {"encrypted"}
        assert not isinstance(node.get("encrypted"), bool)
        if flavor in DIALECTS:
            check_node(node, flavor)


def check_node(node: JsonObject, flavor: SchemaFlavor) -> None:
    assert ("type" in node) != ("anyOf" in node)
    assert "anyOf" not in node or not node.keys() - {"anyOf", "description", "title", "nullable"}
    assert not isinstance(node.get("items", {}), (list, bool))
    properties = node.get("properties", {})
    required = node.get("required", [])
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    assert all(name in properties for name in required)
    assert all(isinstance(child, dict) for child in properties.values())
    if flavor == "gemini":
        assert node.get("type") in (None, "string", "number", "integer", "boolean", "object", "array")
        assert node.get("type") != "array" or "items" in node
        values = node.get("enum", [])
        assert isinstance(values, list)
        assert all(isinstance(value, str) and value for value in values)
    if flavor == "mfjs":
        assert not isinstance(node.get("type"), list)


NAMES = st.sampled_from(["a", "b", "type", "encrypted", "$ref", "properties"])
VALUES: st.SearchStrategy[Json] = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3000)
    | st.floats(-2, 2)
    | st.sampled_from(["", "x", "y"])
    | st.just([])
    | st.just({})
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "object", "array", "null"])
REFS = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/definitions/b", "#/anyOf/0", "http://x", "#a"]
)


def keywords(child: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """A schema with some of all keywords, sound and unsound."""
    schemas = child | st.booleans()
    several = st.lists(schemas, max_size=3)
    named = st.dictionaries(NAMES, schemas, max_size=3)
    sound: dict[str, st.SearchStrategy[Json]] = {
        "type": TYPES | st.lists(TYPES, max_size=3, unique=True),
        "description": st.sampled_from(["d", ""]),
        "title": st.just("t"),
        "$schema": st.just("s"),
        "encrypted": st.booleans(),
        "enum": st.lists(VALUES, max_size=3),
        "const": VALUES,
        "default": VALUES,
        "examples": st.lists(VALUES, max_size=1),
        "required": st.lists(NAMES, max_size=2),
        "format": st.sampled_from(["date-time", "uri", "int32", "date"]),
        "pattern": st.just("^a$"),
        "nullable": st.booleans(),
        "$ref": REFS,
        "items": schemas | several,
        **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "maxLength", "maxItems", "multipleOf"), VALUES),
        **dict.fromkeys(LISTS, several),
        **dict.fromkeys(MAPS, named),
        **dict.fromkeys(SINGLES[1:], schemas),
    }
    broken = {key: strategy | VALUES for key, strategy in sound.items()}
    some = st.lists(st.sampled_from(sorted(sound)), max_size=5, unique=True)
    return some.flatmap(lambda keys: st.fixed_dictionaries({key: broken[key] for key in keys}))


SCHEMAS = st.recursive(keywords(st.just({})), keywords, max_leaves=6)
ROOTS = SCHEMAS.filter(lambda schema: isinstance(schema, dict))


@pytest.mark.parametrize("flavor", FLAVORS)
@given(schema=ROOTS)
def test_any_schema_fits(flavor: SchemaFlavor, schema: JsonObject) -> None:
    before = copy.deepcopy(schema)
    fitted, lost = fit_schema(schema, flavor)
    check(fitted, flavor)
    assert schema == before
    assert fit_schema(schema, flavor) == (fitted, lost)
    assert fit_schema(fitted, flavor)[0] == fitted


# --- what clients send -----------------------------------------------------------------------------------------------


def functions(tools: list[Tool]) -> Iterator[FunctionTool]:
    for tool in tools:
        if isinstance(tool, NamespaceTool):
            yield from functions(tool.tools)
        elif isinstance(tool, FunctionTool):
            yield tool


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_captured_tools_lose_nothing(capture: Path) -> None:
    request = read_request(json.dumps(json.loads(capture.read_text("utf-8"))["request"]["body"]).encode())
    later = [item.tools for item in request.items() if isinstance(item, (AdditionalTools, ToolSearchOutput))]
    for tool in functions([*(request.tools or []), *chain.from_iterable(later)]):
        assert not fit_schema(tool.parameters, "none")[1]
        for flavor in DIALECTS:
            check(fit_schema(tool.parameters, flavor)[0], flavor)


def test_a_note_tells_of_each_tool_once_and_of_the_format() -> None:
    schema = about({"type": "string", "pattern": "^x$", "format": "uri"})
    fitted = about({"type": "string", "description": "(pattern: ^x$) (format: uri)"})
    tool: JsonObject = {"type": "function", "name": "look", "parameters": schema}
    body: JsonObject = {
        "model": "m",
        "input": "hi",
        "tools": [tool, {"type": "namespace", "name": "crm", "tools": [tool]}],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}},
    }
    notes = Notes()
    profile = Profile(schema_flavor="grammar", response_format="json_schema")
    call = to_chat(read_request(dumps(body).encode()), profile, model="m", origin="o", lookup={}.get, notes=notes)
    assert call.body["tools"] == [
        {"type": "function", "function": {"name": name, "parameters": fitted}} for name in ("look", "crm__look")
    ]
    assert call.body["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": fitted}}
    assert [str(note) for note in notes] == [
        "tools: look: schema simplified for this provider (pattern, format)",
        "tools: crm__look: schema simplified for this provider (pattern, format)",
        "text.format: schema simplified for this provider (pattern, format)",
    ]
