"""Conversations, alike in every store."""

from __future__ import annotations

import pytest

from addon.store.interface import ResponseStore
from addon.store.paging import Page, Paging, UnknownCursor, page_of
from addon.store.records import DAY, Conversation, Limits
from tests.store.builders import OTHER, OWNER, ids, message, response, running, said, stored
from tests.store.conftest import Backend

TALK = Conversation("conv_1", 1_700_000_000, {"topic": "cats"})


def test_a_conversation_comes_back_as_it_was(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one"), message("two")])
    assert store.conversations.get(OWNER, "conv_1") == TALK
    assert store.conversations.items(OWNER, "conv_1") == [message("one"), message("two")]


def test_one_that_is_there_stays_as_it_is(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("two")])
    assert store.conversations.get(OWNER, "conv_1") == TALK
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["one"]


def test_an_empty_conversation_is_there(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK)
    assert store.conversations.items(OWNER, "conv_1") == []
    assert store.conversations.page(OWNER, "conv_1", Paging()) == Page([], has_more=False)


def test_metadata_are_replaced(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    changed = Conversation("conv_1", TALK.created_at, {"topic": "dogs"})
    assert store.conversations.set_metadata(OWNER, "conv_1", {"topic": "dogs"}) == changed
    assert store.conversations.get(OWNER, "conv_1") == changed
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["one"]


def test_a_deleted_conversation_is_gone_with_its_items(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    assert store.conversations.delete(OWNER, "conv_1")
    assert not store.conversations.delete(OWNER, "conv_1")
    nothing_is_there(store, OWNER)


def test_a_conversation_belongs_to_its_owner(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    nothing_is_there(store, OTHER)
    assert store.conversations.get(OWNER, "conv_1") == TALK


def nothing_is_there(store: ResponseStore, owner: str) -> None:
    talks = store.conversations
    assert talks.get(owner, "conv_1") is None
    assert talks.items(owner, "conv_1") is None
    assert talks.page(owner, "conv_1", Paging()) is None
    assert talks.item(owner, "conv_1", "one") is None
    assert talks.set_metadata(owner, "conv_1", {}) is None
    assert not talks.add_items(owner, "conv_1", [message("two")])
    assert not talks.delete_item(owner, "conv_1", "one")
    assert not talks.delete(owner, "conv_1")
    assert store.responses.find_item(owner, "one") is None


# --- items ------------------------------------------------------------------------------------------------------------


def test_items_are_added_found_and_deleted(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    assert store.conversations.add_items(OWNER, "conv_1", [message("two"), message("three")])
    assert store.conversations.item(OWNER, "conv_1", "two") == message("two")
    assert store.conversations.item(OWNER, "conv_1", "four") is None
    assert store.conversations.delete_item(OWNER, "conv_1", "two")
    assert not store.conversations.delete_item(OWNER, "conv_1", "two")
    assert store.conversations.add_items(OWNER, "conv_1", [message("four")])
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["one", "three", "four"]


def test_an_item_that_is_sent_again_keeps_its_place(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one"), message("two")])
    store.conversations.add_items(OWNER, "conv_1", [message("one", "changed"), message("three")])
    assert store.conversations.items(OWNER, "conv_1") == [message("one", "changed"), message("two"), message("three")]


@pytest.mark.parametrize("newest_first", [True, False], ids=["desc", "asc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_pages_are_those_of_the_whole_list(store: ResponseStore, limit: int, newest_first: bool) -> None:
    items = [message(f"item{number}") for number in range(8)]
    store.conversations.create(OWNER, TALK, items[:1])
    store.conversations.add_items(OWNER, "conv_1", items[1:])
    seen: list[str] = []
    paging = Paging(limit, None, newest_first)
    while True:
        page = store.conversations.page(OWNER, "conv_1", paging)
        assert page is not None
        assert page == page_of(items, paging)
        seen += ids(page.items) or []
        if not page.has_more:
            break
        paging = Paging(limit, seen[-1], newest_first)
    assert seen == [f"item{number}" for number in (range(7, -1, -1) if newest_first else range(8))]


def test_a_page_begins_after_an_item_of_the_conversation(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    store.conversations.create(OWNER, Conversation("conv_2", 1, {}), [message("other")])
    assert store.conversations.page(OWNER, "conv_1", Paging(after="one")) == Page([], has_more=False)
    with pytest.raises(UnknownCursor):
        store.conversations.page(OWNER, "conv_1", Paging(after="other"))


# --- responses in a conversation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_response_adds_what_was_said(store: ResponseStore, status: str) -> None:
    store.conversations.create(OWNER, TALK, [message("one")])
    whole = stored("a", status=status, conversation="conv_1")
    store.responses.add(OWNER, whole)
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["one", "a.in", "a.out"]
    assert store.responses.get(OWNER, "a") == whole


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_one_that_came_to_nothing_adds_nothing(store: ResponseStore, status: str) -> None:
    store.conversations.create(OWNER, TALK)
    store.responses.add(OWNER, stored("a", status=status, conversation="conv_1"))
    assert store.conversations.items(OWNER, "conv_1") == []


def test_a_running_response_adds_when_it_has_ended(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK)
    store.responses.add(OWNER, running("a", conversation="conv_1"))
    store.responses.update(OWNER, response("a", "in_progress", [said("draft")]))
    assert store.conversations.items(OWNER, "conv_1") == []
    store.responses.update(OWNER, response("a", "completed", [said("a.out")]))
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["a.in", "a.out"]


def test_a_conversation_that_is_gone_does_not_come_back(store: ResponseStore) -> None:
    store.conversations.create(OWNER, TALK)
    store.conversations.delete(OWNER, "conv_1")
    store.responses.add(OWNER, stored("a", conversation="conv_1"))
    assert store.conversations.items(OWNER, "conv_1") is None
    assert store.responses.get(OWNER, "a") is not None


def test_what_becomes_of_one_does_not_touch_the_other(store: ResponseStore) -> None:
    for name in ("conv_1", "conv_2"):
        store.conversations.create(OWNER, Conversation(name, 1, {}))
        store.responses.add(OWNER, stored(f"in_{name}", conversation=name))
    store.responses.delete(OWNER, "in_conv_1")
    assert ids(store.conversations.items(OWNER, "conv_1")) == ["in_conv_1.in", "in_conv_1.out"]
    assert store.responses.find_item(OWNER, "in_conv_1.in") == message("in_conv_1.in")
    store.conversations.delete(OWNER, "conv_2")
    assert ids(store.responses.history(OWNER, "in_conv_2")) == ["in_conv_2.in", "in_conv_2.out"]


# --- age --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["items", "metadata", "response"])
def test_a_conversation_is_kept_for_its_time_after_the_last_change(backend: Backend, change: str) -> None:
    store = backend.open(Limits(ttl=30 * DAY))
    store.conversations.create(OWNER, TALK, [message("one")])
    backend.advance(20 * DAY)
    match change:
        case "items":
            store.conversations.add_items(OWNER, "conv_1", [message("two")])
        case "metadata":
            store.conversations.set_metadata(OWNER, "conv_1", {})
        case "response":
            store.responses.add(OWNER, stored("a", conversation="conv_1"))
    backend.advance(20 * DAY)
    assert (ids(store.conversations.items(OWNER, "conv_1")) or [])[0] == "one"
    backend.advance(11 * DAY)
    nothing_is_there(store, OWNER)
