"""While a provider is silent: the client is kept alive, and what never answers is given up."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import partial

import pytest

from addon.actions import Action, Answer, Attempt, Cancel, Data, End, Head
from addon.chat_exchange import ChatExchange
from addon.client_answer import ClientAnswer, Pace
from addon.exchange import CallContext, Exchange, Record, ResponsesExchange
from addon.health import Health
from addon.providers.profile import Profile
from addon.routing import Target
from addon.selection import Selection
from addon.store.learned import Learned
from addon.translate.chat_fold import ChatFold
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder, no_seal
from addon.translate.request import to_chat
from addon.translate.stream import StreamConverter
from addon.tries import Budget, ChangingTries, ChatCall, Experience, ReadCall
from addon.wire.responses import read_request
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.test_exchange import HELLO, STOP, WHOLE, events_of, sse
from tests.test_health import Clock

PACE = Pace(early_headers_after=15, json_after=240, every=20)
TIMES = Profile(connect_timeout_s=10, first_byte_timeout_s=300, idle_timeout_s=100, total_timeout_s=1000)
FIRST = Target("acme", "m", TIMES, "https://acme.test/v1/chat/completions", {}, None, "acme#1")
SECOND = Target("spare", "m", TIMES, "https://spare.test/v1/chat/completions", {}, None, "spare#1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def experience(clock: Clock) -> Experience:
    return Experience(Learned(None, now=clock), Selection(Health(clock), lambda: 0.0), clock)


def responses(clock: Clock, *targets: Target, stream: bool = True) -> ResponsesExchange:
    request = read_request(json.dumps({"model": "gpt-5", "input": "Hi", "stream": stream}).encode())
    count = itertools.count()

    def converted(target: Target) -> ReadCall:
        notes = Notes()
        chat = to_chat(request, target.profile, model="m", origin=target.label, lookup=lambda _: None, notes=notes)

        def reader(builder: ResponseBuilder) -> StreamConverter:
            return StreamConverter(builder, target.profile, chat.tools, provider=target.provider, notes=notes)

        return ReadCall(target, chat.body, chat.stream, notes, reader, no_seal)

    builder = ResponseBuilder(request, ids=lambda prefix: f"{prefix}_{next(count)}", now=lambda: 0.0, seal=no_seal)
    return ResponsesExchange(
        ChangingTries(targets or (FIRST,), converted, experience(clock), Budget(seconds=2000)),
        Record("responses", "gpt-5", FIRST.label),
        CallContext("req_1", clock, str),
        ClientAnswer(builder, stream=stream, pace=PACE, clock=clock),
        remember=lambda *_: True,
    )


def chat(clock: Clock, *, stream: bool = True, folds: bool = False) -> ChatExchange:
    def call(target: Target) -> ChatCall:
        notes = Notes()
        fold = partial(ChatFold, target.profile, provider=target.provider, notes=notes)
        return ChatCall(target, {"stream": stream}, stream, notes, fold if folds else None)

    return ChatExchange(
        ChangingTries((FIRST,), call, experience(clock), Budget()),
        Record("chat/completions", "gpt-5", FIRST.label),
        CallContext("req_1", clock, str),
        PACE,
    )


def passing(clock: Clock, exchange: Exchange, seconds: float) -> list[Action]:
    """All that the exchange does in this time, if it is called when it wants to be."""
    end = clock.time + seconds
    actions: list[Action] = []
    while not exchange.over and exchange.alarm <= end:
        clock.time = max(clock.time, exchange.alarm)
        actions += exchange.tick()
    clock.time = end
    return actions


def connected(clock: Clock, exchange: Exchange) -> list[Action]:
    actions = exchange.begin()
    exchange.upstream_connected()
    return actions


# --- keeping the client


def test_a_stream_is_opened_before_the_provider_answers(clock: Clock) -> None:
    exchange = responses(clock)
    connected(clock, exchange)
    assert passing(clock, exchange, 14) == []
    head, data = passing(clock, exchange, 1)
    assert isinstance(head, Head)
    assert head.status == 200
    assert [event["type"] for event in events_of([data])] == ["response.created", "response.in_progress"]


def test_a_long_silence_is_filled_with_events_and_the_stream_stays_one(clock: Clock) -> None:
    exchange = responses(clock)
    connected(clock, exchange)
    actions = passing(clock, exchange, 100)
    exchange.upstream_head(200, {})
    actions += exchange.upstream_data(sse(HELLO, done=False))
    actions += passing(clock, exchange, 50)
    actions += exchange.upstream_data(sse(STOP))
    events = events_of(actions)
    types = [event["type"] for event in events]
    assert types.count("keepalive") == 4 + 2
    check_stream(events)
    assert types[-1] == "response.completed"
    for event in events:
        if event["type"] != "keepalive":
            validate_event(event)
    assert isinstance(actions[-1], End)


def test_no_client_waits_longer_than_it_is_told(clock: Clock) -> None:
    exchange = responses(clock)
    connected(clock, exchange)
    heard = [clock.time]
    for _ in range(30):
        clock.time = exchange.alarm
        if any(isinstance(action, Data) for action in exchange.tick()):
            heard.append(clock.time)
    assert len(heard) > 10
    assert max(later - earlier for earlier, later in itertools.pairwise(heard)) <= 20


def test_a_client_that_wants_json_gets_blanks_before_it_gives_up(clock: Clock) -> None:
    exchange = responses(clock, stream=False)
    connected(clock, exchange)
    assert passing(clock, exchange, 239) == []
    actions = passing(clock, exchange, 41)
    exchange.upstream_head(200, {})
    exchange.upstream_data(json.dumps(WHOLE).encode())
    actions += exchange.upstream_end()
    head, *data, end = actions
    assert isinstance(head, Head)
    assert head.headers["content-type"] == "application/json"
    assert isinstance(end, End)
    body = b"".join(each.data for each in data if isinstance(each, Data))
    assert body.startswith(b"\n\n\n")
    response = json.loads(body)
    validate_response(response)
    assert response["status"] == "completed"


def test_a_failure_after_blanks_is_a_failed_response(clock: Clock) -> None:
    exchange = responses(clock, stream=False)
    connected(clock, exchange)
    actions = passing(clock, exchange, 240) + exchange.upstream_lost("reset by peer")
    response = json.loads(b"".join(each.data for each in actions if isinstance(each, Data)))
    validate_response(response)
    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"


def test_a_chat_stream_is_kept_alive_between_its_events(clock: Clock) -> None:
    exchange = chat(clock)
    connected(clock, exchange)
    head, first = passing(clock, exchange, 15)
    assert isinstance(head, Head)
    assert first == Data(b": keep-alive\n\n")
    assert exchange.upstream_head(200, {}) == []
    exchange.upstream_data(b"data: {}")
    assert passing(clock, exchange, 25) == [], "in the midst of an event there is no place for a comment"
    exchange.upstream_data(b"\n\n")
    assert passing(clock, exchange, 20) == [Data(b": keep-alive\n\n")]


def test_a_whole_chat_answer_has_no_place_for_a_sign_of_life(clock: Clock) -> None:
    exchange = chat(clock, stream=False)
    connected(clock, exchange)
    assert passing(clock, exchange, 299) == []


def think(clock: Clock, exchange: Exchange, seconds: float) -> None:
    """So long the provider sends signs of life, of which the client hears nothing."""
    until = clock.time + seconds
    while clock.time < until:
        assert passing(clock, exchange, min(60, until - clock.time)) == []
        assert exchange.upstream_data(b": ping\n\n") == []


def test_a_chat_answer_that_is_folded_begins_with_blanks(clock: Clock) -> None:
    exchange = chat(clock, folds=True)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    think(clock, exchange, 239)
    head, blank = passing(clock, exchange, 1)
    assert isinstance(head, Head)
    assert head.headers["content-type"] == "application/json"
    assert blank == Data(b"\n")
    assert passing(clock, exchange, 20) == [Data(b"\n")]
    exchange.upstream_data(b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n')
    data, end = exchange.upstream_end()
    assert isinstance(data, Data)
    assert json.loads(data.data)["choices"][0]["message"]["content"] == "Hi"
    assert isinstance(end, End)


def test_a_folded_answer_that_has_begun_may_fail(clock: Clock) -> None:
    exchange = chat(clock, folds=True)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    think(clock, exchange, 239)
    passing(clock, exchange, 1)
    data, end = exchange.upstream_lost("reset by peer")
    assert isinstance(data, Data)
    assert json.loads(data.data)["error"]["code"] == "server_error"
    assert isinstance(end, End)


# --- giving up the provider


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_connection_that_does_not_come_about_is_given_up(clock: Clock, stream: bool) -> None:
    exchange = responses(clock, stream=stream)
    exchange.begin()
    cancel, answer = passing(clock, exchange, 10)
    assert isinstance(cancel, Cancel)
    assert isinstance(answer, Answer)
    assert answer.status == 504
    error = json.loads(answer.body)["error"]
    assert error["code"] == "upstream_timeout"
    assert error["message"] == "The provider acme could not be connected to for 10 s."


def test_an_answer_that_does_not_begin_is_given_up(clock: Clock) -> None:
    exchange = responses(clock, stream=False)
    connected(clock, exchange)
    actions = passing(clock, exchange, 300)
    assert any(isinstance(action, Cancel) for action in actions)
    response = json.loads(b"".join(each.data for each in actions if isinstance(each, Data)))
    assert response["error"]["message"] == "The provider acme did not begin to answer for 300 s."


def test_a_stream_that_falls_silent_ends_with_what_was_said(clock: Clock) -> None:
    exchange = responses(clock)
    actions = connected(clock, exchange)
    exchange.upstream_head(200, {})
    actions += exchange.upstream_data(sse(HELLO, done=False))
    actions += passing(clock, exchange, 100)
    events = events_of(actions)
    assert events[-1]["type"] == "response.failed"
    failed = events[-1]["response"]
    assert isinstance(failed, dict)
    assert failed["output"][0]["content"][0]["text"] == "Hello"
    assert failed["error"]["code"] == "upstream_timeout"


def test_the_whole_call_has_its_time(clock: Clock) -> None:
    exchange = responses(clock)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    actions: list[Action] = []
    for _ in range(50):
        actions += exchange.upstream_data(b": still here\n\n")
        actions += passing(clock, exchange, 30)
    assert exchange.over
    assert "within 1000 s" in str(events_of(actions)[-1])


def test_a_sign_of_life_of_the_provider_counts(clock: Clock) -> None:
    exchange = responses(clock)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    for _ in range(20):
        exchange.upstream_data(b": keep-alive\n\n")
        passing(clock, exchange, 40)
    assert not exchange.over


# --- another target instead


def test_another_target_takes_over_a_stream_that_was_opened_early(clock: Clock) -> None:
    exchange = responses(clock, FIRST, SECOND)
    actions = connected(clock, exchange)
    actions += passing(clock, exchange, 40)
    actions += exchange.upstream_lost("reset by peer")
    assert isinstance(actions[-1], Attempt)
    assert actions[-1].label == "spare/m"
    exchange.upstream_connected()
    exchange.upstream_head(200, {})
    actions += exchange.upstream_data(sse(HELLO, STOP))
    events = events_of(actions)
    types = [event["type"] for event in events]
    assert types.count("response.created") == 1
    assert types[-1] == "response.completed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1  # type: ignore[index]
    assert exchange.record.tried == ["acme/m server_error"]
    assert exchange.record.target == "spare/m"


def test_a_silent_target_makes_way_for_another(clock: Clock) -> None:
    exchange = responses(clock, replace(FIRST, profile=replace_times(TIMES, first_byte_timeout_s=5)), SECOND)
    connected(clock, exchange)
    cancel, attempt = passing(clock, exchange, 5)
    assert isinstance(cancel, Cancel)
    assert isinstance(attempt, Attempt)
    assert attempt.label == "spare/m"


def replace_times(profile: Profile, **seconds: float) -> Profile:
    return profile.model_copy(update=seconds)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_an_error_in_the_place_of_an_answer_makes_way_too(clock: Clock, stream: bool) -> None:
    exchange = responses(clock, FIRST, SECOND, stream=stream)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    (attempt,) = exchange.upstream_data(sse({"error": {"message": "overloaded", "code": 529}}))
    assert isinstance(attempt, Attempt)
    assert attempt.label == "spare/m"


def test_a_page_of_html_makes_way_too(clock: Clock) -> None:
    exchange = responses(clock, FIRST, SECOND)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    exchange.upstream_data(b"<html><title>Welcome</title></html>")
    (attempt,) = exchange.upstream_end()
    assert isinstance(attempt, Attempt)


def test_after_the_first_item_nobody_takes_over(clock: Clock) -> None:
    exchange = responses(clock, FIRST, SECOND)
    actions = connected(clock, exchange)
    exchange.upstream_head(200, {})
    actions += exchange.upstream_data(sse(HELLO, done=False))
    actions += exchange.upstream_lost("reset by peer")
    assert events_of(actions)[-1]["type"] == "response.failed"


def test_for_json_somebody_takes_over_as_long_as_the_answer_is_not_whole(clock: Clock) -> None:
    exchange = responses(clock, FIRST, SECOND, stream=False)
    connected(clock, exchange)
    exchange.upstream_head(200, {})
    exchange.upstream_data(sse(HELLO, done=False))
    (attempt,) = exchange.upstream_lost("reset by peer")
    assert isinstance(attempt, Attempt)
    exchange.upstream_head(200, {})
    (answer,) = exchange.upstream_data(sse({"choices": [{"index": 0, "delta": {"content": "Again"}}]}, STOP))
    assert isinstance(answer, Answer)
    assert json.loads(answer.body)["output"][0]["content"][0]["text"] == "Again"
    assert answer.headers["x-bridge-target"] == "spare/m"
    assert answer.headers["x-bridge-tried"] == "acme/m server_error"
