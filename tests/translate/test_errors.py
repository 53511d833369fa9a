"""Whatever a provider says when it says no, in the words and codes that clients act on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.errors import ApiError, from_body, from_response, is_error, to_headers
from tests.wire.test_json import JSON_VALUES


def answered(status: int, body: object, headers: Mapping[str, str] | None = None, **profile: object) -> ApiError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_response(status, headers or {}, raw, provider="acme", profile=Profile.model_validate(profile))


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(400, said("Bad"), (400, "invalid_value", "invalid_request_error"), id="E1-400"),
        pytest.param(
            400, said("Bad", code="unsupported"), (400, "unsupported", "invalid_request_error"), id="E1-400-code"
        ),
        pytest.param(422, said("Bad"), (400, "invalid_value", "invalid_request_error"), id="E1-422"),
        pytest.param(401, said("Bad"), (401, "invalid_api_key", "authentication_error"), id="E1-401"),
        pytest.param(403, said("Bad"), (403, "forbidden", "permission_error"), id="E1-403"),
        pytest.param(404, said("Bad"), (404, "upstream_not_found", "invalid_request_error"), id="E1-404"),
        pytest.param(
            404,
            said("The model `x` does not exist"),
            (404, "model_not_found", "invalid_request_error"),
            id="E1-404-model",
        ),
        pytest.param(
            400, said("no such model x"), (404, "model_not_found", "invalid_request_error"), id="E1-400-model"
        ),
        pytest.param(408, said("Bad"), (408, "server_error", "server_error"), id="E1-408"),
        pytest.param(413, said("Bad"), (413, "request_too_large", "invalid_request_error"), id="E1-413"),
        pytest.param(429, said("Bad"), (429, "rate_limit_exceeded", "rate_limit_error"), id="E1-429"),
        pytest.param(500, said("Bad"), (502, "server_error", "server_error"), id="E1-500"),
        pytest.param(502, said("Bad"), (502, "server_error", "server_error"), id="E1-502"),
        pytest.param(503, said("Bad"), (503, "server_error", "server_error"), id="E1-503"),
        pytest.param(529, said("Bad"), (503, "server_error", "server_error"), id="E1-529"),
        pytest.param(504, said("Bad"), (504, "server_error", "server_error"), id="E1-504"),
        pytest.param(302, b"", (502, "upstream_invalid", "server_error"), id="E1-302"),
        pytest.param(402, said("Bad"), (429, "insufficient_quota", "insufficient_quota"), id="E8-402"),
        pytest.param(
            403,
            said("Your account is in arrears: overdue"),
            (429, "insufficient_quota", "insufficient_quota"),
            id="E8-403",
        ),
        pytest.param(
            429, said("Bad", code="insufficient_quota"), (429, "insufficient_quota", "insufficient_quota"), id="E8-429"
        ),
        pytest.param(400, said("Insufficient Balance"), (429, "insufficient_quota", "insufficient_quota"), id="E8-400"),
        pytest.param(
            400,
            said("Bad", code="content_filter", innererror={"x": 1}),
            (400, "content_filter", "invalid_request_error"),
            id="E9-azure",
        ),
        pytest.param(
            400,
            said("Bad", code="data_inspection_failed"),
            (400, "content_filter", "invalid_request_error"),
            id="E9-dashscope",
        ),
        pytest.param(
            400,
            said("Bad", code="tool_use_failed", failed_generation="x"),
            (400, "tool_use_failed", "invalid_request_error"),
            id="E13-groq",
        ),
    ],
)
def test_status_code_and_type(status: int, body: object, expected: tuple[int, str, str]) -> None:
    error = answered(status, body)

    assert (error.status, error.code, error.type) == expected


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(said("No more"), id="openai"),
        pytest.param({"error": "No more"}, id="text"),
        pytest.param([{"error": {"code": 400, "message": "No more", "status": "INVALID_ARGUMENT"}}], id="array"),
        pytest.param({"object": "error", "message": "No more", "code": 400}, id="top-level"),
        pytest.param({"code": 20024, "message": "No more", "data": None}, id="with-data"),
        pytest.param({"detail": "No more"}, id="detail"),
        pytest.param({"detail": [{"loc": ["body", "messages", 0], "msg": "No more"}]}, id="details"),
        pytest.param({"success": False, "errors": [{"code": 7003, "message": "No more"}]}, id="errors"),
        pytest.param({"base_resp": {"status_code": 1004, "status_msg": "No more"}}, id="base-resp"),
        pytest.param({"message": "No more"}, id="message"),
        pytest.param(said("Failed", metadata={"raw": "No more"}), id="openrouter"),
        pytest.param({"strange": ["No more"]}, id="unknown-shape"),
        pytest.param("No more", id="json-text"),
        pytest.param(b"No more", id="plain"),
        pytest.param(
            b"<!DOCTYPE html><html><head><title>T</title></head><body><h1>No\n more</h1></body></html>", id="html"
        ),
        pytest.param(b"<html><head><title>No more</title></head><body></body></html>", id="html-title"),
    ],
)
def test_the_message_is_found(body: object) -> None:
    """E4."""
    error = answered(400, body)

    assert "No more" in error.message
    assert "acme" in error.message
    assert "<" not in error.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b" \n", b"<html></html>"])
def test_an_empty_body_still_says_something(status: int, body: bytes) -> None:
    error = answered(status, body)

    assert f"HTTP {status} without a message" in error.message


def test_a_long_page_is_shortened() -> None:
    assert len(answered(500, b"word " * 10_000).message) < 400


@pytest.mark.parametrize("code", ["1210", 1210])
def test_codes_are_text(code: object) -> None:
    """E5."""
    assert answered(400, said("Bad", code=code, type=None)).code == "1210"


@pytest.mark.parametrize("param", ["messages[0]", None])
def test_the_parameter_is_named(param: str | None) -> None:
    assert answered(400, said("Bad", param=param)).param == param


def test_the_parameter_of_fastapi() -> None:
    assert answered(422, {"detail": [{"loc": ["body", "messages", 0], "msg": "Bad"}]}).param == "messages.0"


def test_all_that_is_wrong_is_told() -> None:
    wrong = [
        {"loc": ["body", "user"], "msg": "Extra"},
        "?",
        {"msg": "Bad"},
        {"loc": ["body", "tools", 0, "strict"]},
        {},
    ]
    error = answered(422, {"detail": wrong})
    assert error.message.endswith("refused the request: user: Extra; Bad; tools.0.strict")
    assert error.param == "user"


OVERFLOWS = {
    "openai-code": (400, said("Bad", code="context_length_exceeded")),
    "openai": (400, said("Your input exceeds the context window of this model.")),
    "openai-2": (400, said("This model's maximum context length is 128000 tokens. However, you requested 130000.")),
    "dashscope": (400, said("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]")),
    "deepseek": (400, said("This model's maximum context length is 131072 tokens.")),
    "moonshot": (400, said("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)")),
    "zhipu": (400, said("Requested token count exceeds the model's maximum context length", code="1210")),
    "minimax": (
        200,
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit"}},
    ),
    "qianfan": (400, said("Too long", code="context_length_exceeded", type="invalid_request_error")),
    "siliconflow": (400, {"code": 20015, "message": "maximum context length is 32768", "data": None}),
    "openrouter": (400, said("This endpoint's maximum context length is 32768 tokens.", code=400)),
    "openrouter-2": (400, said("Provider returned error", metadata={"raw": "maximum allowed input length is 4096"})),
    "groq": (400, said("Please reduce the length of the messages or completion.")),
    "together": (422, said("The input (9000 tokens) is longer than the model's context length (8192 tokens).")),
    "together-2": (422, said("`inputs` tokens + `max_new_tokens` must be <= 8193.")),
    "fireworks": (400, {"error": "The prompt is too long: 9000, model maximum context length: 8191"}),
    "mistral": (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        },
    ),
    "gemini": (
        400,
        [said("The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).", code=400)],
    ),
    "anthropic": (400, said("prompt is too long: 210000 tokens > 200000 maximum")),
    "anthropic-413": (413, said("Request exceeds the maximum size", type="request_too_large")),
    "xai": (
        400,
        {"code": "x", "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."},
    ),
    "ark": (400, said("Total tokens of image and text exceed max message tokens", code="InvalidParameter", param="")),
    "cerebras": (413, b""),
    "vllm": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 9 output tokens",
            "code": 400,
        },
    ),
    "sglang": (
        400,
        {
            "object": "error",
            "message": "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
        },
    ),
    "llamacpp": (
        400,
        said("the request exceeds the available context size", type="exceed_context_size_error", code=400),
    ),
    "ollama": (400, said("prompt too long; exceeded max context length by 3 tokens")),
    "lmstudio": (
        400,
        {"error": "The number of tokens to keep from the initial prompt is greater than the context length."},
    ),
    "litellm": (
        400,
        said("litellm.ContextWindowExceededError: it exceeds the model's maximum context length", code="400"),
    ),
    "zhipu-chinese": (400, said("Prompt 超长", code="1261")),
    "siliconflow-2": (400, {"code": 20015, "message": "length of prompt_tokens (9) must be less than max_seq_len (8)"}),
    "vllm-2": (
        400,
        said("The decoder prompt (length 9) is longer than the maximum model length of 8", type="BadRequestError"),
    ),
    "nvidia": (422, {"detail": "This model's maximum context length is 4096 tokens. However, you requested 5000"}),
    "cloudflare": (
        400,
        {
            "success": False,
            "errors": [{"code": 5021, "message": "The input tokens (8251) exceeded this model context window limit"}],
        },
    ),
    "minimax-error": (400, said("invalid params, context window exceeds limit (2013)", type="bad_request_error")),
    "github": (
        413,
        said("Request body too large for gpt-4o model. Max size: 8000 tokens.", code="tokens_limit_reached"),
    ),
    "github-2": (413, said("The input exceeds the limit of 8000 tokens")),
    "as-500": (500, said("maximum context length is 4096 tokens")),
    "as-429": (429, said("maximum context length is 4096 tokens")),
}


@pytest.mark.parametrize(("status", "body"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_full_context(status: int, body: object) -> None:
    """E6."""
    error = answered(status, body)

    assert (error.status, error.code, error.param) == (400, "context_length_exceeded", "input")


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (429, "Too many tokens, please wait before trying again.", "rate_limit_exceeded"),
        (429, "Rate limit reached: tokens per minute (TPM): Limit 6000", "rate_limit_exceeded"),
        (413, "Request too large on tokens per minute (TPM): Limit 6000, Requested 8000", "request_too_large"),
        (400, "max_tokens must be at most 8192", "invalid_value"),
    ],
)
def test_what_only_looks_like_a_full_context(status: int, message: str, code: str) -> None:
    assert answered(status, said(message)).code == code


@pytest.mark.parametrize(
    ("profile", "status", "code"),
    [
        ({}, 413, "context_length_exceeded"),
        ({}, 400, "invalid_value"),
        ({"empty_error_is_overflow": True}, 400, "context_length_exceeded"),
        ({"empty_error_is_overflow": True}, 500, "server_error"),
    ],
)
def test_an_error_without_a_body(profile: dict[str, object], status: int, code: str) -> None:
    """E6: Cerebras has no words for a full context."""
    assert answered(status, b"", **profile).code == code


def test_a_profile_knows_more_ways_to_say_it() -> None:
    assert answered(400, said("Zu lang"), overflow_patterns=["zu lang"]).code == "context_length_exceeded"
    assert answered(400, said("prompt is too long"), overflow_exclude=["too long"]).code == "invalid_value"


def test_headers_of_the_provider_are_handed_on() -> None:
    headers = {"Retry-After": "7", "X-RateLimit-Remaining-Tokens": "0", "x-request-id": "r", "Server": "nginx"}

    assert answered(429, said("Bad"), headers).headers == {
        "retry-after": "7",
        "x-ratelimit-remaining-tokens": "0",
        "x-request-id": "r",
    }
    assert to_headers({"Set-Cookie": "x", "x-should-retry": "false"}) == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    ("headers", "after"), [({}, "5"), ({"retry-after-ms": "1200"}, "2"), ({"retry-after-ms": "soon"}, "5")]
)
def test_a_rate_limit_always_says_when_to_try_again(headers: dict[str, str], after: str) -> None:
    """E8."""
    assert answered(429, said("Bad"), headers).headers["retry-after"] == after


def test_a_spent_account_is_not_tried_again() -> None:
    assert answered(402, said("Bad")).headers == {"x-should-retry": "false"}


def test_the_envelope() -> None:
    body = json.loads(answered(400, said("Bad", param="top_k")).body())

    assert body == {
        "error": {
            "message": "The provider acme refused the request: Bad",
            "type": "invalid_request_error",
            "param": "top_k",
            "code": "invalid_value",
        }
    }


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (said("Bad", code=429), 429, "rate_limit_exceeded"),
        (said("Bad", code="server_error"), 502, "server_error"),
        (said("maximum context length"), 400, "context_length_exceeded"),
        ("Bad", 502, "server_error"),
        (None, 502, "server_error"),
    ],
)
def test_errors_within_an_answer(content: object, status: int, code: str) -> None:
    error = from_body(content, provider="acme", profile=Profile())  # type: ignore[arg-type]

    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "x"}}, True), ({"error": "x"}, True), ({"error": None, "choices": [{}]}, False),
        ({"error": {}}, False), ([{"error": "x"}], True), ([], False), ("x", False), (None, False),
        ({"choices": [{}], "message": "x"}, False), ({"choices": [], "message": "x"}, True),
        ({"base_resp": {"status_code": 0}}, False), ({"base_resp": {"status_code": 5}}, True),
        ({"object": "error"}, True), ({"success": False}, True), ({"detail": "x"}, True), ({"id": "x"}, False),
    ],
)  # fmt: skip
def test_is_error(body: object, expected: bool) -> None:
    assert is_error(body) is expected  # type: ignore[arg-type]


@given(st.integers(100, 599), JSON_VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=80))
def test_any_answer_becomes_a_readable_error(status: int, body: bytes) -> None:
    error = answered(status, body)

    assert 400 <= error.status < 600
    assert error.code
    assert "acme" in error.message
    assert json.loads(error.body())["error"]["code"] == error.code


def test_an_error_goes_through_a_context_manager() -> None:
    """contextlib sets __traceback__ on what passes through."""

    @contextmanager
    def room() -> Iterator[None]:
        yield

    with pytest.raises(ApiError, match="Bad"), room():
        raise ApiError.bad_request("Bad")
