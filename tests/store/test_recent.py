from __future__ import annotations

from addon.store.recent import RecentItems
from addon.wire.responses import FunctionCall, OutputItem


def call(item_id: str, arguments: str = "{}") -> OutputItem:
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{item_id}",
        "name": "look",
        "arguments": arguments,
    }


def test_an_item_comes_back_as_it_was_given() -> None:
    recent = RecentItems()
    recent.add("alice", [call("fc_1", '{"at":1}')])
    item = recent.get("alice", "fc_1")
    assert isinstance(item, FunctionCall)
    assert (item.call_id, item.arguments) == ("call_fc_1", '{"at":1}')


def test_an_item_belongs_to_its_caller() -> None:
    recent = RecentItems()
    recent.add("alice", [call("fc_1")])
    assert recent.get("bob", "fc_1") is None


def test_the_least_recently_used_goes_first() -> None:
    recent = RecentItems(max_items=2)
    recent.add("alice", [call("fc_1"), call("fc_2")])
    recent.get("alice", "fc_1")
    recent.add("alice", [call("fc_3")])
    assert recent.get("alice", "fc_2") is None
    assert recent.get("alice", "fc_1") is not None
    assert recent.get("alice", "fc_3") is not None


def test_it_holds_no_more_characters_than_it_may() -> None:
    recent = RecentItems(max_chars=1000)
    for number in range(10):
        recent.add("alice", [call(f"fc_{number}", "x" * 300)])
    kept = [number for number in range(10) if recent.get("alice", f"fc_{number}") is not None]
    assert kept == [8, 9]
    recent.add("alice", [call("fc_9", "y" * 300)])
    assert recent.get("alice", "fc_8") is not None, "an item that is given again replaces itself"
