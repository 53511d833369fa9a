"""What becomes of a response that is made in the background, step by step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from addon.actions import Answer, Cancel, End
from addon.background.jobs import SWEEP_S
from addon.background.writer import LOOK_S, RETRY_S
from addon.exchange import Exchange
from addon.proxy.traffic import stopping
from addon.translate.errors import ApiError
from tests.background.conftest import Bridge, FlakyStore, answered, begun
from tests.grammar import check_stream
from tests.state.talk import BOB
from tests.store.builders import running
from tests.store.conftest import Clock
from tests.test_exchange import HELLO, events_of, sse
from tests.test_service import CONFIG

ONE_AT_ONCE = CONFIG + "background: {concurrent: 1, queued: 1}\n"


def test_from_the_line_to_the_end(bridge: Bridge) -> None:
    response_id = bridge.submit()
    assert bridge.status(response_id) == "queued"
    (exchange,) = bridge.started

    told = begun(exchange)
    assert bridge.status(response_id) == "in_progress"
    told += answered(exchange)

    assert exchange.over
    check_stream(told)
    _, response = bridge.ask("GET", f"/{response_id}")
    assert (response["status"], response["background"], response["id"]) == ("completed", True, response_id)
    assert response == told[-1]["response"]


def test_the_end_is_in_the_store_before_it_is_heard(bridge: Bridge) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    begun(exchange)
    follower = bridge.follow(response_id)
    follower.begin()
    heard: list[str] = []
    follower.listen(lambda: heard.append(bridge.status(response_id)))

    answered(exchange)

    assert heard == ["completed"]


@pytest.mark.parametrize("waits", [False, True], ids=["runs", "waits"])
def test_cancel(tmp_path: Path, clock: Clock, store: FlakyStore, waits: bool) -> None:
    bridge = Bridge(tmp_path, clock, store, ONE_AT_ONCE)
    first = bridge.submit()
    second = bridge.submit()
    begun(bridge.started[0])

    status, cancelled = bridge.ask("POST", f"/{second if waits else first}/cancel")

    assert (status, cancelled["status"]) == (200, "cancelled")
    if waits:
        assert bridge.wakes == []
        assert len(bridge.started) == 1
        answered(bridge.started[0])
        assert bridge.status(first) == "completed"
        assert len(bridge.started) == 1
    else:
        assert bridge.wakes == [first]
        assert bridge.started[0].tick() == [Cancel("the response was cancelled"), End()]
        assert bridge.started[0].record.outcome == "cancelled"
        assert len(bridge.started) == 2  # it is the turn of the other one


def test_what_was_cancelled_before_it_began_calls_nobody(bridge: Bridge) -> None:
    response_id = bridge.submit()
    bridge.ask("POST", f"/{response_id}/cancel")

    actions = bridge.started[0].begin()

    assert [type(action).__name__ for action in actions] == ["Head", "Data", "Cancel", "End"]
    assert bridge.status(response_id) == "cancelled"


def test_it_was_cancelled_by_another_process(bridge: Bridge, store: FlakyStore, clock: Clock) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    begun(exchange)
    ((owner, stored),) = [(found.owner, found.stored) for found in store.inner.inspection.find(response_id)]
    cancelled = stored.response.copy()
    cancelled["status"] = "cancelled"
    assert store.inner.responses.update(owner, cancelled)
    clock.advance(LOOK_S)

    assert exchange.alarm <= clock()
    assert exchange.tick()[-1] == End()
    assert exchange.over


def test_nobody_else_sees_or_cancels_it(bridge: Bridge) -> None:
    response_id = bridge.submit()

    for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
        answer = bridge.plan(method, f"/{response_id}{path}", who=BOB)
        assert isinstance(answer, Answer)
        assert answer.status == 404
    assert bridge.status(response_id) == "queued"


def test_deleted_while_it_runs(bridge: Bridge) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    begun(exchange)

    bridge.ask("DELETE", f"/{response_id}")

    assert bridge.wakes == [response_id]
    assert exchange.tick()[-1] == End()
    assert bridge.ask("GET", f"/{response_id}")[0] == 404


def test_a_full_line(tmp_path: Path, clock: Clock, store: FlakyStore) -> None:
    bridge = Bridge(tmp_path, clock, store, ONE_AT_ONCE)
    first, second = bridge.submit(), bridge.submit()

    refused = bridge.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True})

    assert isinstance(refused, Answer)
    assert (refused.status, "retry-after" in refused.headers) == (429, True)
    begun(bridge.started[0])
    answered(bridge.started[0])
    begun(bridge.started[1])
    answered(bridge.started[1])
    assert [bridge.status(each) for each in (first, second)] == ["completed", "completed"]


def test_what_waits_is_refused_at_once_if_it_cannot_be_served(tmp_path: Path, clock: Clock, store: FlakyStore) -> None:
    bridge = Bridge(tmp_path, clock, store, ONE_AT_ONCE)
    bridge.submit()

    refused = bridge.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True, "prompt": {"id": "p"}})

    assert isinstance(refused, Answer)
    assert refused.status == 400


def test_the_bridge_stops(tmp_path: Path, clock: Clock, store: FlakyStore) -> None:
    """What waits fails at once; what runs is given up by those who carry it out."""
    bridge = Bridge(tmp_path, clock, store, ONE_AT_ONCE)
    first, second = bridge.submit(), bridge.submit()
    begun(bridge.started[0])

    bridge.service.jobs.stop(stopping())

    assert [bridge.status(each) for each in (first, second)] == ["in_progress", "failed"]
    bridge.started[0].give_up(stopping(), begun=True)
    _, failed = bridge.ask("GET", f"/{first}")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "bridge_stopping")
    assert len(bridge.started) == 1


def test_the_call_is_killed_in_the_proxy(bridge: Bridge) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    begun(exchange)

    exchange.client_gone()

    _, failed = bridge.ask("GET", f"/{response_id}")
    assert (failed["status"], "proxy" in str(failed["error"])) == ("failed", True)


@pytest.mark.parametrize("begins", [True, False], ids=["in its midst", "before it begins"])
def test_a_bug(bridge: Bridge, begins: bool) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    if begins:
        begun(exchange)

    exchange.crashed(begun=begins)

    _, failed = bridge.ask("GET", f"/{response_id}")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "bridge_error")


def test_a_store_that_is_away_at_the_end(bridge: Bridge, store: FlakyStore, clock: Clock) -> None:
    """Who follows it here hears the end; the store gets it as soon as it can."""
    response_id = bridge.submit()
    (exchange,) = bridge.started
    begun(exchange)
    follower = bridge.follow(response_id)
    heard = events_of(follower.begin())
    store.responses.is_away = True

    answered(exchange)

    heard += events_of(follower.tick())
    assert heard[-1]["type"] == "response.completed"
    store.responses.is_away = False
    clock.advance(RETRY_S)
    bridge.service.jobs.look_after()
    assert bridge.status(response_id) == "completed"


def test_the_store_is_away_when_it_is_asked_for(bridge: Bridge, store: FlakyStore) -> None:
    store.responses.is_away = True

    answer = bridge.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True})

    assert isinstance(answer, Answer)
    assert answer.status == 503
    assert bridge.started == []


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_what_another_process_has_left(bridge: Bridge, store: FlakyStore, clock: Clock, status: str) -> None:
    bridge.service.refresh()
    caller_of = store.inner.inspection.find(bridge.submit())[0].owner
    begun(bridge.started[0])
    answered(bridge.started[0])
    left = running("resp_left", "process-gone")
    left.response.update({"status": status, "background": True})
    store.inner.responses.add(caller_of, left)
    alive = running("resp_alive", "process-alive")
    store.inner.responses.add(caller_of, alive)
    store.inner.leases.hold("process-alive", 1_000)
    clock.advance(SWEEP_S)

    bridge.service.jobs.look_after()

    _, failed = bridge.ask("GET", "/resp_left")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert bridge.status("resp_alive") == "in_progress"
    told = events_of(bridge.follow("resp_left").begin())
    assert [each["type"] for each in told] == ["error", "response.failed"]


def test_without_anybody_to_carry_it_out(tmp_path: Path, clock: Clock, store: FlakyStore) -> None:
    bridge = Bridge(tmp_path, clock, store)
    bridge.service.jobs._start = None

    answer = bridge.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True})

    assert isinstance(answer, Answer)
    assert json.loads(answer.body)["error"]["code"] == "background_not_possible"


def test_a_stream_is_followed_from_the_start(bridge: Bridge) -> None:
    follower = bridge.plan("POST", "", {"model": "gpt-5", "input": "Hi", "background": True, "stream": True})
    assert isinstance(follower, Exchange)
    heard = events_of(follower.begin())
    assert [each["type"] for each in heard] == ["response.created", "response.queued"]

    follower.client_gone()

    (exchange,) = bridge.started
    told = begun(exchange) + events_of(exchange.upstream_data(sse(HELLO, done=False)))
    assert told[-1]["delta"] == "Hello"


def test_what_cannot_be_planned_when_its_turn_comes(
    tmp_path: Path, clock: Clock, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = Bridge(tmp_path, clock, store, ONE_AT_ONCE)
    bridge.submit()
    waiting = bridge.submit()

    def refuse(*_: object) -> Exchange:
        raise ApiError.bad_request("no")

    place = next(iter(bridge.service.jobs._waiting.items()))
    bridge.service.jobs._waiting[place[0]] = type(place[1])(place[1].job, place[1].client, refuse)
    begun(bridge.started[0])
    answered(bridge.started[0])

    assert bridge.status(waiting) == "failed"
