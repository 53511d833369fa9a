"""A bridge whose calls in the background are carried out by the test, by a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from addon.actions import Answer, Attempt
from addon.exchange import Exchange
from addon.service import Plan, Service
from addon.store.errors import StoreUnavailable
from addon.store.interface import Responses, ResponseStore
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from addon.wire.json import JsonObject
from tests.state.talk import ALICE
from tests.store.conftest import Clock
from tests.test_exchange import HELLO, STOP, events_of, sse
from tests.test_service import CONFIG, call, service


class Away:
    """A store of responses that cannot be reached when the test says so."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self.is_away = False
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        if self.is_away:
            raise StoreUnavailable("The store is away.")
        return getattr(self._responses, name)


class FlakyStore:
    """A store in memory with an `Away` in it."""

    def __init__(self, inner: ResponseStore) -> None:
        self.inner = inner
        self.responses = Away(inner.responses)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@dataclass
class Bridge:
    """What clients ask, and what becomes of it step by step."""

    folder: Path
    clock: Clock
    store: Any
    config: str = CONFIG
    started: list[Exchange] = field(default_factory=list)
    """The exchanges that are to be carried out, in their order."""
    wakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service: Service = service(
            self.folder, self.config, open_store=lambda *_: self.store, start=self._start, clock=self.clock
        )

    def _start(self, exchange: Exchange, response_id: str) -> None:
        exchange.listen(lambda: self.wakes.append(response_id))
        self.started.append(exchange)

    def plan(self, method: str, path: str, body: object = None, who: str = ALICE) -> Plan:
        return self.service.plan(call(method, f"/v1/responses{path}", body, authorization=who))

    def submit(self, **more: object) -> str:
        """Have a response made in the background; its id."""
        answer = self.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True, **more})
        assert isinstance(answer, Answer), answer
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["id"])

    def ask(self, method: str, path: str) -> tuple[int, JsonObject]:
        answer = self.plan(method, path)
        assert isinstance(answer, Answer)
        return answer.status, json.loads(answer.body)

    def status(self, response_id: str) -> str:
        return str(self.ask("GET", f"/{response_id}")[1]["status"])

    def follow(self, response_id: str, after: int = -1) -> Exchange:
        exchange = self.plan("GET", f"/{response_id}?stream=true" + ("" if after < 0 else f"&starting_after={after}"))
        assert isinstance(exchange, Exchange)
        return exchange


def begun(exchange: Exchange) -> list[dict[str, object]]:
    """The exchange has asked its provider; what was to be heard so far."""
    actions = exchange.begin()
    assert isinstance(actions[-1], Attempt)
    assert exchange.upstream_head(200, {}) == []
    return events_of(actions)


def answered(exchange: Exchange) -> list[dict[str, object]]:
    """The provider says all it has to say."""
    return events_of([*exchange.upstream_data(sse(HELLO, STOP)), *([] if exchange.over else exchange.upstream_end())])


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def store(clock: Clock) -> Iterator[FlakyStore]:
    inner = SqliteStore(None, limits=Limits(), now=clock)
    yield FlakyStore(inner)
    inner.close()


@pytest.fixture
def bridge(tmp_path: Path, clock: Clock, store: FlakyStore) -> Bridge:
    return Bridge(tmp_path, clock, store)
