"""Answers that do not fit their form are found, and no schema makes the bridge hang, break or fetch anything."""

from __future__ import annotations

import json
import socket
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.answer_schema import AnswerCheck, compile_answer
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import TextFormat
from tests.wire.test_json import JSON_VALUES

PERSON: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ANN = '{"name": "Ann", "age": 5}'


def form(schema: Json = None, kind: str = "json_schema") -> TextFormat:
    return TextFormat.model_validate({"type": kind, "name": "n", "schema": schema})


def check(schema: JsonObject) -> AnswerCheck:
    found = compile_answer(form(schema))
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a schema was fetched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


# --- what is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(ANN, None, id="fits"),
        pytest.param(f"\n {ANN} \n", None, id="blanks"),
        pytest.param('{"name": "Ann", "age": "5"}', "at $.age: '5' is not of type 'integer'", id="type"),
        pytest.param('{"name": "Ann", "age": -5}', "at $.age: -5 is less than the minimum of 0", id="range"),
        pytest.param('{"name": "Ann"}', "at $: 'age' is a required property", id="missing"),
        pytest.param('{"name": 1, "age": null}', "at $.name: 1 is not of type 'string'; at $.age: None", id="two"),
        pytest.param("Ann is five.", "is not a JSON document", id="prose"),
        pytest.param(f"```json\n{ANN}\n```", "is not a JSON document", id="fence"),
        pytest.param('{"name": "Ann"', "is not a JSON document", id="cut off"),
        pytest.param("", "is not a JSON document", id="nothing"),
    ],
)
def test_what_is_wrong_is_told(text: str, problem: str | None) -> None:
    told = check(PERSON).problem(text)

    assert told is None if problem is None else told is not None and problem in told


def test_of_alternatives_the_nearest_is_told() -> None:
    schema: JsonObject = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}

    told = check(schema).problem('{"a": {"b": 1}}')

    assert told == "The answer does not fit the JSON Schema: at $.a: {'b': 1} is not of type 'integer'"


def test_a_long_value_is_not_told_in_full() -> None:
    told = check({"type": "integer"}).problem(dumps("x" * 50_000))

    assert told is not None
    assert told.endswith("is not of type 'integer'")
    assert len(told) < 400


@pytest.mark.parametrize(("text", "fits"), [("{}", True), ('{"a": 1}', True), ("[]", False), ("1", False)])
@pytest.mark.parametrize("wanted", [form(kind="json_object"), form()], ids=["json_object", "no schema"])
def test_any_object(wanted: TextFormat, text: str, fits: bool) -> None:
    found = compile_answer(wanted)

    assert found is not None
    assert (found.problem(text) is None) is fits


@pytest.mark.parametrize("wanted", [None, form(kind="text"), form(kind="grammar")], ids=["none", "text", "unknown"])
def test_no_form_no_check(wanted: TextFormat | None) -> None:
    assert compile_answer(wanted) is None


@pytest.mark.parametrize(
    "uri", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema", "urn:mine"]
)
def test_a_schema_may_name_its_dialect(uri: str) -> None:
    schema = check({"$schema": uri, **PERSON})

    assert schema.problem(ANN) is None
    assert schema.problem("{}") is not None


def test_references_within_the_schema() -> None:
    tree: JsonObject = {
        "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        "$ref": "#/$defs/node",
    }

    assert check(tree).problem("[[], [[]]]") is None
    assert check(tree).problem("[[], [1]]") == (
        "The answer does not fit the JSON Schema: at $[1][0]: 1 is not of type 'array'"
    )


# --- what only wraps the document -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "document"),
    [
        pytest.param(f"```json\n{ANN}\n```", ANN, id="fence"),
        pytest.param(f"```\n{ANN}\n```", ANN, id="plain fence"),
        pytest.param(f"```{ANN}```", ANN, id="fence in a line"),
        pytest.param(f"Here you are:\n\n```JSON\n{ANN}\n```\nAnything else?", ANN, id="fence in prose"),
        pytest.param(f"Run `x`:\n```sh\nls\n```\nand get\n```json\n{ANN}\n```", ANN, id="another fence before"),
        pytest.param(f"```json\n{ANN}", ANN, id="open fence"),
        pytest.param(f"Here you are: {ANN}. Anything else?", ANN, id="prose"),
        pytest.param('```json\n{"name": "```", "age": 1}\n```', '{"name": "```", "age": 1}', id="fence in the value"),
        pytest.param('```json\n{"name": "Ann"}\n```', None, id="does not fit"),
        pytest.param('```\n{"name": "A", "age": 1}\n```\n```\n{"name": "B", "age": 2}\n```', None, id="two of them"),
        pytest.param("Ann is five.", None, id="none"),
        pytest.param("} {", None, id="brackets the wrong way round"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_document_is_taken_out(text: str, document: str | None) -> None:
    assert check(PERSON).repaired(text) == document


def test_a_list_is_taken_out() -> None:
    assert check({"type": "array"}).repaired("So: [1, 2]") == "[1, 2]"


# --- whatever the schema is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": 5}, id="type of a wrong type"),
        pytest.param({"type": "any"}, id="unknown type"),
        pytest.param({"required": "name"}, id="required is no list"),
        pytest.param({"properties": {"a": 1}}, id="property is no schema"),
        pytest.param({"minimum": "1"}, id="minimum is no number"),
        pytest.param({"$schema": "http://json-schema.org/draft-03/schema#", "type": "object"}, id="ancient"),
        pytest.param(
            {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, id="mixed dialects"
        ),
        pytest.param({"patternProperties": {"(a+)+$": {}}}, id="slow expression for names"),
        pytest.param({"patternProperties": {"(": {}}}, id="wrong expression for names"),
        pytest.param({"description": "x" * 60_000}, id="too long"),
    ],
)
def test_a_schema_that_cannot_be_checked(schema: JsonObject) -> None:
    assert compile_answer(form(schema)) is None


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"$ref": "https://example.com/schema.json"}, id="remote"),
        pytest.param({"$ref": "file:///etc/passwd"}, id="file"),
        pytest.param({"$id": "https://example.com/a", "$ref": "b"}, id="relative to a remote one"),
        pytest.param({"$ref": "http://[1"}, id="no URL"),
        pytest.param({"$ref": "#/nowhere"}, id="nowhere"),
        pytest.param({"$dynamicRef": "#nowhere"}, id="dynamic"),
        pytest.param({"$ref": "#"}, id="itself"),
        pytest.param({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, id="itself twice"),
    ],
)
def test_a_reference_that_leads_nowhere_is_no_objection(schema: JsonObject) -> None:
    assert check(schema).problem("{}") is None


def doubling(levels: int) -> JsonObject:
    """Each definition asks for the next one twice."""
    names = [f"d{number}" for number in range(levels)]
    definitions: JsonObject = {
        name: {"allOf": [{"$ref": f"#/$defs/{after}"}, {"$ref": f"#/$defs/{after}"}]} for name, after in pairwise(names)
    }
    return {"$defs": {**definitions, names[-1]: {"type": "object"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param(doubling(40), "{}", id="references"),
        pytest.param({**doubling(40), "unevaluatedProperties": False}, '{"a":1}', id="unevaluated"),
        pytest.param({"$schema": "https://json-schema.org/draft/2020-12/schema", **doubling(40)}, "{}", id="dialect"),
        pytest.param({"pattern": "(a+)+$"}, dumps("a" * 40 + "b"), id="repeated group"),
        pytest.param({"pattern": "(a|a)*$"}, dumps("a" * 40 + "b"), id="repeated alternatives"),
        pytest.param({"pattern": "^" + "a?" * 40 + "a" * 40 + "$"}, dumps("a" * 39), id="options"),
        pytest.param({"pattern": "a*" * 10 + "b"}, dumps("a" * 5000), id="repeats"),
        pytest.param({"pattern": "^" + "(a|a)" * 40 + "$"}, dumps("a" * 39 + "b"), id="alternatives"),
        pytest.param({"propertyNames": {"pattern": "(a+)+$"}}, dumps({"a" * 40 + "b": 1}), id="names"),
        pytest.param({"uniqueItems": True}, dumps([{"a": number} for number in range(8000)]), id="unique"),
        pytest.param({"items": {"type": "array"}}, "[" * 40_000 + "]" * 40_000, id="depth"),
    ],
)
def test_no_schema_takes_long(schema: JsonObject, text: str) -> None:
    """Without bounds each of them takes minutes at least, or ends in an exception."""
    checked = check(schema)
    began = process_time()
    checked.problem(text)

    assert process_time() - began < 10


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [("^[a-z]+$", "A"), (r"^\d{4}-\d{2}-\d{2}$", "2020-1-1"), ("^(red|green)$", "blue"), ("x", "y")],
)
def test_usual_expressions_are_checked(pattern: str, wrong: str) -> None:
    assert check({"pattern": pattern}).problem(dumps(wrong)) is not None
    assert check({"patternProperties": {pattern: {"type": "integer"}}}).problem("{}") is None


@pytest.mark.parametrize("pattern", [r"\p{L}", "(", "[[a]"])
def test_expressions_that_only_others_know_are_left_out(pattern: str) -> None:
    assert check({"pattern": pattern}).problem('"x"') is None


def test_a_very_long_answer_is_not_checked() -> None:
    assert check({"type": "integer"}).problem("x" * 200_000) is None
    assert check({"type": "integer"}).repaired("x" * 200_000) is None


@given(st.dictionaries(st.sampled_from(["type", "properties", "$ref", "items", "enum", "pattern", "x"]), JSON_VALUES))
def test_no_schema_and_no_answer_break_it(schema: JsonObject) -> None:
    found = compile_answer(form(json.loads(dumps(schema))))
    if found is not None:
        found.problem(ANN)
        found.repaired(f"```{ANN}```")


@given(st.text())
def test_what_is_taken_out_fits(text: str) -> None:
    checked = check(PERSON)
    document = checked.repaired(f"{text}{ANN}{text}")

    assert document is None or checked.problem(document) is None
