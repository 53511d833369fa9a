"""Whatever a provider answers: one grammatical stream with one terminal event, and no exception."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.observe.redact import Redactor
from addon.providers.profile import Profile
from addon.translate.errors import ApiError, UpstreamError, from_body, from_response, is_error
from addon.translate.healing import bent, remedy
from addon.wire.json import loads
from tests.fuzz.mutation import CUTS, ODD, cut, damaged, fuzzed, mutated, words_of
from tests.translate import answers as chat
from tests.translate import native_answers as native
from tests.translate.answers import Answer, answer_to, request
from tests.translate.native_answers import native_answer_to
from tests.translate.test_stream_properties import RESET, TOOLS

pytestmark = pytest.mark.slow

BROKEN_BY = st.sampled_from([None, RESET])
PROFILES = st.sampled_from(
    [
        Profile(),
        Profile(reasoning_cumulative=True, missing_finish="fail"),
        Profile(reasoning_in_completion=False, missing_finish="incomplete", empty_answer="overflow"),
    ]
)
ASKED = st.sampled_from(
    [
        request(),
        request(reasoning={"summary": "auto"}, include=["reasoning.encrypted_content", "message.output_text.logprobs"]),
        request(text={"format": {"type": "json_object"}}, parallel_tool_calls=False, max_output_tokens=5),
    ]
)


def _read(body: bytes) -> Any:
    """The chunk in an event of a stream."""
    return json.loads(body.removeprefix(b"data: "))


LOGPROBS = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]}
SEARCHES = [{"url": "https://a.example", "title": "A"}]
CITATION = {"type": "url_citation", "url_citation": {"url": "https://a.example", "start_index": 0, "end_index": 1}}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CHUNKS = [
    _read(each)
    for each in (
        chat.chunk({"role": "assistant", "content": ""}),
        chat.text("Hel"),
        chat.text("<think>so</think>lo"),
        chat.chunk({"reasoning_content": "Hm."}),
        chat.chunk({"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]}),
        chat.chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"text": "b"}]}),
        chat.chunk({"refusal": "No."}),
        chat.call(0, id="a", name="f", arguments=""),
        chat.call(0, arguments='{"x": 1'),
        chat.call(0, arguments="}"),
        chat.call(1, id="b", name="patch", arguments='{"input": "*** Begin'),
        chat.call(2, id="c", name="shell", arguments='{"commands": ["ls"]}'),
        chat.call(3, id="d", name="find", arguments="{}"),
        chat.call(4, id="e", name="edit", arguments='{"operation": {"type": "delete_file", "path": "a"}}'),
        chat.chunk({"function_call": {"name": "f", "arguments": "{}"}}),
        chat.chunk(
            {"content": "a", "annotations": [CITATION]}, search_results=SEARCHES, citations=["https://b.example"]
        ),
        chat.chunk({}, "stop", usage=USAGE),
        chat.chunk({}, "tool_calls"),
        chat.chunk({}, "length"),
        chat.chunk({}, "content_filter"),
        chat.data({"choices": [], "usage": USAGE, "service_tier": "flex"}),
        chat.data({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": LOGPROBS}]}),
        chat.data({"error": {"message": "all is lost", "code": 429, "type": "x"}}),
        chat.data({"object": "error", "message": "no", "code": 40301}),
        chat.data({"base_resp": {"status_code": 1004, "status_msg": "no"}}),
    )
]
SPEECHES = st.lists(st.sampled_from(CHUNKS), min_size=1, max_size=8)
WORDS = words_of(CHUNKS)
ENDS = st.sampled_from([b"", chat.DONE, b"data: [DONE]", b"data: {", b"event: error\ndata: no\n\n", b": c\n\n", b"\n"])


def streamed(chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in _entries(chunks))


def _entries(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def assert_truthful(answer: Answer, body: bytes) -> None:
    """The grammar and the SDK's models have passed; an answer that ran to its end says how."""
    terminal = [event["type"] for event in answer.events if event["type"] in TERMINAL]
    assert terminal == [answer.events[-1]["type"]], body


TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@given(mutated(SPEECHES, WORDS).map(streamed), ENDS, CUTS, PROFILES, ASKED, BROKEN_BY)
@fuzzed(160)
def test_chunks_of_a_stream(
    body: bytes, end: bytes, cuts: list[int], profile: Profile, asked: Any, broken_by: ApiError | None
) -> None:
    portions = cut(body + end, cuts)
    answer = answer_to(portions, asked=asked, profile=profile, tools=TOOLS, logprobs=True, broken_by=broken_by)
    assert_truthful(answer, body)


@given(damaged(SPEECHES.map(streamed)), CUTS)
@fuzzed(100)
def test_bytes_of_a_stream(body: bytes, cuts: list[int]) -> None:
    assert_truthful(answer_to(cut(body, cuts), tools=TOOLS), body)


MESSAGE = {
    "role": "assistant",
    "content": "Hello.",
    "reasoning_content": "Hm.",
    "refusal": None,
    "annotations": [CITATION],
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "x"}},
    ],
}
COMPLETIONS = st.sampled_from(
    [json.loads(chat.completion(MESSAGE, "stop", USAGE)), {"data": json.loads(chat.completion({"content": "a"}))}]
)


@given(mutated(COMPLETIONS, words_of(MESSAGE, WORDS)), PROFILES, ASKED)
@fuzzed(100)
def test_whole_answers(content: Any, profile: Profile, asked: Any) -> None:
    body = json.dumps(content).encode()
    assert_truthful(answer_to([body], asked=asked, profile=profile, tools=TOOLS, logprobs=True), body)


@given(st.binary(max_size=200), CUTS)
@fuzzed(100)
def test_any_bytes(body: bytes, cuts: list[int]) -> None:
    assert_truthful(answer_to(cut(body, cuts)), body)
    assert_truthful(native_answer_to(cut(body, cuts)), body)


# --- a provider's own Responses endpoint

CALL = native.call_item()
PATCH = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "call_id": "c",
    "name": "patch",
    "input": "x",
    "status": "completed",
}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
SHELL = {"id": "sh_1", "type": "shell_call", "call_id": "s", "action": {"commands": ["ls"]}, "status": "completed"}
THOUGHT = native.reasoning_item("So.", encrypted_content="gAAA")
EVENTS = [
    native.CREATED,
    *native.text_events(0, "Hel", "lo."),
    *native.call_events(1, '{"a"', ":1}"),
    native.added(2, THOUGHT),
    native.event("reasoning_summary_text.delta", item_id="rs_theirs", output_index=2, summary_index=0, delta="So."),
    native.event("reasoning_text.delta", item_id="rs_theirs", output_index=2, content_index=0, delta="So."),
    native.event("refusal.delta", item_id="msg_theirs", output_index=0, content_index=1, delta="No."),
    native.event("custom_tool_call_input.delta", item_id="ctc_1", output_index=3, delta="x"),
    *(native.done(index, item) for index, item in enumerate((THOUGHT, CALL, PATCH, SHELL))),
    native.event("incomplete", response=native.response(status="incomplete")),
    native.event("failed", response=native.response(status="failed", error={"code": "x", "message": "no"})),
    {"type": "error", "code": "rate_limit_exceeded", "message": "no", "param": None},
    native.completed(native.text_item("Hello."), CALL, THOUGHT, PATCH, SHELL),
]


SEARCHED = native.sse(native.done(8, SEARCH))
"""What the provider's own tools have done is handed on as it comes: here it is always good."""


def native_stream(events: Any) -> bytes:
    return b"".join(
        f"event: {each.get('type') if isinstance(each, dict) else ''}\ndata: {json.dumps(each)}\n\n".encode(
            "utf-8", "replace"
        )
        for each in _entries(events)
    )


@given(
    mutated(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=8) | st.just(EVENTS), words_of(EVENTS)),
    st.sampled_from([b"", SEARCHED]),
    CUTS,
    PROFILES,
    ASKED,
    BROKEN_BY,
)
@fuzzed(160)
def test_events_of_a_native_stream(
    events: Any, begun: bytes, cuts: list[int], profile: Profile, asked: Any, broken_by: ApiError | None
) -> None:
    body = begun + native_stream(events)
    answer = native_answer_to(
        cut(body, cuts), asked=asked, profile=profile, tools=TOOLS, logprobs=True, broken_by=broken_by
    )
    assert_truthful(answer, body)


RESPONSES = st.sampled_from([native.response(native.text_item("Hello."), CALL, THOUGHT, PATCH, SHELL)])


@given(mutated(RESPONSES, words_of(EVENTS)), ASKED)
@fuzzed(100)
def test_whole_native_answers(content: Any, asked: Any) -> None:
    body = json.dumps(content).encode()
    assert_truthful(native_answer_to([body], asked=asked, tools=TOOLS, logprobs=True), body)


# --- errors

ERRORS: list[Any] = [
    {"error": {"message": "no", "type": "t", "param": "p", "code": "c", "metadata": {"raw": "because"}}},
    {"error": "no", "code": 1},
    [{"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": []}}],
    {"detail": [{"loc": ["body", "messages", 0], "msg": "no", "type": "missing"}]},
    {"object": "error", "message": "no", "code": 400},
    {"base_resp": {"status_code": 1, "status_msg": "no"}},
]
STATUSES = st.sampled_from([307, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 425, 429, 500, 502, 503, 504, 529])
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "Retry-After-Ms", "x-ratelimit-reset", "content-type"]),
    st.text(max_size=8) | st.sampled_from(["5", "-1", "nan", "inf", "1e400", "Wed, 21 Oct 2025 07:28:00 GMT"]),
)


def assert_tellable(error: ApiError) -> None:
    assert 400 <= error.status < 600
    assert all(isinstance(value, str) and value for value in (error.message, error.code, error.type))
    assert error.param is None or error.param
    assert all(isinstance(value, str) for value in error.headers.values())
    assert json.loads(error.body()).keys() == {"error"}


@given(STATUSES, HEADERS, mutated(st.sampled_from(ERRORS), words_of(ERRORS)).map(json.dumps) | st.text())
@fuzzed(180)
def test_any_error(status: int, headers: dict[str, str], body: str) -> None:
    raw = body.encode("utf-8", "replace")
    assert_tellable(from_response(status, headers, raw, provider="acme", profile=Profile()))


@given((mutated(st.sampled_from(ERRORS), words_of(ERRORS)) | ODD).map(json.dumps))
@fuzzed(120)
def test_any_error_in_the_place_of_an_answer(body: str) -> None:
    content = loads(body)
    is_error(content)
    assert_tellable(from_body(content, provider="acme", profile=Profile()))


PATTERNS = [
    "x",
    "a ",
    "'",
    "1",
    "<",
    "<title>",
    "{",
    "[0].",
    "a.b.",
    "'a', ",
    "***",
    "sk-",
    "bearer ",
    "api-key:",
    "too large ",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_long_error_holds_nobody_up(pattern: str) -> None:
    """Providers quote what they were sent, images included; nobody else is served while that is searched."""
    text = pattern * (200_000 // len(pattern))
    began = time.process_time()
    for body in (text.encode(), json.dumps({"error": {"message": text}}).encode()):
        error = from_response(400, {}, body, provider="acme", profile=Profile())
        Redactor(["key-0123456789"]).redact(error.message)
        assert error.said is not None
        remedy(error.said, Profile(), BODY)
    assert time.process_time() - began < 5


OBJECTIONS = [
    "Unsupported parameter: 'top_p'",
    "Invalid schema for response_format: `$ref` is not supported at /properties/a",
    "max_tokens must be less than or equal to 4096",
    "messages.0.content: expected a string, got array",
    "'reasoning_effort' must be one of ['low', 'high']",
    "temperature must be in [0, 1]",
    "tool_call_id must match ^[a-zA-Z0-9]{9}$",
    "system message must be at the beginning",
]
BODY: Any = {
    "model": "m",
    "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "top_p": 0.5,
    "temperature": 2,
    "max_tokens": 100_000,
    "reasoning_effort": "high",
    "stop": ["a", "b", "c", "d", "e"],
    "stream": True,
}


@given(
    damaged(st.lists(st.sampled_from(OBJECTIONS) | st.text(max_size=10), max_size=4).map(" ".join).map(str.encode)),
    st.sampled_from([400, 404, 413, 422, 500, 502]),
    mutated(st.just(BODY), words_of(BODY)),
)
@fuzzed(120)
def test_any_objection(text: bytes, status: int, body: Any) -> None:
    """What is sent again is another request, with a profile that is valid."""
    said = UpstreamError(status, text.decode("utf-8", "replace"))
    found = remedy(said, Profile(), body if isinstance(body, dict) else {})
    assert found is None or bent(Profile(), found.overrides) != Profile()
