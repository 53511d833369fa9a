"""What goes first when there is too much."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator

import pytest

from addon.store.errors import StoreError
from addon.store.records import Conversation, Limits
from addon.store.sqlite import SqliteStore
from tests.store.builders import OWNER, ids, message, stored
from tests.store.conftest import Clock

KILOBYTES_40 = base64.b64encode(os.urandom(30_000)).decode()
"""Compressed, 30."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_(clock: Clock) -> Iterator[Callable[[Limits], SqliteStore]]:
    opened: list[SqliteStore] = []

    def open_store(limits: Limits) -> SqliteStore:
        opened.append(SqliteStore(None, limits=limits, now=clock))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


Open = Callable[[Limits], SqliteStore]


def kept(store: SqliteStore) -> list[str]:
    return [summary.id for summary in store.inspection.summaries()]


def test_the_oldest_responses_go(open_: Open, clock: Clock) -> None:
    store = open_(Limits(max_responses=3))
    for number in range(5):
        clock.advance(1)
        store.responses.add(OWNER, stored(f"r{number}"))
    assert kept(store) == ["r2", "r3", "r4"]
    assert store.responses.find_item(OWNER, "r1.in") is None
    assert store.inspection.stats().responses == 3


def test_a_chain_goes_as_a_whole_and_when_it_has_not_been_continued_for_longest(open_: Open, clock: Clock) -> None:
    store = open_(Limits(max_responses=4))
    for name, parent in [("a1", None), ("b1", None), ("b2", "b1"), ("a2", "a1"), ("c1", None)]:
        clock.advance(1)
        store.responses.add(OWNER, stored(name, parent=parent))
    assert kept(store) == ["a1", "a2", "c1"]
    assert ids(store.responses.history(OWNER, "a2")) == ["a1.in", "a1.out", "a2.in", "a2.out"]


def test_conversations_do_not_go_for_the_number_of_responses(open_: Open, clock: Clock) -> None:
    store = open_(Limits(max_responses=1))
    store.conversations.create(OWNER, Conversation("conv_1", 1, {}))
    for name in ("a", "b"):
        clock.advance(1)
        store.responses.add(OWNER, stored(name))
    assert kept(store) == ["b"]
    assert store.conversations.get(OWNER, "conv_1") is not None


def test_what_is_oldest_goes_for_the_number_of_bytes(open_: Open, clock: Clock) -> None:
    store = open_(Limits(max_bytes=400_000))
    store.values.put("cache", "key", b"value", 60)
    store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("one", KILOBYTES_40)])
    for number in range(20):
        clock.advance(1)
        store.responses.add(OWNER, stored(f"r{number}", sent=[message("in", KILOBYTES_40)]))
        assert store.inspection.stats().size <= 400_000
    assert store.conversations.get(OWNER, "conv_1") is None
    assert store.values.get("cache", "key") is None
    assert 3 <= len(kept(store)) < 12
    assert kept(store) == [f"r{number}" for number in range(20)][-len(kept(store)) :]


def test_a_chain_that_fills_the_store_is_said_to_and_keeps_what_it_has(open_: Open, clock: Clock) -> None:
    store = open_(Limits(max_responses=2))
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("b", parent="a"))
    with pytest.raises(StoreError, match="takes up the whole store: it may hold 2 responses"):
        store.responses.add(OWNER, stored("c", parent="b"))
    assert kept(store) == ["a", "b"]
    small = open_(Limits(max_bytes=200_000))
    with pytest.raises(StoreError, match="it may hold 200000 bytes"):
        small.responses.add(OWNER, stored("a", sent=[message("in", KILOBYTES_40 * 5)]))
    assert kept(small) == []


def test_what_has_expired_is_erased_by_the_next_write(open_: Open, clock: Clock) -> None:
    store = open_(Limits(ttl=60))
    store.responses.add(OWNER, stored("a"))
    store.values.put("cache", "key", b"value", 30)
    clock.advance(61)
    assert store.inspection.stats().responses == 1
    store.responses.add(OWNER, stored("b"))
    stats = store.inspection.stats()
    assert (stats.responses, stats.values) == (1, 0)


def test_a_vacuum_erases_all_that_has_expired(open_: Open, clock: Clock) -> None:
    store = open_(Limits(ttl=60))
    for number in range(50):
        store.responses.add(OWNER, stored(f"r{number}"))
    clock.advance(61)
    store.inspection.vacuum()
    assert store.inspection.stats().responses == 0
