"""Scenarios E: errors, in all the shapes they come in, and what the bridge can heal by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.end_to_end.provider import (
    DONE,
    PATIENCE_S,
    Behaviour,
    Reply,
    Watched,
    chunk,
    completion,
    event,
    fails,
    says,
    sends,
    sends_json,
    streams,
    streams_then_cuts,
)
from tests.end_to_end.scenarios.conftest import (
    Driver,
    Object,
    call_item,
    piece,
    result_item,
    tells,
    tool,
    user,
)

TOOLS = [tool("ls")]
HEL = event(chunk({"content": "Hel"}))


# --- how errors are told


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 503, 504])
def test_e1_errors_with_a_status(ask: Driver, status: int) -> None:
    outcome = ask(fails(status, "all is lost", "some_code")).failed("all is lost")

    assert outcome.status == status


@pytest.mark.parametrize(("status", "told"), [(422, 400), (500, 502), (502, 502), (529, 503)])
def test_e1_statuses_told_as_a_near_one(ask: Driver, status: int, told: int) -> None:
    """422 as 400, which all clients know; 500 as 502, since it is not the bridge that has failed."""
    assert ask(fails(status, "all is lost")).failed("all is lost").status == told


def test_e1_the_param_is_kept(ask: Driver) -> None:
    error = {"message": "too hot", "type": "invalid_request_error", "param": "temperature", "code": "bad_value"}

    outcome = ask(sends_json({"error": error}, 400), temperature=0.5).failed("too hot")

    assert outcome.error is not None
    assert (outcome.error["param"], outcome.error["code"]) == ("temperature", "bad_value")


LOST = {"message": "all is lost", "code": 502}


@pytest.mark.parametrize(
    "last",
    [
        pytest.param({"error": LOST}, id="alone"),
        pytest.param({"error": LOST, "choices": []}, id="empty-choices"),
        pytest.param({**chunk({"content": ""}, finish="error"), "error": LOST}, id="with-a-choice"),
        pytest.param(
            {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": LOST}]},
            id="in-the-choice",
        ),
    ],
)
@pytest.mark.parametrize("at", ["generic", "openrouter"])
def test_e2_an_error_in_the_stream(ask: Driver, at: str, last: Object) -> None:
    ask(tells(last), at=at).failed("all is lost")
    ask(tells(chunk({"role": "assistant", "content": ""}), last), at=at).failed("all is lost")
    outcome = ask(tells(chunk({"content": "Hel"}), last), at=at).failed("all is lost")

    assert outcome.text == "Hel"
    assert outcome.output[0]["status"] == "incomplete"


def test_e2_the_finish_error(ask: Driver) -> None:
    outcome = ask(tells(chunk({"content": "Hel"}), chunk(finish="error"))).failed("error")

    assert outcome.text == "Hel"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'event: error\ndata: {"error": {"message": "all is lost"}}\n\n', id="event"),
        pytest.param(b'event: error\ndata: {"message": "all is lost"}\n\n', id="event-flat"),
        pytest.param(b"event: error\ndata: all is lost\n\n", id="event-of-words"),
        pytest.param(b'error: {"code": 500, "message": "all is lost"}\n\n', id="error-line"),
        pytest.param(b'data: {"error": "all is lost"}\n\n', id="error-of-words"),
        pytest.param(b'data: {"object": "error", "message": "all is lost", "code": 500}\n\n', id="error-object"),
    ],
)
@pytest.mark.parametrize("done", [b"", DONE], ids=["cut", "done"])
def test_e3_other_errors_in_the_stream(ask: Driver, done: bytes, line: bytes) -> None:
    ask(streams(line, done or b"\n")).failed("all is lost")
    outcome = ask(streams(HEL, line, done or b"\n")).failed("all is lost")

    assert outcome.text == "Hel"


HTML = b"<!DOCTYPE html><html><head><title>502</title><style>p{}</style></head><body><p>all is lost</p></body></html>"

SHAPES: dict[str, tuple[int, object]] = {
    "array": (400, [{"error": {"code": 400, "message": "all is lost", "status": "INVALID_ARGUMENT"}}]),
    "object": (400, {"object": "error", "message": "all is lost", "type": "BadRequestError", "code": 400}),
    "data-null": (400, {"code": 20024, "message": "all is lost", "data": None}),
    "detail": (400, {"detail": "all is lost"}),
    "details": (422, {"detail": [{"loc": ["body", "messages", 0], "msg": "all is lost", "type": "value_error"}]}),
    "success-false": (400, {"success": False, "errors": [{"code": 7003, "message": "all is lost"}], "result": None}),
    "base-resp": (400, {"base_resp": {"status_code": 2013, "status_msg": "all is lost"}}),
    "base-resp-200": (200, {"base_resp": {"status_code": 2013, "status_msg": "all is lost"}, "choices": None}),
    "message": (400, {"message": "all is lost"}),
    "error-text": (400, {"code": "Client specified an invalid argument", "error": "all is lost"}),
    "raw": (
        400,
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"error":"all is lost"}'}}},
    ),
    "words": (503, "all is lost"),
}


@pytest.mark.parametrize(("status", "body"), SHAPES.values(), ids=SHAPES)
def test_e4_error_shapes(ask: Driver, status: int, body: object) -> None:
    outcome = ask(sends_json(body, status)).failed("all is lost")

    assert outcome.status >= 400
    assert "{" not in outcome.message.replace('{"error":"all is lost"}', "")


def test_e4_html(ask: Driver) -> None:
    outcome = ask(sends(HTML, 502, "text/html")).failed("all is lost")

    assert "<" not in outcome.message


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_e4_nothing(ask: Driver, status: int) -> None:
    ask(sends(b"", status)).failed("generic", f"HTTP {status}")


@pytest.mark.parametrize(("code", "told"), [(1210, "1210"), ("1210", "1210"), ("InvalidParameter", "InvalidParameter")])
def test_e5_codes(ask: Driver, code: object, told: str) -> None:
    outcome = ask(sends_json({"error": {"message": "all is lost", "type": None, "code": code}}, 400)).failed()

    assert outcome.code == told


def litellm(words: str) -> Object:
    return {"error": {"message": f"litellm.{words}", "type": None, "param": None, "code": "400"}}


def error(message: str, **more: object) -> Object:
    return {"error": {"message": message, **more}}


OVERFLOWS: dict[str, tuple[int, object]] = {
    "openai-code": (
        400,
        error("Your input is too long.", code="context_length_exceeded", type="invalid_request_error"),
    ),
    "openai-window": (400, error("Your input exceeds the context window of this model.")),
    "openai": (400, error("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.")),
    "dashscope": (
        400,
        error("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]", code="x"),
    ),
    "moonshot": (400, error("Invalid request: Your request exceeded model token limit: 262144 (requested: 262145)")),
    "zhipu": (
        400,
        error("Requested token count exceeds the model's maximum context length of 202752 tokens.", code="1210"),
    ),
    "minimax": (
        400,
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit"}},
    ),
    "qianfan": (400, error("the max input characters is 5120", code="context_length_exceeded")),
    "siliconflow": (400, {"code": 20015, "message": "length of prompt exceeds maximum context length", "data": None}),
    "openrouter": (
        400,
        error("This endpoint's maximum context length is 65536 tokens. You requested 70000.", code=400),
    ),
    "openrouter-input": (400, error("Input length 70000 exceeds the maximum allowed input length of 65536", code=400)),
    "groq": (413, error("Please reduce the length of the messages or completion.", code="context_length_exceeded")),
    "groq-words": (400, error("Please reduce the length of the messages or completion.")),
    "together": (400, error("The input (9000 tokens) is longer than the model's context length (8192 tokens).")),
    "together-tgi": (422, error("`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 and 512")),
    "fireworks": (400, {"error": {"object": "error", "type": "x", "message": "The prompt is too long: 9000"}}),
    "mistral": (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, "
            "too large for model with 32768 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
    ),
    "gemini": (
        400,
        [error("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", code=400)],
    ),
    "anthropic": (400, error("prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error")),
    "anthropic-bytes": (413, error("Request exceeds the maximum size", type="request_too_large")),
    "xai": (
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        },
    ),
    "vllm": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 4097 output tokens.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "sglang": (
        400,
        {
            "object": "error",
            "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
            "code": 400,
        },
    ),
    "llamacpp": (
        400,
        error(
            "the request exceeds the available context size, try increasing it",
            code=400,
            type="exceed_context_size_error",
            n_prompt_tokens=9000,
            n_ctx=8192,
        ),
    ),
    "ollama": (400, error("prompt too long; exceeded max context length by 12 tokens", type="api_error")),
    "lmstudio": (
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context length."
            " Try to load the model with a larger context length."
        },
    ),
    "litellm": (400, litellm("ContextWindowExceededError: litellm.BadRequestError: it does not fit")),
    "litellm-words": (400, litellm("BadRequestError: it exceeds the model's maximum context length")),
    "github-models": (413, error("The request exceeds the limit of 8000 tokens.", code="tokens_limit_reached")),
}


@pytest.mark.parametrize(("status", "sample"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_e6_overflow(ask: Driver, status: int, sample: object) -> None:
    outcome = ask(sends_json(sample, status)).failed()

    assert (outcome.status, outcome.code) == (400, "context_length_exceeded")
    assert len(outcome.upstream) == 1


@pytest.mark.parametrize("sample", ["openai", "llamacpp", "lmstudio", "litellm"])
def test_e6_overflow_in_the_stream(ask: Driver, sample: str) -> None:
    _, body = OVERFLOWS[sample]
    assert isinstance(body, dict)

    assert ask(tells(body)).failed().code == "context_length_exceeded"


def test_e6_the_code_of_zhipu_alone_is_no_overflow(ask: Driver) -> None:
    """1210 stands for any wrong parameter."""
    assert ask(sends_json(error("the tools are wrong", code="1210"), 400)).failed().code == "1210"


def test_e6_too_many_tokens_a_minute(ask: Driver) -> None:
    outcome = ask(fails(429, "Too many tokens, please wait before trying again.", "429")).failed()

    assert (outcome.status, outcome.code) == (429, "rate_limit_exceeded")


def test_e6_an_empty_413(ask: Driver) -> None:
    assert ask(sends(b"", 413)).failed().code == "context_length_exceeded"


def test_e6_an_empty_400_of_cerebras(ask: Driver) -> None:
    """Anywhere else it may mean anything."""
    assert ask(sends(b"", 400), at="cerebras").failed().code == "context_length_exceeded"
    assert ask(sends(b"", 400)).failed().code != "context_length_exceeded"


LONG = "All work and no play makes Jack a dull boy. " * 20_000


@pytest.mark.parametrize("said", [b"", event(chunk({"role": "assistant"}))], ids=["nothing", "role"])
def test_e7_silence(ask: Driver, said: bytes) -> None:
    ask(streams(said + DONE)).failed("longer than")


FULL = {"prompt_tokens": 4096, "completion_tokens": 0, "total_tokens": 4096}


def test_e7_silence_for_want_of_room(ask: Driver) -> None:
    last = {**chunk(finish="length"), "usage": FULL}

    outcome = ask(tells(chunk({"role": "assistant", "content": ""}), last), input=LONG)

    told = outcome.message if outcome.error else outcome.notes
    assert "longer than" in told


def test_e7_silence_of_a_server_that_is_known_for_it(ask: Driver) -> None:
    """LM Studio says nothing at all when the conversation is too long."""
    assert ask(streams(DONE), at="lmstudio", input=LONG).failed().code == "context_length_exceeded"


def test_e8_headers_of_a_rate_limit(ask: Driver) -> None:
    headers = {"retry_after": "17", "x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "17s"}

    outcome = ask(fails(429, "slow down", "rate_limit", **headers)).failed("slow down")

    assert (outcome.status, outcome.code) == (429, "rate_limit_exceeded")
    assert {name: outcome.headers[name.replace("_", "-")] for name in headers} == headers
    assert outcome.headers.get("x-should-retry") != "false"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (402, "Payment Required"),
        (402, "Insufficient Balance"),
        (403, "Your account has no credits: check your plan and billing details."),
        (429, "You exceeded your current quota, please check your plan and billing details."),
    ],
)
def test_e8_no_credit(ask: Driver, status: int, message: str) -> None:
    outcome = ask(fails(status, message, "nope")).failed(message)

    assert outcome.code == "insufficient_quota"
    assert outcome.headers["x-should-retry"] == "false"
    assert len(outcome.upstream) == 1


def test_e9_a_filter_before_the_answer(ask: Driver) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    filtered = error("The response was filtered.", code="content_filter", param="prompt", innererror=inner)

    outcome = ask(sends_json({"error": {**filtered["error"], "type": None, "status": 400}}, 400)).failed("filtered")

    assert (outcome.status, outcome.code) == (400, "content_filter")


@pytest.mark.parametrize("finish", ["content_filter", "sensitive"])
def test_e9_a_filter_in_the_answer(ask: Driver, finish: str) -> None:
    outcome = ask(tells(chunk({"content": "Hel"}), chunk(finish=finish))).incomplete("content_filter")

    assert outcome.text == "Hel"


@pytest.mark.parametrize("choices", [{"choices": None}, {"choices": []}, {}], ids=["null", "empty", "missing"])
def test_e10_no_choices(ask: Driver, choices: Object) -> None:
    body = {"id": "x", "object": "chat.completion", "model": "m", **choices, "usage": None}

    assert ask(sends_json(body)).failed("choices").code == "upstream_invalid"


@pytest.mark.parametrize("key", ["provider", "data", "response"])
def test_e10_a_completion_inside_another(ask: Driver, key: str) -> None:
    assert ask(sends_json({"id": "x", "choices": None, key: completion("Hello.")})).completed().text == "Hello."


# --- what is healed


@dataclass(frozen=True)
class Refusal:
    """A provider that takes no request with a certain parameter."""

    parameter: str
    answer: Behaviour

    def __call__(self, reply: Reply) -> None:
        (self.answer if self.parameter in reply.received.body else says("Hello."))(reply)


def refusing(parameter: str, body: object, status: int = 400) -> Refusal:
    return Refusal(parameter, sends_json(body, status))


REFUSALS = {
    "openai": refusing(
        "top_p",
        error(
            "Unsupported parameter: 'top_p' is not supported with this model.",
            type="invalid_request_error",
            param="top_p",
            code="unsupported_parameter",
        ),
    ),
    "openai-words": refusing("top_p", error("Unsupported parameter: 'top_p'")),
    "gemini": refusing(
        "parallel_tool_calls",
        [
            error(
                'Invalid JSON payload received. Unknown name "parallel_tool_calls": Cannot find field.',
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
    ),
    "groq": refusing("top_p", error("property 'top_p' is unsupported", type="invalid_request_error")),
    "mistral": refusing(
        "parallel_tool_calls",
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "parallel_tool_calls"],
                    "msg": "Extra inputs are not permitted",
                    "input": False,
                }
            ]
        },
        422,
    ),
}
WISHES: Object = {"top_p": 0.5, "parallel_tool_calls": False, "tools": TOOLS}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_e11_a_parameter_that_is_refused(ask: Driver, refusal: Refusal) -> None:
    """The call goes through without it, and the next one does not even try."""
    model = ask.new_model()

    first = ask.stream(refusal, model=model, **WISHES).completed()
    later = ask.whole(refusal, model=model, **WISHES).completed()

    assert [refusal.parameter in call.body for call in first.upstream] == [True, False]
    assert refusal.parameter not in later.sent
    assert refusal.parameter in later.notes
    kept = {"top_p", "parallel_tool_calls"} - {refusal.parameter}
    assert kept <= set(later.sent)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_e11_a_refusal_that_stays(ask: Driver, refusal: Refusal) -> None:
    """What is refused again is not tried a third time."""
    outcome = ask.stream(refusal.answer, model=ask.new_model(), **WISHES).failed()

    assert outcome.status == 400
    assert len(outcome.upstream) == 2


def test_e11_not_after_the_first_word(ask: Driver) -> None:
    refused = error("Unsupported parameter: 'top_p'", code=400)

    outcome = ask.stream(tells(chunk({"content": "Hel"}), refused), model=ask.new_model(), **WISHES).failed()

    assert outcome.text == "Hel"
    assert len(outcome.upstream) == 1


def unless(healthy: Callable[[Object], bool], refusal: Behaviour) -> Behaviour:
    """A provider that refuses requests until they are as it wants them."""
    return lambda reply: (says("Hello.") if healthy(reply.received.body) else refusal)(reply)


CHOICES = [
    "The tool_choice parameter does not support being set to required or object in thinking mode",
    "Thinking mode does not support this tool_choice",
    "tool_choice 'required' is incompatible with thinking enabled",
]


def without_force(body: Object) -> bool:
    thinking = body.get("thinking", {}).get("type") != "disabled"
    return not thinking or body.get("tool_choice", "auto") == "auto"


@pytest.mark.parametrize("message", CHOICES)
@pytest.mark.parametrize("at", ["generic", "style-thinking_type"])
def test_e12_a_choice_while_thinking(ask: Driver, at: str, message: str) -> None:
    behaviour = unless(without_force, fails(400, message, "invalid_request_error"))
    asking: Object = {"model": ask.new_model(at), "tools": TOOLS, "tool_choice": "required"}

    first = ask.stream(behaviour, **asking).completed()
    later = ask.whole(behaviour, **asking).completed()

    assert (len(first.upstream), len(later.upstream)) == (2, 1)


MISSING = [
    "The `reasoning_content` in the thinking mode must be passed back to the API.",
    "Missing `reasoning_content` field in the assistant message at message index 1",
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
]


def with_reasoning(body: Object) -> bool:
    thinking = body.get("thinking", {}).get("type") != "disabled"
    messages: Sequence[Any] = body["messages"]
    return not thinking or all(
        message.get("reasoning_content") for message in messages if message["role"] == "assistant"
    )


@pytest.mark.parametrize("message", MISSING)
@pytest.mark.parametrize("at", ["generic", "style-thinking_type"])
def test_e12_reasoning_that_is_missing(ask: Driver, at: str, message: str) -> None:
    behaviour = unless(with_reasoning, fails(400, message, "invalid_request_error"))
    past = [user("Hi"), call_item("call_0"), result_item("call_0")]
    asking: Object = {"model": ask.new_model(at), "input": past, "tools": TOOLS}

    first = ask.stream(behaviour, **asking).completed()
    later = ask.whole(behaviour, **asking).completed()

    assert (len(first.upstream), len(later.upstream)) == (2, 1)


@pytest.mark.parametrize("at", ["generic", "groq"])
def test_e13_a_call_that_groq_could_not_read(ask: Driver, at: str) -> None:
    attempt = '<function=ls>{"path": "a.txt"</function>'
    failed = error(
        "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        type="invalid_request_error",
        code="tool_use_failed",
        failed_generation=attempt,
    )

    outcome = ask(sends_json(failed, 400), at=at, tools=TOOLS).failed("Failed to call a function", attempt)

    assert outcome.code == "tool_use_failed"


# --- connections


def resets(*portions: bytes) -> Behaviour:
    def behave(reply: Reply) -> None:
        reply.start()
        for portion in portions:
            reply.send(portion)
        reply.reset()

    return behave


@pytest.mark.parametrize("breaking", [streams_then_cuts, resets])
def test_e14_a_connection_that_breaks(ask: Driver, breaking: Callable[..., Behaviour]) -> None:
    ask(breaking()).failed("generic", "failed")
    outcome = ask(breaking(HEL)).failed("generic")

    assert outcome.status == 200 or breaking is resets, "a reset may overtake what was sent before it"
    assert outcome.response is None or outcome.events[-1]["type"] == "response.failed"


@pytest.mark.parametrize("breaking", [streams_then_cuts, resets])
def test_e14_a_call_that_breaks(ask: Driver, breaking: Callable[..., Behaviour]) -> None:
    said = [chunk(piece(id="call_1", name="ls", arguments="")), chunk(piece(arguments='{"path":'))]

    outcome = ask(breaking(*map(event, said)), tools=TOOLS).failed("generic")

    for call in outcome.items("function_call") if outcome.response else []:
        assert call["status"] == "incomplete"


def test_e14_no_tls(ask: Driver) -> None:
    outcome = ask(at="speaks-no-tls").failed("speaks-no-tls", "failed")

    assert outcome.status == 502
    assert outcome.upstream == []


def test_e14_no_such_host(ask: Driver) -> None:
    assert ask(at="nowhere").failed("nowhere", "name").status == 502


def test_e14_silence(ask: Driver) -> None:
    streamed, whole = Watched(HEL), Watched(HEL)

    outcome = ask(streamed, at="impatient", whole=whole).failed("impatient")

    assert outcome.text == "Hel"
    assert streamed.gone.wait(PATIENCE_S)
    assert whole.gone.wait(PATIENCE_S)
