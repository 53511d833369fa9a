"""The ladder of output formats. What becomes of it in a request: test_request.py and test_passthrough.py."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.output_format import ONLY_JSON, OutputFormat, Surroundings, output_format
from addon.wire.json import JsonObject
from addon.wire.responses import TextFormat

SCHEMA: JsonObject = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}}
TOLD = f"{ONLY_JSON} It must be valid against this JSON Schema:\n" + json.dumps(SCHEMA, separators=(",", ":"))
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}}
ANY_JSON = {"type": "json_object"}

ALONE = Surroundings(tools=False, thinking=False, says_json=False)
BESIDE_TOOLS = Surroundings(tools=True, thinking=False, says_json=False)
SAID = Surroundings(tools=False, thinking=False, says_json=True)
THINKING = Surroundings(tools=False, thinking=True, says_json=False)

Best = Literal["json_schema", "json_object", "prompt", "none"]


def formed(
    wanted: Literal["json_schema", "json_object"],
    profile: Profile,
    surroundings: Surroundings = ALONE,
    schema: JsonObject = SCHEMA,
) -> OutputFormat:
    form = TextFormat.model_validate({"type": wanted, **({"schema": schema} if wanted == "json_schema" else {})})
    return output_format(form, profile, Notes(), surroundings, name="text.format")


@pytest.mark.parametrize(
    ("wanted", "best", "sent", "told"),
    [
        ("json_schema", "json_schema", BY_SCHEMA, None),
        ("json_schema", "json_object", ANY_JSON, TOLD),
        ("json_schema", "prompt", None, TOLD),
        ("json_schema", "none", None, None),
        ("json_object", "json_schema", ANY_JSON, ONLY_JSON),
        ("json_object", "json_object", ANY_JSON, ONLY_JSON),
        ("json_object", "prompt", None, ONLY_JSON),
        ("json_object", "none", None, None),
    ],
)
def test_the_ladder(
    wanted: Literal["json_schema", "json_object"], best: Best, sent: JsonObject | None, told: str | None
) -> None:
    form = formed(wanted, Profile(response_format=best))

    assert form.parameters == ({"response_format": sent} if sent else {})
    assert form.instructions == told


@pytest.mark.parametrize("best", ["json_schema", "json_object"])
@pytest.mark.parametrize(
    ("profile", "surroundings"),
    [
        ({"response_format_with_tools": False}, BESIDE_TOOLS),
        ({"drop_params_when_thinking": ("response_format",)}, THINKING),
        ({"drop_params": ("response_format",)}, ALONE),
    ],
    ids=["tools", "thinking", "never"],
)
def test_what_the_provider_refuses_here_is_told(
    best: Best, profile: dict[str, object], surroundings: Surroundings
) -> None:
    refusing = Profile.model_validate({"response_format": best, **profile})

    assert formed("json_schema", refusing, surroundings) == OutputFormat({}, TOLD)
    assert formed("json_object", refusing, surroundings) == OutputFormat({}, ONLY_JSON)


def test_the_word_is_not_said_twice() -> None:
    assert formed("json_object", Profile(), SAID).instructions is None
    assert formed("json_object", Profile(json_needs_word=False)).instructions is None


NAMES = st.sampled_from(["a", "b", "é", "四", "x y"])
SCHEMAS = st.dictionaries(NAMES, st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": [1, "2"]}]))


@given(SCHEMAS, st.sampled_from(["json_schema", "json_object", "prompt"]))
def test_the_same_schema_makes_the_same_request(properties: JsonObject, best: Best) -> None:
    schema: JsonObject = {"type": "object", "properties": properties}
    copied = json.loads(json.dumps(schema))
    profile = Profile(response_format=best)

    assert formed("json_schema", profile, schema=schema) == formed("json_schema", profile, schema=copied)


@given(SCHEMAS)
def test_a_schema_in_words_is_the_clients_own(properties: JsonObject) -> None:
    schema: JsonObject = {"type": "object", "properties": properties}
    told = formed("json_schema", Profile(), schema=schema).instructions

    assert told is not None
    assert json.loads(told.partition("\n")[2]) == schema
