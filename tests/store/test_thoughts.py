from __future__ import annotations

import pytest

from addon.store.thoughts import Thoughts


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_record_comes_back_under_each_of_its_keys() -> None:
    thoughts = Thoughts(now=Clock())
    thoughts.add("alice", ["a", "b"], {"text": "hm", "details": [{"n": 1.5, "é": None}]})
    assert (
        thoughts.get("alice", "a") == thoughts.get("alice", "b") == {"text": "hm", "details": [{"n": 1.5, "é": None}]}
    )
    assert thoughts.get("alice", "c") is None
    assert len(thoughts) == 1


def test_a_record_belongs_to_its_caller() -> None:
    thoughts = Thoughts(now=Clock())
    thoughts.add("alice", ["a"], {"text": "hm"})
    assert thoughts.get("bob", "a") is None


def test_what_is_handed_out_is_nobody_elses() -> None:
    thoughts = Thoughts(now=Clock())
    thoughts.add("alice", ["a"], {"text": "hm"})
    found = thoughts.get("alice", "a")
    assert isinstance(found, dict)
    found["text"] = "changed"
    assert thoughts.get("alice", "a") == {"text": "hm"}


def test_a_key_that_is_used_again_means_the_later_record() -> None:
    thoughts = Thoughts(now=Clock())
    thoughts.add("alice", ["a", "b"], {"text": "old"})
    thoughts.add("alice", ["b", "b"], {"text": "new"})
    assert thoughts.get("alice", "b") == {"text": "new"}
    assert thoughts.get("alice", "a") is None
    assert len(thoughts) == 1


def test_the_least_recently_used_goes_first() -> None:
    thoughts = Thoughts(now=Clock(), max_records=2)
    thoughts.add("alice", ["a"], {"text": "a"})
    thoughts.add("alice", ["b", "b2"], {"text": "b"})
    thoughts.get("alice", "a")
    thoughts.add("alice", ["c"], {"text": "c"})
    assert [thoughts.get("alice", key) is not None for key in ("a", "b", "b2", "c")] == [True, False, False, True]


def test_it_holds_no_more_characters_than_it_may() -> None:
    thoughts = Thoughts(now=Clock(), max_chars=1000)
    for number in range(50):
        thoughts.add("alice", [f"key {number}"], {"text": "x" * 300})
        thoughts.get("alice", "key 0")
    kept = [number for number in range(50) if thoughts.get("alice", f"key {number}") is not None]
    assert kept == [0, 48, 49]


def test_a_record_larger_than_all_there_is_room_for_is_not_kept() -> None:
    thoughts = Thoughts(now=Clock(), max_chars=1000)
    thoughts.add("alice", ["a"], {"text": "x" * 1000})
    assert len(thoughts) == 0


@pytest.mark.parametrize(
    ("asked_at", "found"), [([99], True), ([101], False), ([60, 120, 180], True), ([60, 161], False)]
)
def test_a_record_nobody_asks_for_grows_old(asked_at: list[int], found: bool) -> None:
    clock = Clock()
    thoughts = Thoughts(now=clock, max_age=100)
    thoughts.add("alice", ["a"], {"text": "hm"})
    for clock.time in asked_at:
        answer = thoughts.get("alice", "a")
    assert (answer is not None) == found


def test_old_records_make_room_without_being_asked_for() -> None:
    clock = Clock()
    thoughts = Thoughts(now=clock, max_age=100)
    for clock.time in range(0, 1000, 10):
        thoughts.add("alice", [str(clock.time)], {"text": "hm"})
    assert len(thoughts) == 11
