"""Values with an end, what processes say of being alive, and what an operator is shown: alike in every store."""

from __future__ import annotations

import pytest

from addon.store.interface import ResponseStore
from addon.store.records import Conversation, OwnedResponse, Summary
from tests.store.builders import OTHER, OWNER, response, running, stored
from tests.store.conftest import Backend

# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"\0\xff", b"x" * 100_000], ids=["empty", "binary", "long"])
def test_a_value_comes_back_as_it_was(store: ResponseStore, value: bytes) -> None:
    store.values.put("quirk", "a:b", value, 60)
    assert store.values.get("quirk", "a:b") == value


def test_values_of_other_kinds_and_keys_are_others(store: ResponseStore) -> None:
    store.values.put("quirk", "key", b"1", 60)
    assert store.values.get("health", "key") is None
    assert store.values.get("quirk", "other") is None


def test_a_value_is_replaced_and_deleted(store: ResponseStore) -> None:
    store.values.put("quirk", "key", b"1", 60)
    store.values.put("quirk", "key", b"2", 60)
    assert store.values.get("quirk", "key") == b"2"
    store.values.delete("quirk", "key")
    store.values.delete("quirk", "key")
    assert store.values.get("quirk", "key") is None


def test_a_value_has_an_end(backend: Backend) -> None:
    store = backend.open()
    store.values.put("quirk", "key", b"1", 60)
    backend.advance(59)
    assert store.values.get("quirk", "key") == b"1"
    backend.advance(2)
    assert store.values.get("quirk", "key") is None


def test_a_settled_value_is_the_first_one_for_all_and_for_good(backend: Backend) -> None:
    store = backend.open()
    assert store.values.settle("secret", "key", b"first") == b"first"
    assert store.values.settle("secret", "key", b"second") == b"first"
    backend.advance(10 * 365 * 24 * 3600.0)
    assert store.values.get("secret", "key") == b"first"
    store.values.delete("secret", "key")
    assert store.values.settle("secret", "key", b"second") == b"second"


# --- leases -----------------------------------------------------------------------------------------------------------


def test_what_a_live_process_works_on_is_not_abandoned(backend: Backend) -> None:
    store = backend.open()
    store.leases.hold("process-1", 30)
    store.responses.add(OWNER, running("a"))
    backend.advance(20)
    store.leases.hold("process-1", 30)
    backend.advance(20)
    assert store.leases.abandoned("process-2") == []


def test_what_a_dead_process_worked_on_goes_to_one_other(backend: Backend) -> None:
    store = backend.open()
    store.leases.hold("process-1", 30)
    store.responses.add(OWNER, running("a"))
    store.responses.add(OWNER, stored("ended"))
    backend.advance(31)
    store.leases.hold("process-2", 30)
    store.leases.hold("process-3", 30)
    assert store.leases.abandoned("process-2") == [OwnedResponse(OWNER, running("a", "process-2"))]
    assert store.leases.abandoned("process-3") == []
    assert store.responses.update(OWNER, response("a", "failed"))
    backend.advance(31)
    assert store.leases.abandoned("process-3") == []


def test_what_it_does_not_come_to_is_abandoned_again(backend: Backend) -> None:
    store = backend.open()
    store.responses.add(OWNER, running("a"))
    store.leases.hold("process-2", 30)
    assert len(store.leases.abandoned("process-2")) == 1
    assert store.leases.abandoned("process-2") == [], "once is enough"
    store.leases.release("process-2")
    assert store.leases.abandoned("process-3") == [OwnedResponse(OWNER, running("a", "process-3"))]


def test_what_was_deleted_is_not_abandoned(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("a"))
    store.responses.delete(OWNER, "a")
    assert store.leases.abandoned("process-2") == []


# --- inspection -------------------------------------------------------------------------------------------------------


def test_what_an_operator_is_shown(store: ResponseStore) -> None:
    store.conversations.create(OWNER, Conversation("conv_1", 1, {}))
    store.values.put("quirk", "key", b"1", 60)
    store.responses.add(OWNER, stored("a", conversation="conv_1"))
    store.responses.add(OTHER, running("a"))
    summaries = sorted(store.inspection.summaries(), key=lambda summary: summary.owner)
    assert summaries == [
        Summary(OWNER, "a", "completed", "qwen3-max", 1_700_000_000, "conv_1", summaries[0].size),
        Summary(OTHER, "a", "in_progress", "qwen3-max", 1_700_000_000, None, summaries[1].size),
    ]
    assert summaries[0].size > summaries[1].size > 100
    assert store.inspection.find("a") == [
        OwnedResponse(OWNER, stored("a", conversation="conv_1")),
        OwnedResponse(OTHER, running("a")),
    ]
    stats = store.inspection.stats()
    assert (stats.responses, stats.conversations, stats.values) == (2, 1, 1)
    assert stats.size > 1000


def test_nothing_is_lost_by_giving_space_back(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.inspection.vacuum()
    assert store.responses.get(OWNER, "a") == stored("a")
