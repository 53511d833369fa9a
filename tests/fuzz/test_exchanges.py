"""Whatever happens upstream, and in whatever order: every call of a client ends with exactly one truthful outcome."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.actions import Action, Answer, Attempt, Data, End, Head
from addon.exchange import Exchange
from tests.fuzz.mutation import CUTS, cut, fuzzed, mutated
from tests.fuzz.test_answers import CHUNKS, COMPLETIONS, ERRORS, SPEECHES, WORDS, streamed
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.test_health import Clock
from tests.test_waiting import FIRST, SECOND, chat, responses
from tests.translate.answers import DONE

pytestmark = pytest.mark.slow

BODIES = (
    mutated(SPEECHES, WORDS).map(streamed)
    | st.lists(st.sampled_from(CHUNKS)).map(lambda chunks: streamed(chunks) + DONE)
    | mutated(COMPLETIONS, WORDS).map(lambda body: json.dumps(body).encode())
    | mutated(st.sampled_from(ERRORS)).map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=30)
)
STATUSES = st.sampled_from([200, 200, 200, 204, 307, 400, 401, 404, 429, 500, 503])
CODINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "x": bytes, "br": bytes}


@dataclass(frozen=True)
class Attempted:
    """What comes of one call of a provider."""

    connects: bool
    status: int
    retry_after: str
    coding: str
    body: bytes
    cuts: Sequence[int]
    ends: bool
    """Its end is told; otherwise the connection is lost."""
    pause: float
    """Seconds that pass before each step."""


ATTEMPTS = st.lists(
    st.builds(
        Attempted,
        st.sampled_from([True, True, True, False]),
        STATUSES,
        st.sampled_from(["", "3", "nan", "-1", "soon"]),
        st.sampled_from([*CODINGS]),
        BODIES,
        CUTS,
        st.booleans(),
        st.sampled_from([0.0, 0.0, 1.0, 16.0, 120.0, 400.0]),
    ),
    min_size=1,
    max_size=3,
)

Step: TypeAlias = Callable[[], Sequence[Action]]


@dataclass
class Client:
    """Carries out what an exchange wants, as far as a client hears of it, and looks at the order."""

    attempts: int = 0
    head: Head | None = None
    answer: Answer | None = None
    body: bytes = b""
    ended: bool = False
    seen: list[Action] = field(default_factory=list)

    def take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert not self.ended, "nothing comes after the end"
            self.seen.append(action)
            match action:
                case Attempt():
                    self.attempts += 1
                case Head():
                    assert self.head is None
                    self.head = action
                case Data(data):
                    assert self.head is not None
                    assert data
                    self.body += data
                case End():
                    assert self.head is not None
                    self.ended = True
                case Answer():
                    assert self.head is None
                    self.answer, self.ended, self.body = action, True, action.body


def steps(exchange: Exchange, attempted: Attempted) -> list[Step]:
    if not attempted.connects:
        return [lambda: exchange.upstream_lost("connection refused")]
    headers = {"content-encoding": attempted.coding, "retry-after": attempted.retry_after}
    given_headers = {name: value for name, value in headers.items() if value}

    def connected() -> Sequence[Action]:
        exchange.upstream_connected()
        return []

    body = CODINGS[attempted.coding](attempted.body)
    return [
        connected,
        lambda: exchange.upstream_head(attempted.status, given_headers),
        *(lambda part=part: exchange.upstream_data(part) for part in cut(body, attempted.cuts)),
        exchange.upstream_end if attempted.ends else lambda: exchange.upstream_lost("reset"),
    ]


def lived(clock: Clock, exchange: Exchange, attempts: Sequence[Attempted]) -> Client:
    """The whole life of a call; when all attempts have been had, the rest fail."""
    client = Client()
    client.take(exchange.begin())
    for attempted in attempts:
        now = client.attempts
        for step in steps(exchange, attempted):
            client.take(_passing(clock, exchange, attempted.pause))
            if exchange.over or client.attempts != now:
                break
            client.take(step())
        if exchange.over:
            break
    for _ in range(20):
        if not exchange.over:
            client.take(exchange.upstream_lost("the rest is silence"))
    assert exchange.over
    assert client.ended
    assert exchange.tick() == [] == exchange.upstream_data(b"late")
    return client


def _passing(clock: Clock, exchange: Exchange, seconds: float) -> list[Action]:
    end = clock.time + seconds
    actions: list[Action] = []
    while not exchange.over and exchange.alarm <= end and not any(isinstance(each, Attempt) for each in actions):
        clock.time = max(clock.time, exchange.alarm)
        actions += exchange.tick()
    clock.time = max(clock.time, end)
    return actions


@given(ATTEMPTS, st.booleans())
@fuzzed(160)
def test_a_call_of_the_responses_api(attempts: list[Attempted], stream: bool) -> None:
    clock = Clock()
    exchange = responses(clock, FIRST, SECOND, stream=stream)
    client = lived(clock, exchange, attempts)
    if client.answer is not None and client.answer.status != 200:
        assert set(json.loads(client.body)["error"]) == {"message", "type", "param", "code"}
    elif stream:
        assert_good_stream(client.body)
    else:
        validate_response(json.loads(client.body))
    assert exchange.record.outcome


def assert_good_stream(body: bytes) -> None:
    lines = body.decode().splitlines()
    events: list[dict[str, Any]] = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    check_stream(events)
    for event in events:
        if event["type"] != "keepalive":
            validate_event(event)


@given(ATTEMPTS, st.booleans())
@fuzzed(100)
def test_a_call_of_the_chat_api(attempts: list[Attempted], stream: bool) -> None:
    clock = Clock()
    exchange = chat(clock, stream=stream)
    client = lived(clock, exchange, attempts)
    if client.answer is not None:
        assert client.answer.status >= 400
        assert "error" in json.loads(client.body)
    assert exchange.record.outcome


@given(ATTEMPTS, st.integers(0, 12), st.booleans())
@fuzzed(100)
def test_a_client_that_goes(attempts: list[Attempted], when: int, stream: bool) -> None:
    """Nothing is done for it any more, whatever still arrives."""
    clock = Clock()
    exchange = responses(clock, FIRST, SECOND, stream=stream)
    exchange.begin()
    for step in steps(exchange, attempts[0])[:when]:
        if not exchange.over:
            step()
    exchange.client_gone()
    assert exchange.over
    for step in steps(exchange, attempts[0]):
        assert not step()
