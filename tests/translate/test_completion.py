"""The body of a whole answer, with and without what gateways put around it."""

from __future__ import annotations

import json

import pytest

from addon.providers.profile import Profile
from addon.translate.completion import read_completion
from addon.translate.errors import ApiError

COMPLETION = {"choices": [{"message": {"content": "Hi"}}]}


def read(body: object) -> object:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_completion(raw, provider="acme", profile=Profile())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(COMPLETION, id="plain"),
        pytest.param({"code": 0, "data": COMPLETION}, id="data"),
        pytest.param({"result": COMPLETION, "success": True}, id="result"),
    ],
)
def test_the_completion_is_found(body: object) -> None:
    assert read(body) == COMPLETION


def test_a_byte_order_mark() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(COMPLETION).encode()) == COMPLETION


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param(b"", "server_error", "The provider acme sent an empty answer", id="empty"),
        pytest.param(b" \n", "server_error", "The provider acme sent an empty answer", id="blank"),
        pytest.param(b"<html><body>Sorry</body></html>", "server_error", "not JSON: Sorry", id="html"),
        pytest.param(b'{"choices":[{"mess', "server_error", "not JSON", id="cut"),
        pytest.param({"error": {"message": "Bad", "code": 429}}, "rate_limit_exceeded", "Bad", id="error"),
        pytest.param([{"error": {"message": "Bad"}}], "server_error", "Bad", id="list"),
        pytest.param({"choices": None}, "upstream_invalid", "without choices", id="no-choices"),
        pytest.param({"choices": []}, "upstream_invalid", "without choices", id="empty-choices"),
        pytest.param({"choices": {}}, "upstream_invalid", "without choices", id="odd-choices"),
        pytest.param({"data": {"choices": []}}, "upstream_invalid", "without choices", id="empty-envelope"),
        pytest.param([], "upstream_invalid", "without choices", id="empty-list"),
        pytest.param(5, "upstream_invalid", "without choices", id="number"),
    ],
)
def test_what_is_no_completion(body: object, code: str, message: str) -> None:
    error = read(body)

    assert isinstance(error, ApiError)
    assert error.code == code
    assert message in error.message
    assert error.status >= 429
