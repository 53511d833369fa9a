"""Streams that are followed: from any event on, while they are told and afterwards, here and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.actions import Answer, Data, End, Head
from addon.background.following import PORTION, SIGN_OF_LIFE, FollowExchange
from addon.background.log import POLL_S, EventLog, KeptEvents
from addon.exchange import Record
from addon.proxy.traffic import stopping
from addon.store.records import Limits, StoredEvent
from addon.store.sqlite import SqliteStore
from tests.background.conftest import Bridge, FlakyStore, answered, begun
from tests.grammar import check_stream
from tests.store.builders import OWNER, running
from tests.store.conftest import Clock
from tests.test_exchange import HELLO, events_of, sse


def following(source: EventLog, clock: Clock, after: int = -1) -> FollowExchange:
    return FollowExchange(source, Record("responses/stream", "m", "resp_1"), {}, after=after, every=15.0, clock=clock)


def event(number: int, size: int = 0) -> StoredEvent:
    return StoredEvent(number, b'{"type":"response.x","sequence_number":%d,"text":"%s"}' % (number, b"x" * size))


def numbers(actions: object) -> list[object]:
    assert isinstance(actions, list)
    return [each["sequence_number"] for each in events_of(actions)]


@pytest.mark.parametrize("after", range(-1, 13))
def test_from_any_event_on(bridge: Bridge, after: int) -> None:
    """Its first events are from the log of this process, and all of them from the store once it has ended."""
    response_id = bridge.submit()
    (exchange,) = bridge.started
    told = begun(exchange) + events_of(exchange.upstream_data(sse(HELLO, done=False)))
    early = bridge.follow(response_id, after)
    heard = events_of(early.begin())
    told += answered(exchange)
    heard += events_of(early.tick())
    check_stream(told)
    assert early.over

    late = bridge.follow(response_id, after)
    again = events_of(late.begin())

    assert heard == again == [each for each in told if int(str(each["sequence_number"])) > after]
    assert late.over


def test_it_is_woken_when_there_is_more(clock: Clock) -> None:
    log = EventLog()
    log.add([event(0)])
    follower = following(log, clock)
    wakes: list[int] = []
    follower.listen(lambda: wakes.append(1))
    follower.begin()
    log.add([event(1)])
    log.add([event(2)])

    assert wakes == [1]  # once is enough
    assert follower.alarm <= clock()
    assert numbers(follower.tick()) == [1, 2]
    log.end()
    assert wakes == [1, 1]
    assert follower.tick() == [End()]
    assert follower.record.outcome == "followed"


def test_who_has_gone_is_not_woken_any_more(clock: Clock) -> None:
    log, wakes = EventLog(), list[int]()
    follower = following(log, clock)
    follower.listen(lambda: wakes.append(1))
    follower.begin()

    follower.client_gone()

    log.add([event(0)])
    assert wakes == []
    assert follower.tick() == []
    assert follower.record.outcome == "client gone"


def test_signs_of_life_are_comments(clock: Clock) -> None:
    follower = following(EventLog(), clock)
    follower.begin()
    clock.advance(14)
    assert follower.tick() == []
    clock.advance(1)
    assert follower.tick() == [Data(SIGN_OF_LIFE)]
    assert follower.alarm == clock() + 15
    assert SIGN_OF_LIFE.startswith(b":")


def test_a_long_stream_comes_in_portions(clock: Clock) -> None:
    log = EventLog()
    log.add([event(number, PORTION // 3) for number in range(10)])
    log.end()
    follower = following(log, clock)

    actions = follower.begin()
    heard = numbers(actions)
    while not follower.over:
        assert follower.alarm <= clock()
        heard += numbers(follower.tick())

    assert heard == list(range(10))


def test_the_bridge_stops_before_the_end(clock: Clock) -> None:
    log = EventLog()
    follower = following(log, clock)
    follower.begin()
    assert follower.give_up(stopping(), begun=True) == [End()]
    (refused,) = following(log, clock).give_up(stopping(), begun=False)
    assert isinstance(refused, Answer)
    assert refused.status == 503


def elsewhere(bridge: Bridge) -> Bridge:
    """Another process with the same store."""
    folder = bridge.folder / "other"
    folder.mkdir()
    return Bridge(folder, bridge.clock, bridge.store)


def test_what_another_process_makes(bridge: Bridge, clock: Clock) -> None:
    response_id = bridge.submit()
    (exchange,) = bridge.started
    told = begun(exchange)
    follower = elsewhere(bridge).follow(response_id)
    head, *rest = follower.begin()
    assert isinstance(head, Head)
    heard = events_of(rest)
    assert heard == told

    assert follower.alarm == clock() + POLL_S
    told += answered(exchange)
    heard += events_of(follower.tick())

    assert heard == told
    assert follower.over


def test_what_another_process_makes_is_cancelled(bridge: Bridge) -> None:
    response_id = bridge.submit()
    follower = elsewhere(bridge).follow(response_id)
    follower.begin()
    bridge.ask("POST", f"/{response_id}/cancel")

    assert numbers(follower.tick()) == [0, 1]
    assert follower.tick() == [End()]


def test_a_store_that_is_away(bridge: Bridge, store: FlakyStore) -> None:
    """At the start it is an error; later it may come back."""
    response_id = bridge.submit()
    other = elsewhere(bridge)
    follower, late = other.follow(response_id), other.follow(response_id)
    follower.begin()
    store.responses.is_away = True
    assert follower.tick() == []
    (refused,) = late.begin()
    assert isinstance(refused, Answer)
    assert refused.status == 503
    store.responses.is_away = False
    begun(bridge.started[0])
    answered(bridge.started[0])
    assert events_of(follower.tick())[-1]["type"] == "response.completed"


@pytest.mark.parametrize("after", [-1, 0, 1, 2])
def test_more_was_told_than_is_kept(tmp_path: Path, clock: Clock, after: int) -> None:
    """The end is told all the same, behind what there is."""
    inner = SqliteStore(None, limits=Limits(max_event_bytes=900), now=clock)
    bridge = Bridge(tmp_path, clock, FlakyStore(inner))
    response_id = bridge.submit()
    begun(bridge.started[0])
    (found,) = inner.inspection.find(response_id)
    kept = inner.responses.events(found.owner, response_id)
    answered(bridge.started[0])
    assert inner.responses.events(found.owner, response_id) == kept

    follower = bridge.follow(response_id, after)
    told = events_of([*follower.begin(), *follower.tick()])

    assert follower.over
    assert told[-1]["type"] == "response.completed"
    assert told[-1]["sequence_number"] == max(after, len(kept) - 1) + 1
    inner.close()


def test_what_is_deleted_ends(store: FlakyStore) -> None:
    store.inner.responses.add(OWNER, running("resp_1"))
    source = KeptEvents(store.inner.responses, OWNER, "resp_1")
    assert not source.read(-1).ended
    store.inner.responses.delete(OWNER, "resp_1")
    assert source.read(-1).ended
