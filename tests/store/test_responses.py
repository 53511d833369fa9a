"""Responses and their chains, alike in every store."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.store.errors import PredecessorGone
from addon.store.interface import ResponseStore
from addon.store.records import DAY, Conversation, Limits
from tests.store.builders import OTHER, OWNER, events, ids, message, response, running, said, stored
from tests.store.conftest import Backend

LONG = "All work and no play makes Jack a dull boy. " * 1000


# --- one response -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Hi.", "日本語 🙂 \0 \n", LONG], ids=["short", "unusual", "long"])
def test_a_response_comes_back_as_it_was(store: ResponseStore, text: str) -> None:
    whole = stored("resp_1", sent=[message("msg_1", text)], output=[said("msg_2", text), said("msg_3")])
    store.responses.add(OWNER, whole)
    assert store.responses.get(OWNER, "resp_1") == whole


def test_without_any_items(store: ResponseStore) -> None:
    whole = stored("resp_1", sent=[], output=[])
    store.responses.add(OWNER, whole)
    assert store.responses.get(OWNER, "resp_1") == whole
    assert store.responses.history(OWNER, "resp_1") == []


@pytest.mark.parametrize("backend", ["sqlite", "redis"], indirect=True)
def test_another_store_in_the_same_place_has_it_too(backend: Backend) -> None:
    backend.open().responses.add(OWNER, stored("resp_1"))
    assert backend.open().responses.get(OWNER, "resp_1") == stored("resp_1")


def test_what_is_there_stays_as_it_is(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("resp_1"))
    store.responses.add(OWNER, stored("resp_1", output=[said("msg_9")]))
    assert store.responses.get(OWNER, "resp_1") == stored("resp_1")


def test_what_belongs_to_one_is_not_there_for_another(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("resp_1"))
    store.responses.append_events(OWNER, "resp_1", events(0, "{}"))
    assert store.responses.get(OTHER, "resp_1") is None
    assert store.responses.history(OTHER, "resp_1") is None
    assert store.responses.find_item(OTHER, "resp_1.in") is None
    assert store.responses.events(OTHER, "resp_1") == []
    assert not store.responses.append_events(OTHER, "resp_1", events(1, "{}"))
    assert not store.responses.update(OTHER, response("resp_1"))
    assert not store.responses.delete(OTHER, "resp_1")
    with pytest.raises(PredecessorGone):
        store.responses.add(OTHER, stored("resp_2", parent="resp_1"))
    assert store.responses.get(OWNER, "resp_1") == running("resp_1")


def test_two_owners_may_have_the_same_id(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("resp_1"))
    store.responses.add(OTHER, stored("resp_1", output=[said("theirs")]))
    assert ids(store.responses.history(OWNER, "resp_1")) == ["resp_1.in", "resp_1.out"]
    assert ids(store.responses.history(OTHER, "resp_1")) == ["resp_1.in", "theirs"]


@pytest.mark.parametrize("response_id", ["", "resp_2", "resp_", "resp_1*", "%", "x" * 5000, "a:b", "'; --", "\0"])
def test_what_was_never_stored_is_not_there(store: ResponseStore, response_id: str) -> None:
    store.responses.add(OWNER, stored("resp_1"))
    assert store.responses.get(OWNER, response_id) is None
    assert store.responses.history(OWNER, response_id) is None
    assert store.responses.find_item(OWNER, response_id) is None
    assert not store.responses.delete(OWNER, response_id)
    assert store.inspection.find(response_id) == []


def test_an_item_needs_an_id(store: ResponseStore) -> None:
    with pytest.raises(ValueError, match="needs an id"):
        store.responses.add(OWNER, stored("resp_1", sent=[{"type": "message"}]))


def test_a_running_response_needs_a_runner() -> None:
    with pytest.raises(ValueError, match="needs a runner"):
        stored("resp_1", status="queued")


# --- chains -----------------------------------------------------------------------------------------------------------


def test_history_is_input_and_output_of_all_before(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("b", parent="a", status="incomplete"))
    store.responses.add(OWNER, stored("c", parent="b", status="failed", output=[]))
    assert ids(store.responses.history(OWNER, "c")) == ["a.in", "a.out", "b.in", "b.out", "c.in"]
    kept = store.responses.get(OWNER, "c")
    assert kept is not None
    assert kept.parent == "b"
    assert ids(kept.input) == ["c.in"], "its own alone"


def test_branches_share_what_is_before_them(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("left", parent="a"))
    store.responses.add(OWNER, stored("right", parent="a"))
    store.responses.add(OWNER, stored("leaf", parent="left"))
    assert ids(store.responses.history(OWNER, "leaf")) == [
        "a.in",
        "a.out",
        "left.in",
        "left.out",
        "leaf.in",
        "leaf.out",
    ]
    assert ids(store.responses.history(OWNER, "right")) == ["a.in", "a.out", "right.in", "right.out"]


_owners = (f"owner{number}" for number in itertools.count())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_any_tree_of_responses_has_the_histories_of_its_paths(store: ResponseStore, data: st.DataObject) -> None:
    """Whatever else is deleted on the way, and however the items are distributed."""
    owner = next(_owners)
    expected: dict[str, list[str]] = {}
    for number in range(data.draw(st.integers(1, 12))):
        parent = data.draw(st.none() | st.sampled_from(sorted(expected))) if expected else None
        sent = [message(f"{number}.in.{n}") for n in range(data.draw(st.integers(0, 3)))]
        output = [said(f"{number}.out.{n}") for n in range(data.draw(st.integers(0, 3)))]
        store.responses.add(owner, stored(f"r{number}", parent=parent, sent=sent, output=output))
        before = [] if parent is None else expected[parent]
        expected[f"r{number}"] = before + [str(item["id"]) for item in sent + output]
        if data.draw(st.integers(0, 4)) == 0:
            gone = data.draw(st.sampled_from(sorted(expected)))
            assert store.responses.delete(owner, gone)
            del expected[gone]
    assert {name: ids(store.responses.history(owner, name)) for name in expected} == expected
    for name in expected:
        assert store.responses.delete(owner, name)
    assert not [left for left in store.inspection.summaries() if left.owner == owner]


def test_a_chain_of_a_thousand(store: ResponseStore) -> None:
    parent = None
    for number in range(1000):
        store.responses.add(OWNER, stored(f"r{number}", parent=parent))
        parent = f"r{number}"
    history = store.responses.history(OWNER, "r999")
    assert ids(history) == [f"r{number}.{side}" for number in range(1000) for side in ("in", "out")]
    sizes = {summary.size for summary in store.inspection.summaries()}
    assert max(sizes) < min(sizes) + 100, "the last response takes up what the first one does"


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_a_deleted_response_is_gone(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    assert store.responses.delete(OWNER, "a")
    assert not store.responses.delete(OWNER, "a")
    assert store.responses.get(OWNER, "a") is None
    assert store.responses.history(OWNER, "a") is None
    assert store.responses.find_item(OWNER, "a.in") is None
    assert store.inspection.find("a") == []


def test_what_continues_a_deleted_response_keeps_its_history(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("b", parent="a"))
    assert store.responses.delete(OWNER, "a")
    assert ids(store.responses.history(OWNER, "b")) == ["a.in", "a.out", "b.in", "b.out"]
    assert store.responses.history(OWNER, "a") is None
    assert store.responses.find_item(OWNER, "a.in") is None
    assert [summary.id for summary in store.inspection.summaries()] == ["b"]


def test_a_deleted_response_cannot_be_continued(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("b", parent="a"))
    store.responses.delete(OWNER, "a")
    with pytest.raises(PredecessorGone, match="a is no longer kept"):
        store.responses.add(OWNER, stored("c", parent="a"))
    assert store.responses.get(OWNER, "c") is None
    assert store.responses.find_item(OWNER, "c.in") is None


def test_a_new_response_may_follow_what_is_left(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a"))
    store.responses.add(OWNER, stored("b", parent="a"))
    store.responses.delete(OWNER, "a")
    store.responses.add(OWNER, stored("c", parent="b"))
    store.responses.delete(OWNER, "b")
    assert ids(store.responses.history(OWNER, "c")) == ["a.in", "a.out", "b.in", "b.out", "c.in", "c.out"]


# --- age --------------------------------------------------------------------------------------------------------------


def test_a_response_is_kept_for_its_time(backend: Backend) -> None:
    store = backend.open(Limits(ttl=30 * DAY))
    store.responses.add(OWNER, stored("a"))
    backend.advance(29.9 * DAY)
    assert store.responses.get(OWNER, "a") is not None
    backend.advance(0.2 * DAY)
    assert store.responses.get(OWNER, "a") is None
    assert store.responses.history(OWNER, "a") is None
    assert store.responses.find_item(OWNER, "a.in") is None
    assert list(store.inspection.summaries()) == []
    assert not store.responses.delete(OWNER, "a")
    with pytest.raises(PredecessorGone):
        store.responses.add(OWNER, stored("b", parent="a"))


def test_what_continues_an_old_response_keeps_its_history(backend: Backend) -> None:
    store = backend.open(Limits(ttl=30 * DAY))
    store.responses.add(OWNER, stored("a"))
    backend.advance(20 * DAY)
    store.responses.add(OWNER, stored("b", parent="a"))
    backend.advance(20 * DAY)
    assert store.responses.get(OWNER, "a") is None
    assert ids(store.responses.history(OWNER, "b")) == ["a.in", "a.out", "b.in", "b.out"]


# --- running responses ------------------------------------------------------------------------------------------------


def test_a_running_response_becomes_what_came_of_it(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a", status="queued", output=[], runner="process-1"))
    assert store.responses.update(OWNER, response("a", "in_progress", [said("draft")]))
    assert store.responses.get(OWNER, "a") == replace(
        running("a"), response=response("a", "in_progress", [said("draft")])
    )
    assert store.responses.update(OWNER, response("a", "completed", [said("a.out")]))
    assert store.responses.get(OWNER, "a") == stored("a")
    assert ids(store.responses.history(OWNER, "a")) == ["a.in", "a.out"]
    assert store.responses.find_item(OWNER, "a.out") == said("a.out")
    assert store.responses.find_item(OWNER, "draft") is None


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete", "cancelled"])
def test_a_final_status_is_final(store: ResponseStore, status: str) -> None:
    store.responses.add(OWNER, running("a"))
    assert store.responses.update(OWNER, response("a", status))
    assert not store.responses.update(OWNER, response("a", "completed", [said("late")]), events(0, "late"))
    assert not store.responses.append_events(OWNER, "a", events(0, "late"))
    kept = store.responses.get(OWNER, "a")
    assert kept is not None
    assert kept.response == response("a", status)
    assert kept.runner is None
    assert store.responses.events(OWNER, "a") == []


def test_a_deleted_response_does_not_come_back_when_it_ends(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("a"))
    store.responses.delete(OWNER, "a")
    assert not store.responses.append_events(OWNER, "a", events(0, "{}"))
    assert not store.responses.update(OWNER, response("a"))
    assert store.responses.get(OWNER, "a") is None


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_come_back_in_order(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("a"))
    assert store.responses.append_events(OWNER, "a", events(0, "zero", "one"))
    assert store.responses.append_events(OWNER, "a", [])
    assert store.responses.append_events(OWNER, "a", events(2, "two", LONG.strip()))
    assert store.responses.update(OWNER, response("a"), events(4, "four"))
    everything = events(0, "zero", "one", "two", LONG.strip(), "four")
    for after in range(-1, 6):
        assert store.responses.events(OWNER, "a", after) == everything[after + 1 :]
    assert store.responses.events(OWNER, "a") == everything


def test_the_same_events_again_are_the_same_events(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("a"))
    for _ in range(2):
        store.responses.append_events(OWNER, "a", events(0, "zero", "one"))
    assert store.responses.events(OWNER, "a") == events(0, "zero", "one")


def test_events_go_with_their_response(store: ResponseStore) -> None:
    store.responses.add(OWNER, running("a"))
    store.responses.append_events(OWNER, "a", events(0, "zero"))
    store.responses.delete(OWNER, "a")
    assert store.responses.events(OWNER, "a") == []
    store.responses.add(OWNER, running("a"))
    assert store.responses.events(OWNER, "a") == []


def test_too_many_events_end_with_a_gap_at_the_end(backend: Backend) -> None:
    store = backend.open(Limits(max_event_bytes=100))
    store.responses.add(OWNER, running("a"))
    for number, size in enumerate([40, 50, 60, 1]):
        assert store.responses.append_events(OWNER, "a", events(number, "x" * size))
    assert [event.number for event in store.responses.events(OWNER, "a")] == [0, 1]


# --- items by id ------------------------------------------------------------------------------------------------------


def test_items_are_found_by_their_ids(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a", sent=[message("one"), message("two")], output=[said("three")]))
    store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("four")])
    for item in [message("one"), message("two"), said("three"), message("four")]:
        assert store.responses.find_item(OWNER, str(item["id"])) == item
        assert store.responses.find_item(OTHER, str(item["id"])) is None
    assert store.responses.find_item(OWNER, "five") is None


def test_of_items_with_one_id_the_latest_is_found(store: ResponseStore) -> None:
    store.responses.add(OWNER, stored("a", sent=[message("one", "first"), message("one", "second")]))
    assert store.responses.find_item(OWNER, "one") == message("one", "second")
    store.responses.add(OWNER, stored("b", sent=[message("one", "third")]))
    assert store.responses.find_item(OWNER, "one") == message("one", "third")
