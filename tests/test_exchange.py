"""The life of one call, step by step: what happens upstream goes in, actions come out."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pytest
from pydantic import SecretStr

from addon.actions import Action, Answer, Attempt, Data, End, Head
from addon.chat_exchange import ChatExchange
from addon.client_answer import ClientAnswer, Pace
from addon.exchange import CallContext, Exchange, Record, ResponsesExchange
from addon.providers.profile import Profile
from addon.routing import Credential, Target
from addon.translate.chat_fold import ChatFold
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder, no_seal
from addon.translate.request import to_chat
from addon.translate.stream import StreamConverter
from addon.tries import ChatCall, OneTry, ReadCall
from addon.wire.json import JsonObject
from addon.wire.responses import OutputItem, read_request
from addon.wire.sse import SSEParser
from tests.grammar import check_stream

TARGET = Target(
    provider="acme",
    model="acme-1",
    profile=Profile(),
    url="https://chat.acme.test/v1/chat/completions",
    headers={"x-team": "blue"},
    credential=Credential("Authorization", SecretStr("acme-secret"), scheme="Bearer"),
)

HELLO = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}


def clock() -> Iterator[float]:
    return (1_700_000_000 + tick / 10 for tick in itertools.count())


def responses(
    *, stream: bool = True, notes: Notes | None = None, remembered: list[Sequence[OutputItem]] | None = None
) -> ResponsesExchange:
    request = read_request(json.dumps({"model": "gpt-5", "input": "Hi", "stream": stream}).encode())
    notes = notes if notes is not None else Notes()
    chat = to_chat(request, TARGET.profile, model="acme-1", origin="acme/acme-1", lookup=lambda _: None, notes=notes)
    count, ticks = itertools.count(), clock()

    def now() -> float:
        return next(ticks)

    kept = remembered if remembered is not None else []
    provider_call = ReadCall(
        TARGET,
        chat.body,
        chat.stream,
        notes,
        reader=lambda builder: StreamConverter(
            builder, TARGET.profile, chat.tools, provider="acme", notes=notes, hide=hide
        ),
        seal=no_seal,
    )
    return ResponsesExchange(
        OneTry(provider_call),
        Record("responses", "gpt-5", "acme/acme-1"),
        CallContext("req_1", now, hide),
        ClientAnswer(
            ResponseBuilder(request, ids=lambda prefix: f"{prefix}_{next(count)}", now=lambda: 0.0, seal=no_seal),
            stream=stream,
            pace=Pace(),
            clock=now,
        ),
        remember=lambda builder, _: kept.append(builder.response["output"]) is None,
    )


def chat(*, stream: bool = True, folds: bool = False) -> ChatExchange:
    ticks = clock()
    body: JsonObject = {"model": "acme-1", "messages": [], "stream": stream}
    notes = Notes()
    fold = partial(ChatFold, TARGET.profile, provider="acme", notes=notes)
    return ChatExchange(
        OneTry(ChatCall(TARGET, body, stream, notes, fold if folds else None)),
        Record("chat/completions", "gpt-5", "acme/acme-1"),
        CallContext("req_1", lambda: next(ticks), hide),
        Pace(),
    )


def hide(text: str) -> str:
    return text.replace("acme-secret", "[hidden]")


def sse(*chunks: object, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def events_of(actions: Sequence[Action]) -> list[dict[str, object]]:
    parser = SSEParser()
    return [
        json.loads(event.data) for action in actions if isinstance(action, Data) for event in parser.feed(action.data)
    ]


def error_of(actions: Sequence[Action]) -> tuple[int, Mapping[str, object]]:
    (answer,) = actions
    assert isinstance(answer, Answer)
    return answer.status, json.loads(answer.body)["error"]


def test_the_attempt_shows_everything_but_the_key() -> None:
    (attempt,) = responses().begin()
    assert isinstance(attempt, Attempt)
    assert attempt.url == TARGET.url
    assert attempt.stream
    assert attempt.headers["x-team"] == "blue"
    assert attempt.headers["accept"] == "text/event-stream"
    assert json.loads(attempt.body)["model"] == "acme-1"
    assert attempt.credential is not None
    assert attempt.credential.header() == ("Authorization", "Bearer acme-secret")
    assert "acme-secret" not in repr(attempt)


def test_a_stream_begins_with_the_first_chunk_and_ends_with_the_terminal_event() -> None:
    remembered: list[Sequence[OutputItem]] = []
    exchange = responses(remembered=remembered)
    exchange.begin()
    assert exchange.upstream_head(200, {"x-request-id": "up_1", "server": "acme"}) == []
    first = exchange.upstream_data(sse(HELLO, done=False))
    head = first[0]
    assert isinstance(head, Head)
    assert head.status == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert head.headers["x-request-id"] == "up_1"
    assert head.headers["x-bridge-target"] == "acme/acme-1"
    assert "server" not in head.headers
    last = exchange.upstream_data(sse(STOP))
    assert isinstance(last[-1], End)
    assert exchange.over
    assert exchange.upstream_end() == []
    events = events_of([*first, *last])
    check_stream(events)
    assert events[-1]["type"] == "response.completed"
    assert exchange.record.outcome == "completed"
    assert [item["type"] for items in remembered for item in items] == ["message"]


def test_a_client_that_wants_json_gets_the_fold_of_a_stream() -> None:
    exchange = responses(stream=False)
    exchange.begin()
    exchange.upstream_head(200, {})
    assert exchange.upstream_data(sse(HELLO, done=False)) == []
    (answer,) = exchange.upstream_data(sse(STOP))
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert json.loads(answer.body)["output"][0]["content"][0]["text"] == "Hello"


def test_a_client_that_wants_a_stream_gets_one_of_a_whole_answer() -> None:
    exchange = responses()
    exchange.begin()
    exchange.upstream_head(200, {"content-type": "application/json"})
    assert exchange.upstream_data(json.dumps(WHOLE).encode()) == []
    events = events_of(exchange.upstream_end())
    check_stream(events)
    assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_an_error_of_the_provider_is_an_error_of_http(stream: bool) -> None:
    exchange = responses(stream=stream)
    exchange.begin()
    exchange.upstream_head(429, {"Retry-After": "7"})
    assert exchange.upstream_data(b'{"error":{"message":"slow down, acme-secret"}}') == []
    actions = exchange.upstream_end()
    status, error = error_of(actions)
    assert status == 429
    assert error["code"] == "rate_limit_exceeded"
    assert "slow down, [hidden]" in str(error["message"])
    assert isinstance(actions[0], Answer)
    assert actions[0].headers["retry-after"] == "7"
    assert exchange.record.outcome == "error rate_limit_exceeded"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_an_error_in_the_place_of_the_first_chunk_is_an_error_of_http_too(stream: bool) -> None:
    exchange = responses(stream=stream)
    exchange.begin()
    exchange.upstream_head(200, {})
    status, error = error_of(exchange.upstream_data(sse({"error": {"message": "no acme-secret here", "code": 503}})))
    assert status == 503
    assert "no [hidden] here" in str(error["message"])


def test_a_connection_that_cannot_be_made_is_a_502() -> None:
    exchange = responses()
    exchange.begin()
    status, error = error_of(exchange.upstream_lost("connection refused"))
    assert status == 502
    assert error["message"] == (
        "The connection to the provider acme (chat.acme.test) failed: it was refused. "
        "Is it running, and is its base_url right?"
    )


def test_a_connection_that_breaks_in_a_stream_ends_it_with_a_failure() -> None:
    exchange = responses()
    exchange.begin()
    exchange.upstream_head(200, {})
    actions = [*exchange.upstream_data(sse(HELLO, done=False)), *exchange.upstream_lost("reset by peer")]
    events = events_of(actions)
    check_stream(events)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert isinstance(actions[-1], End)
    assert exchange.record.outcome == "failed server_error"


def test_a_broken_connection_is_an_error_for_a_client_that_wants_json() -> None:
    exchange = responses(stream=False)
    exchange.begin()
    exchange.upstream_head(200, {})
    exchange.upstream_data(sse(HELLO, done=False))
    status, _ = error_of(exchange.upstream_lost("reset by peer"))
    assert status == 502


def test_a_compressed_answer_is_read() -> None:
    exchange = responses(stream=False)
    exchange.begin()
    exchange.upstream_head(200, {"content-encoding": "gzip"})
    compressed = gzip.compress(json.dumps(WHOLE).encode())
    assert exchange.upstream_data(compressed[:10]) == []
    exchange.upstream_data(compressed[10:])
    (answer,) = exchange.upstream_end()
    assert isinstance(answer, Answer)
    assert answer.status == 200


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", b"not gzip"), ("compress", b"")], ids=["broken gzip", "unknown encoding"]
)
def test_an_answer_that_cannot_be_decoded_is_the_providers_fault(encoding: str, body: bytes) -> None:
    exchange = responses()
    exchange.begin()
    actions = [*exchange.upstream_head(200, {"content-encoding": encoding}), *exchange.upstream_data(body)]
    status, error = error_of(actions)
    assert status == 502
    assert str(error["message"]).startswith("The provider acme ")


def test_notes_are_told_in_a_header() -> None:
    notes = Notes()
    notes.add("truncation", "nothing is cut")
    exchange = responses(notes=notes)
    exchange.begin()
    exchange.upstream_head(200, {})
    head = exchange.upstream_data(sse(HELLO, done=False))[0]
    assert isinstance(head, Head)
    assert head.headers["x-bridge-notes"] == "truncation: nothing is cut"


@pytest.mark.parametrize("exchange", [responses(), chat()], ids=["responses", "chat"])
def test_after_the_client_has_gone_nothing_happens(exchange: Exchange) -> None:
    exchange.begin()
    exchange.upstream_head(200, {})
    exchange.client_gone()
    assert exchange.over
    assert exchange.record.outcome == "client gone"
    assert exchange.upstream_data(sse(HELLO)) == []
    assert exchange.upstream_end() == []
    assert exchange.upstream_lost("too late") == []


def test_a_chat_answer_passes_as_it_comes() -> None:
    exchange = chat()
    exchange.begin()
    head, *_ = exchange.upstream_head(200, {"content-type": "text/event-stream"})
    assert isinstance(head, Head)
    assert exchange.upstream_data(sse(HELLO)) == [Data(sse(HELLO))]
    assert exchange.upstream_end() == [End()]


def test_a_chat_stream_is_folded_for_a_client_that_wants_one_answer() -> None:
    exchange = chat(folds=True)
    exchange.begin()
    assert exchange.upstream_head(200, {"content-type": "text/event-stream", "x-request-id": "req_theirs"}) == []
    assert exchange.upstream_data(sse(HELLO)) == []
    (answer,) = exchange.upstream_end()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Hello"
    assert (exchange.record.status, exchange.record.outcome) == (200, "completed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(sse(HELLO, {"error": {"message": "overloaded", "code": 503}}), "server_error", id="error"),
        pytest.param(b"data: [DONE]\n\n", "upstream_invalid", id="nothing"),
    ],
)
def test_a_folded_stream_may_end_with_an_error(body: bytes, code: str) -> None:
    exchange = chat(folds=True)
    exchange.begin()
    exchange.upstream_head(200, {})
    _, error = error_of([*exchange.upstream_data(body), *exchange.upstream_end()])
    assert error["code"] == code


@pytest.mark.parametrize("finish", ["stop", None])
def test_a_folded_stream_that_breaks_is_whole_if_all_was_said(finish: str | None) -> None:
    exchange = chat(folds=True)
    exchange.begin()
    exchange.upstream_head(200, {})
    choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": finish}
    assert exchange.upstream_data(sse({"choices": [choice]}, done=False)) == []
    (answer,) = exchange.upstream_lost("reset by peer")
    assert isinstance(answer, Answer)
    assert answer.status == (200 if finish else 502)


def test_a_chat_error_has_openais_shape() -> None:
    exchange = chat()
    exchange.begin()
    assert exchange.upstream_head(401, {}) == []
    exchange.upstream_data(b'{"detail":"bad key acme-secret"}')
    status, error = error_of(exchange.upstream_end())
    assert status == 401
    assert error["code"] == "invalid_api_key"
    assert "acme-secret" not in str(error)


def test_a_chat_stream_that_breaks_says_so() -> None:
    exchange = chat()
    exchange.begin()
    exchange.upstream_head(200, {})
    data, end = exchange.upstream_lost("reset by peer")
    assert isinstance(data, Data)
    assert json.loads(data.data.removeprefix(b"data: "))["error"]["code"] == "server_error"
    assert end == End()


def test_what_strangers_say_cannot_end_a_header() -> None:
    exchange = responses()
    exchange.begin()
    exchange.record.target = "acme/x\r\nset-cookie: a=b"
    exchange.record.tried.append("acme/x bad\r\ncode")
    exchange.upstream_head(200, {})
    head = exchange.upstream_data(sse(HELLO, done=False))[0]
    assert isinstance(head, Head)
    assert head.headers["x-bridge-target"] == "acme/x??set-cookie: a=b"
    assert head.headers["x-bridge-tried"] == "acme/x bad??code"
