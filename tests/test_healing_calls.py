"""A provider that refuses a request in a known way: the client hears the answer, and its next call needs no retry.

For every wording of `tests/translate/test_healing.py`, through the exchange that serves real calls.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from addon.actions import Action, Answer, Attempt, Data, End
from addon.client_answer import ClientAnswer, Pace
from addon.exchange import CallContext, Record, ResponsesExchange
from addon.health import Health
from addon.routing import Target
from addon.selection import Selection
from addon.store.learned import Learned
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder, no_seal
from addon.translate.request import to_chat
from addon.translate.stream import StreamConverter
from addon.tries import Budget, ChangingTries, Experience, ReadCall
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import read_request
from tests.grammar import check_stream
from tests.test_exchange import HELLO, STOP, events_of, sse
from tests.test_health import Clock
from tests.translate.test_healing import CASES, HOPELESS, RICH, Case, profile_of


class Bridge:
    """Serves one target, and keeps what it has learned."""

    def __init__(self, case: Case) -> None:
        clock = Clock()
        self._clock = clock
        self._case = case
        self._target = Target(
            "acme", "m", profile_of(case), "https://acme.test/v1/chat/completions", {}, None, "acme#1"
        )
        self._experience = Experience(Learned(None, now=clock), Selection(Health(clock), lambda: 0.0), clock)
        self.calls = 0

    def ask(self) -> list[Action]:
        """A call of a client, at a provider that refuses whatever offends it. `calls` counts what reached it."""
        exchange = self._exchange()
        actions: list[Action] = exchange.begin()
        while isinstance(actions[-1], Attempt):
            self.calls += 1
            body = json.loads(actions[-1].body)
            if self._case.offends(body):
                exchange.upstream_head(self._case.status, {})
                error = {"message": self._case.said, "code": self._case.code, "param": self._case.param}
                exchange.upstream_data(json.dumps({"error": error}).encode())
                actions = exchange.upstream_end()
            else:
                exchange.upstream_head(200, {})
                actions = exchange.upstream_data(sse(HELLO, STOP))
        return actions

    def _exchange(self) -> ResponsesExchange:
        given: JsonObject = {name: value for name, value in {**RICH, **self._case.fields}.items() if value is not None}
        request = read_request(dumps({**given, "store": False}).encode())
        ids = itertools.count()

        def converted(target: Target) -> ReadCall:
            notes = Notes()
            chat = to_chat(request, target.profile, model="m", origin=target.label, lookup=lambda _: None, notes=notes)

            def reader(builder: ResponseBuilder) -> StreamConverter:
                return StreamConverter(builder, target.profile, chat.tools, provider=target.provider, notes=notes)

            return ReadCall(target, chat.body, chat.stream, notes, reader, no_seal)

        builder = ResponseBuilder(request, ids=lambda prefix: f"{prefix}_{next(ids)}", now=lambda: 0.0, seal=no_seal)
        return ResponsesExchange(
            ChangingTries([self._target], converted, self._experience, Budget()),
            Record("responses", "gpt-5", self._target.label),
            CallContext("req_1", self._clock, str),
            ClientAnswer(builder, stream=bool(request.stream), pace=Pace(), clock=self._clock),
            remember=lambda *_: None,
        )


HEALED = {name: case for name, case in CASES.items() if case.steps <= 3}
"""One call of a client changes a request three times at most; what needs more is learned over two calls."""


@pytest.mark.parametrize("case", HEALED.values(), ids=HEALED.keys())
def test_the_refused_call_goes_through_and_the_next_needs_no_retry(case: Case) -> None:
    bridge = Bridge(case)
    check_answered(bridge.ask())
    assert bridge.calls == 1 + case.steps
    check_answered(bridge.ask())
    assert bridge.calls == 2 + case.steps


def check_answered(actions: Sequence[Action]) -> None:
    match actions[-1]:
        case Answer() as whole:
            assert whole.status == 200
            assert json.loads(whole.body)["status"] == "completed"
        case end:
            assert isinstance(end, End)
            events = events_of([action for action in actions if isinstance(action, Data)])
            check_stream(events)
            assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize("case", HOPELESS, ids=lambda case: case.id)
def test_what_cannot_be_healed_is_told_after_one_call(case: Case) -> None:
    bridge = Bridge(case)
    (answer,) = bridge.ask()
    assert isinstance(answer, Answer)
    assert answer.status >= 400
    assert bridge.calls == 1


def test_nothing_is_sent_again_where_the_profile_says_so() -> None:
    case = next(iter(CASES.values()))
    bridge = Bridge(replace(case, profile={**case.profile, "learn_on_400": False}))
    (answer,) = bridge.ask()
    assert isinstance(answer, Answer)
    assert answer.status == 400
    assert bridge.calls == 1
