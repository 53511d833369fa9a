"""What a response repeats of its request: all of it where the SDKs' types allow that, and never what they refuse."""

from __future__ import annotations

import pytest

from addon.translate.echo import echo
from tests.translate.answers import answer_to, request, text

FUNCTION = {"type": "function", "name": "f"}


def told(**asked: object) -> dict[str, object]:
    """The response to a request; judging it is part of `answer_to`."""
    return answer_to([text("Hi", "stop")], asked=request(**asked)).response


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"instructions": "Be brief"}, {"instructions": "Be brief"}),
        ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
        ({"store": False, "parallel_tool_calls": False}, {"store": False, "parallel_tool_calls": False}),
        (
            {"reasoning": {"effort": "low", "generate_summary": "auto"}},
            {"reasoning": {"effort": "low", "summary": "auto"}},
        ),
        ({"text": {"verbosity": "low"}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
        ({"tools": [FUNCTION]}, {"tools": [{**FUNCTION, "description": None, "parameters": None, "strict": None}]}),
        ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tool_choice": FUNCTION}, {"tool_choice": FUNCTION}),
        ({"previous_response_id": "resp_0", "user": "u"}, {"previous_response_id": "resp_0", "user": "u"}),
    ],
)
def test_the_request_is_repeated(asked: dict[str, object], expected: dict[str, object]) -> None:
    response = told(**asked)

    assert {key: response[key] for key in expected} == expected


def test_the_schema_is_repeated() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}

    assert told(text={"format": form})["text"] == {"format": form, "verbosity": "medium"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"metadata": {"a": 1, "b": None, "c": [True]}}, {"metadata": {"a": "1", "b": "null", "c": "[true]"}}),
        ({"truncation": "perhaps"}, {"truncation": "disabled"}),
        ({"reasoning": {"effort": "ultra", "summary": "none"}}, {"reasoning": {"effort": None, "summary": None}}),
        ({"text": {"verbosity": "chatty"}}, {"text": {"format": {"type": "text"}, "verbosity": "medium"}}),
        ({"text": {"format": {"type": "yaml"}}}, {"text": {"format": {"type": "text"}, "verbosity": "medium"}}),
        (
            {"text": {"format": {"type": "json_schema"}}},
            {"text": {"format": {"type": "json_schema", "name": "", "schema": {}}, "verbosity": "medium"}},
        ),
        ({"tool_choice": "any"}, {"tool_choice": "auto"}),
        ({"tool_choice": {"type": "tomorrow"}}, {"tool_choice": "auto"}),
        (
            {"tools": [{"type": "tomorrow"}, FUNCTION]},
            {"tools": [{**FUNCTION, "description": None, "parameters": None, "strict": None}]},
        ),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": []}]},
            {"tools": [{"type": "namespace", "name": "n", "tools": [], "description": ""}]},
        ),
        ({"prompt_cache_retention": "forever"}, {"prompt_cache_retention": None}),
    ],
)
def test_what_the_sdks_would_refuse_is_told_otherwise(asked: dict[str, object], expected: dict[str, object]) -> None:
    response = told(**asked)

    assert {key: response[key] for key in expected} == expected


def test_the_model_is_the_clients() -> None:
    assert echo(request(model="x"), "y")["model"] == "y"
