"""What native endpoints say against a request, and what helps."""

from __future__ import annotations

import pytest

from addon.providers.profile import Profile
from addon.translate.errors import UpstreamError
from addon.translate.healing import bent
from addon.translate.native_healing import native_remedy
from addon.wire.json import Json, JsonObject

BODY: JsonObject = {
    "model": "m",
    "input": [],
    "include": ["reasoning.encrypted_content"],
    "temperature": 1,
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
    "store": False,
}


def found(error: UpstreamError, *, may_leave: bool = False, body: JsonObject = BODY) -> dict[str, Json]:
    remedy = native_remedy(error, Profile(native_drop_params=("user",)), body, may_leave=may_leave)
    return dict(remedy.overrides) if remedy is not None else {}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            UpstreamError(400, "Unsupported parameter: 'temperature' is not supported.", param="temperature"),
            "temperature",
        ),
        (UpstreamError(400, "Unknown parameter: 'text.verbosity'.", param="text.verbosity"), "text.verbosity"),
        (UpstreamError(400, "reasoning.summary is not supported"), "reasoning.summary"),
        (UpstreamError(400, 'json: unknown field "include"'), "include"),
        (UpstreamError(400, "The parameter `include` specified in the request is not valid: not supported"), "include"),
        (UpstreamError(422, "Extra inputs are not permitted", param="store"), "store"),
    ],
    ids=["openai", "nested", "dotted", "go", "ark", "pydantic"],
)
def test_a_parameter_that_is_refused_is_left_out(error: UpstreamError, name: str) -> None:
    assert found(error) == {"native_drop_params": ["user", name]}


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError(400, "Invalid value: 'custom'. Supported values are: 'function'.", param="tools[1].type"),
        UpstreamError(400, "tool type 'custom' not supported"),
    ],
    ids=["param", "message"],
)
def test_a_tool_that_is_refused(error: UpstreamError) -> None:
    assert found(error) == {"native_drop_tools": ["custom"]}


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError(404, "404 page not found"),
        UpstreamError(404, "Not Found"),
        UpstreamError(405, "Method Not Allowed"),
        UpstreamError(400, "This model does not support the Responses API, use chat/completions"),
        UpstreamError(404, "The model `m` is not supported in the v1/responses endpoint."),
    ],
    ids=["page", "fastapi", "method", "model", "endpoint"],
)
def test_an_endpoint_that_is_not_there(error: UpstreamError) -> None:
    assert found(error, may_leave=True) == {"native_responses": "no"}
    assert not found(error, may_leave=False)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError(404, "The model `m` does not exist", code="model_not_found"),
        UpstreamError(400, "The conversation is too long."),
        UpstreamError(400, "Invalid 'input[0].content': unknown part"),
        UpstreamError(400, "Unsupported value", param="model"),
        UpstreamError(429, "Unsupported parameter: 'temperature'", param="temperature"),
        UpstreamError(401, "Unknown key"),
    ],
    ids=["model", "overflow", "input", "needed", "rate", "key"],
)
def test_what_no_other_request_would_help(error: UpstreamError) -> None:
    assert not found(error, may_leave=True)


def test_the_same_words_find_nothing_new() -> None:
    """The request that follows lacks what was named, so that it cannot be named again."""
    error = UpstreamError(400, "Unknown parameter: 'include'.", param="include")
    profile = bent(Profile(), found(error))

    assert "include" in profile.native_drop_params
    assert not found(error, body={"model": "m", "input": []})
