from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from addon.store.learned import WEEK_S, Learned, Lesson
from addon.wire.json import dumps, loads

HOST, MODEL = "api.example.com/v1", "m"
NO_STORE: Mapping[str, JsonValue] = {"drop_params": ["store"]}


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


def known(overrides: Mapping[str, JsonValue]) -> bool:
    return "gone" not in overrides


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "learned.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def store(path: Path | None, clock: Clock | None = None, max_lessons: int = 512) -> Learned:
    return Learned(path, now=clock or Clock(), valid=known, max_lessons=max_lessons)


@pytest.fixture(params=["file", "memory"])
def learned(request: pytest.FixtureRequest, path: Path, clock: Clock) -> Learned:
    return store(path if request.param == "file" else None, clock)


# --- lessons ----------------------------------------------------------------------------------------------------------


def test_a_lesson_holds_for_its_model_at_its_place(learned: Learned) -> None:
    learned.learn(HOST, MODEL, NO_STORE, "store", "left out")
    assert learned.overrides(HOST, MODEL) == NO_STORE
    assert learned.overrides(HOST, "other") == {}
    assert learned.overrides("elsewhere", MODEL) == {}


def test_lessons_tell_what_and_why(learned: Learned, clock: Clock) -> None:
    learned.learn(HOST, MODEL, NO_STORE, "store", "left out")
    clock.time += 1
    learned.learn(HOST, "other", {"n_max": 1}, "n", "one only")
    assert learned.lessons() == [
        Lesson(HOST, MODEL, NO_STORE, "store", "left out", clock.time - 1),
        Lesson(HOST, "other", {"n_max": 1}, "n", "one only", clock.time),
    ]


def test_lessons_of_one_model_add_up(learned: Learned) -> None:
    learned.learn(HOST, MODEL, {"drop_params": ["a", "b"], "n_max": 2, "effort_values": ["low", "high"]}, "x", "")
    learned.learn(HOST, MODEL, {"drop_params": ["b", "c"], "n_max": 1, "effort_values": ["low"]}, "y", "")
    expected = {"drop_params": ["a", "b", "c"], "n_max": 1, "effort_values": ["low"]}
    assert learned.overrides(HOST, MODEL) == expected


def test_a_lesson_about_the_same_thing_adds_to_the_earlier_one(learned: Learned, clock: Clock) -> None:
    learned.learn(HOST, MODEL, {"drop_params": ["a"], "n_max": 2}, "x", "before")
    clock.time += 5
    learned.learn(HOST, MODEL, {"drop_params": ["b"], "stop_max": 1}, "x", "now")
    expected = {"drop_params": ["a", "b"], "n_max": 2, "stop_max": 1}
    assert learned.lessons() == [Lesson(HOST, MODEL, expected, "x", "now", clock.time)]


def test_the_newest_word_holds_even_where_the_subject_is_older(learned: Learned) -> None:
    learned.learn(HOST, MODEL, {"n_max": 1}, "x", "")
    learned.learn(HOST, MODEL, {"n_max": 2}, "y", "")
    learned.learn(HOST, MODEL, {"n_max": 3}, "x", "")
    assert learned.overrides(HOST, MODEL) == {"n_max": 3}


def test_a_lesson_is_kept_for_a_week(learned: Learned, clock: Clock) -> None:
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    clock.time += WEEK_S - 1
    assert learned.overrides(HOST, MODEL) == NO_STORE
    clock.time += 1
    assert learned.overrides(HOST, MODEL) == {}
    assert learned.lessons() == []


def test_what_is_learned_again_after_its_time_starts_afresh(learned: Learned, clock: Clock) -> None:
    learned.learn(HOST, MODEL, {"drop_params": ["a"]}, "x", "")
    clock.time += WEEK_S
    learned.learn(HOST, MODEL, {"drop_params": ["b"]}, "x", "")
    assert learned.overrides(HOST, MODEL) == {"drop_params": ["b"]}


@pytest.mark.parametrize("place", [HOST, None])
@pytest.mark.parametrize("model", [MODEL, None])
def test_lessons_can_be_forgotten(learned: Learned, place: str | None, model: str | None) -> None:
    every = [(HOST, MODEL), (HOST, "other"), ("elsewhere", MODEL), ("elsewhere", "other")]
    for known_place, known_model in every:
        learned.learn(known_place, known_model, NO_STORE, "store", "")
    learned.forget(place, model)
    left = [pair for pair in every if learned.overrides(*pair)]
    assert left == [pair for pair in every if place not in (None, pair[0]) or model not in (None, pair[1])]
    assert len(learned.lessons()) == len(left)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=30))
def test_there_are_never_too_many_and_the_newest_stay(steps: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    learned = store(None, clock, max_lessons=4)
    for place, model, what in steps:
        clock.time += 1
        learned.learn(place, model, NO_STORE, str(what), "")
    newest = list(dict.fromkeys((place, model, str(what)) for place, model, what in reversed(steps)))[:4]
    assert [(lesson.place, lesson.model, lesson.what) for lesson in learned.lessons()] == newest[::-1]


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_restart_forgets_nothing(path: Path, clock: Clock) -> None:
    first = store(path, clock)
    first.learn(HOST, MODEL, NO_STORE, "störe", "")
    again = store(path, clock)
    assert again.overrides(HOST, MODEL) == NO_STORE
    assert [lesson.what for lesson in again.lessons()] == ["störe"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    store(path).learn(HOST, MODEL, NO_STORE, "store", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["learned.json"]


def test_bridges_learn_from_each_other(path: Path) -> None:
    one, other = store(path), store(path)
    one.learn(HOST, MODEL, {"drop_params": ["a"]}, "a", "")
    other.learn(HOST, MODEL, {"drop_params": ["b"]}, "b", "")
    assert one.overrides(HOST, MODEL) == other.overrides(HOST, MODEL) == {"drop_params": ["a", "b"]}
    one.forget()
    assert other.overrides(HOST, MODEL) == {}


def test_deleting_the_file_forgets_all(path: Path) -> None:
    learned = store(path)
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    path.unlink()
    assert learned.overrides(HOST, MODEL) == {}


def test_what_another_version_has_written_is_ignored(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    good = {"place": HOST, "model": MODEL, "overrides": {"n_max": 1}, "what": "n", "why": "", "when": clock.time}
    odd = [{**good, "model": "old", "overrides": {"gone": 1}}, {**good, "when": "today"}, {**good, "model": 5}, None, 5]
    path.write_text(dumps({"lessons": [*odd, good], "more": 1}))
    learned = store(path, clock)
    assert [lesson.model for lesson in learned.lessons()] == [MODEL]
    assert learned.overrides(HOST, "old") == {}


def test_a_lesson_from_the_future_is_as_good_as_new(path: Path, clock: Clock) -> None:
    ahead = Clock()
    ahead.time += 10 * WEEK_S
    store(path, ahead).learn(HOST, MODEL, NO_STORE, "store", "")
    learned = store(path, clock)
    assert learned.overrides(HOST, MODEL) == NO_STORE
    clock.time += WEEK_S
    assert learned.overrides(HOST, MODEL) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"5", b'{"lessons": 5}'])
def test_a_broken_file_is_written_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    learned = store(path)
    assert learned.overrides(HOST, MODEL) == {}
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    assert store(path).overrides(HOST, MODEL) == NO_STORE


def test_a_broken_file_is_told_of_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    learned = store(path)
    for content in (b"{", b"{{"):
        path.write_bytes(content)
        learned.overrides(HOST, MODEL)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text


def test_without_a_file_to_write_memory_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    learned = store(tmp_path / "state" / "learned.json")
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    learned.learn(HOST, "other", NO_STORE, "store", "")
    assert learned.overrides(HOST, MODEL) == learned.overrides(HOST, "other") == NO_STORE
    assert len(caplog.records) == 1


def test_what_could_not_be_written_stays_when_others_write(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.write_text("in the way")
    learned = store(directory / "learned.json")
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    directory.unlink()
    store(directory / "learned.json").learn(HOST, "other", NO_STORE, "store", "")
    assert {lesson.model for lesson in learned.lessons()} == {MODEL, "other"}
    learned.learn(HOST, "third", NO_STORE, "store", "")
    assert len(store(directory / "learned.json").lessons()) == 3


def test_a_file_in_the_place_of_a_directory_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    learned = store(path)
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    assert learned.overrides(HOST, MODEL) == NO_STORE
    assert [entry.name for entry in path.parent.iterdir()] == ["learned.json"]


def test_expired_lessons_leave_the_file(path: Path, clock: Clock) -> None:
    learned = store(path, clock)
    learned.learn(HOST, MODEL, NO_STORE, "store", "")
    clock.time += WEEK_S
    learned.learn(HOST, "other", NO_STORE, "store", "")
    document = loads(path.read_bytes())
    assert isinstance(document, dict)
    entries = document["lessons"]
    assert isinstance(entries, list)
    assert len(entries) == 1


# --- what bridges elsewhere have learned ------------------------------------------------------------------------------


def told(what: str, overrides: Mapping[str, JsonValue], when: float) -> Lesson:
    return Lesson("acme.test/v1", "large", overrides, what, "told", when)


def test_of_two_lessons_the_newer_one_holds_wherever_it_was_learned(path: Path) -> None:
    clock = Clock()
    learned = store(path, clock)
    learned.learn("acme.test/v1", "large", {"max_tokens_field": "max_tokens"}, "here", "why")
    learned.take([told("before", {"max_tokens_field": "omit"}, clock() - 1)])
    assert learned.overrides("acme.test/v1", "large") == {"max_tokens_field": "max_tokens"}
    learned.take([told("after", {"max_tokens_field": "max_completion_tokens"}, clock() + 1)])
    assert learned.overrides("acme.test/v1", "large") == {"max_tokens_field": "max_completion_tokens"}
    learned.take([told("after", {"max_tokens_field": "max_tokens"}, clock())])
    assert learned.overrides("acme.test/v1", "large") == {"max_tokens_field": "max_completion_tokens"}
    assert [lesson.what for lesson in store(path, clock).lessons()] == [lesson.what for lesson in learned.lessons()], (
        "it outlives a restart"
    )


def test_a_lesson_of_another_version_is_not_taken(path: Path) -> None:
    learned = store(path)
    learned.take([told("new", {"gone": 1}, 1_000_000.0)])
    assert learned.lessons() == []
    assert not path.exists()


def test_what_is_newer_may_be_spared(path: Path) -> None:
    clock = Clock()
    learned = store(path, clock)
    learned.take([told("old", {"drop_params": ["a"]}, clock() - 5), told("new", {"drop_params": ["b"]}, clock())])
    learned.forget(before=clock() - 1)
    assert [lesson.what for lesson in learned.lessons()] == ["new"]
