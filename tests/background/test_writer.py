"""Events on their way into the store: how many at a time, and what happens when it cannot be reached."""

from __future__ import annotations

import pytest

from addon.background.writer import BATCH_EVENTS, BATCH_S, LEASE_S, LOOK_S, RENEWAL_S, RETRY_S, Lease, Writer
from addon.store.records import StoredEvent
from tests.background.conftest import FlakyStore
from tests.store.builders import OWNER, events, response, running
from tests.store.conftest import Clock


@pytest.fixture
def writer(store: FlakyStore, clock: Clock) -> Writer:
    store.responses.add(OWNER, running("resp_1"))
    store.responses.calls.clear()
    return Writer(store.responses, Lease(store.inner.leases, "process-1", clock), OWNER, "resp_1", clock)


def kept(store: FlakyStore) -> list[StoredEvent]:
    return store.inner.responses.events(OWNER, "resp_1")


def test_events_wait_for_others(writer: Writer, store: FlakyStore, clock: Clock) -> None:
    for number in range(10):
        writer.add(events(number, "e"))
    clock.advance(BATCH_S / 2)
    writer.tick()
    assert kept(store) == []
    clock.advance(BATCH_S / 2)
    writer.tick()

    assert kept(store) == events(0, *"e" * 10)
    assert store.responses.calls == ["append_events"]


def test_many_do_not_wait(writer: Writer, store: FlakyStore) -> None:
    writer.add(events(0, *"e" * BATCH_EVENTS))
    assert len(kept(store)) == BATCH_EVENTS


def test_the_last_events_come_with_the_end(writer: Writer, store: FlakyStore) -> None:
    writer.add(events(0, "a"))
    writer.put(response("resp_1"))

    assert kept(store) == events(0, "a")
    assert store.responses.calls == ["update"]
    assert writer.settled


def test_it_is_noticed_that_the_response_was_cancelled_elsewhere(
    writer: Writer, store: FlakyStore, clock: Clock
) -> None:
    store.inner.responses.update(OWNER, response("resp_1", "cancelled"))
    clock.advance(LOOK_S / 2)
    writer.tick()
    assert not writer.lost
    clock.advance(LOOK_S / 2)
    writer.tick()

    assert writer.lost
    assert writer.settled


def test_a_store_that_is_away_gets_all_of_it_later(
    writer: Writer, store: FlakyStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.responses.is_away = True
    writer.add(events(0, *"e" * BATCH_EVENTS))
    writer.add(events(BATCH_EVENTS, "e"))
    writer.put(response("resp_1"))
    clock.advance(RETRY_S)
    writer.tick()
    assert not writer.settled
    assert len(caplog.records) == 1
    store.responses.is_away = False
    writer.tick()
    assert not writer.settled  # it is left alone for a while
    clock.advance(RETRY_S)
    writer.tick()

    assert writer.settled
    assert len(kept(store)) == BATCH_EVENTS + 1
    found = store.inner.responses.get(OWNER, "resp_1")
    assert found is not None
    assert found.response["status"] == "completed"


def test_the_lease_is_held_as_long_as_it_is_asked_for(writer: Writer, store: FlakyStore, clock: Clock) -> None:
    for _ in range(10):
        writer.tick()
        clock.advance(RENEWAL_S)
        assert store.inner.leases.abandoned("process-2") == []
    clock.advance(LEASE_S)
    assert [found.stored.response["id"] for found in store.inner.leases.abandoned("process-2")] == ["resp_1"]
