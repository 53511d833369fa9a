"""What one bridge finds out is known to the others soon after, whoever speaks first, and they come to agree."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.health import FIRST_REST_S, FORGOTTEN_AFTER_S, LONGEST_REST_S, Health
from addon.selection import Selection
from addon.sharing import CONVERSATION_TTL_S, MOST_REPORTS, Sharing, forget_lessons
from addon.state.storage import Storage
from addon.store.errors import StoreUnavailable
from addon.store.interface import ResponseStore
from addon.store.learned import WEEK_S, Learned
from addon.store.records import Limits
from addon.store.secret import StateError, key_from
from addon.store.sqlite import SqliteStore
from addon.translate.reasoning import unseal
from addon.tries import Experience
from addon.wire.json import Json
from tests.state.talk import Talk, said
from tests.test_health import Clock
from tests.test_selection import A, B, C, route
from tests.test_service import CONFIG, service


class Room:
    """A store that several bridges use, and a clock that they agree on."""

    def __init__(self, store: ResponseStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    def bridge(self, valid: Callable[[Mapping[str, Json]], bool] = lambda _: True) -> Bridge:
        storage = Storage(lambda *_: self.store, self.clock)
        storage.use("redis://the.test", Limits())
        return Bridge(storage, self.clock, valid)


@dataclass
class Bridge:
    storage: Storage
    clock: Clock
    valid: Callable[[Mapping[str, Json]], bool] = lambda _: True
    health: Health = field(init=False)
    learned: Learned = field(init=False)
    selection: Selection = field(init=False)
    sharing: Sharing = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(self.clock)
        self.learned = Learned(None, now=self.clock, valid=self.valid)
        self.selection = Selection(self.health, lambda: 0.0)
        self.sharing = Sharing(self.storage, Experience(self.learned, self.selection, self.clock), self.clock)
        self.sharing.is_on = True

    def share(self) -> None:
        asyncio.run(self.sharing.refresh())

    def learn(self, model: str = "m", what: str = "temperature") -> None:
        self.learned.learn("host/v1", model, {"drop_params": [what]}, what, "left out")

    def known(self, model: str = "m") -> object:
        return self.learned.overrides("host/v1", model)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def room(clock: Clock) -> Iterator[Room]:
    with closing(SqliteStore(None, limits=Limits(), now=clock)) as store:
        yield Room(store, clock)


@pytest.fixture
def here(room: Room) -> Bridge:
    return room.bridge()


@pytest.fixture
def there(room: Room) -> Bridge:
    return room.bridge()


# --- health


def test_what_rests_here_rests_there(here: Bridge, there: Bridge) -> None:
    here.health.failed("acme/m")
    here.share()
    there.share()
    assert there.health.rest("acme/m") == FIRST_REST_S


def test_what_is_well_here_is_well_there(here: Bridge, there: Bridge, clock: Clock) -> None:
    here.health.failed("acme/m", asked_rest=600)
    here.share()
    there.share()
    clock.time += 1
    here.health.succeeded(["acme/m"])
    here.share()
    there.share()
    assert there.health.is_well(["acme/m"])


def test_a_rest_goes_on_getting_longer_whoever_notices(here: Bridge, there: Bridge, clock: Clock) -> None:
    here.health.failed("acme/m")
    here.share()
    there.share()
    clock.time += FIRST_REST_S
    there.health.failed("acme/m")
    there.share()
    here.share()
    assert here.health.rest("acme/m") == 2 * FIRST_REST_S


def test_a_bridge_that_starts_knows_what_the_others_know(here: Bridge, room: Room) -> None:
    here.health.failed("acme/m")
    here.share()
    newcomer = room.bridge()
    newcomer.share()
    assert not newcomer.health.is_well(["acme/m"])


def test_a_changed_configuration_gives_targets_another_chance_everywhere(
    here: Bridge, there: Bridge, clock: Clock
) -> None:
    here.health.failed("acme/m", asked_rest=600)
    here.share()
    there.share()
    clock.time += 1
    there.health.forget()
    there.share()
    here.share()
    assert here.health.is_well(["acme/m"])


def test_of_two_that_write_at_once_none_is_lost(here: Bridge, there: Bridge, room: Room) -> None:
    here.health.failed("acme/here")
    here.share()
    written = room.store.values.get("health", "all")
    assert written is not None
    there.health.failed("acme/there")
    there.share()
    room.store.values.put("health", "all", written, 60)  # here was slower, and had read before there wrote
    there.share()
    here.share()
    assert set(here.health.ill()) == set(there.health.ill()) == {"acme/here", "acme/there"}


def test_who_has_nothing_new_to_say_writes_nothing(
    here: Bridge, there: Bridge, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.health.failed("acme/m")
    here.learn()
    here.share()
    there.share()
    written: list[str] = []
    monkeypatch.setattr(room.store.values, "put", lambda kind, *_: written.append(kind))
    for bridge in (here, there, here):
        bridge.share()
    assert written == []


def test_old_failures_are_told_no_more(here: Bridge, room: Room, clock: Clock) -> None:
    here.health.failed("acme/m")
    here.share()
    clock.time += FORGOTTEN_AFTER_S + LONGEST_REST_S
    here.share()
    newcomer = room.bridge()
    newcomer.share()
    assert newcomer.health.ill() == {}


def test_there_is_an_end_to_what_is_told(here: Bridge, there: Bridge, room: Room, clock: Clock) -> None:
    """Names of models may come from clients."""
    for number in range(MOST_REPORTS + 10):
        clock.time += 0.001
        here.health.failed(f"acme/{number}")
        if number % 100 == 0:
            here.share()
    here.share()
    there.share()
    assert len(there.health.ill()) == MOST_REPORTS
    assert f"acme/{MOST_REPORTS + 9}" in there.health.ill()
    document = room.store.values.get("health", "all")
    here.share()
    assert room.store.values.get("health", "all") == document


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["failed", "succeeded", "share", "wait"])), max_size=40))
def test_bridges_come_to_agree(steps: list[tuple[int, str]]) -> None:
    clock = Clock()
    with closing(SqliteStore(None, limits=Limits(), now=clock)) as store:
        bridges = [Room(store, clock).bridge() for _ in range(3)]
        for number, step in steps:
            clock.time += 0.5
            match step:
                case "failed":
                    bridges[number].health.failed("a")
                case "succeeded":
                    bridges[number].health.succeeded(["a"])
                case "share":
                    bridges[number].share()
                case _:
                    clock.time += FIRST_REST_S
        for bridge in (*bridges, *bridges, *bridges):
            bridge.share()
        rests = {bridge.health.rest("a") for bridge in bridges}
        assert len(rests) == 1


# --- lessons


def test_what_was_learned_here_is_known_there(here: Bridge, there: Bridge) -> None:
    here.learn()
    here.share()
    there.share()
    assert there.known() == {"drop_params": ["temperature"]}


def test_lessons_of_both_are_known_to_both(here: Bridge, there: Bridge, clock: Clock) -> None:
    here.learn(what="temperature")
    clock.time += 1
    there.learn(what="top_p")
    for bridge in (here, there, here):
        bridge.share()
    for bridge in (here, there):
        assert bridge.known() == {"drop_params": ["temperature", "top_p"]}


def test_a_lesson_ends_everywhere(here: Bridge, there: Bridge, clock: Clock) -> None:
    here.learn()
    here.share()
    clock.time += WEEK_S
    there.share()
    assert there.known() == {}


def test_what_is_to_be_forgotten_is_forgotten_by_all(here: Bridge, there: Bridge, room: Room, clock: Clock) -> None:
    here.learn()
    here.share()
    there.share()
    clock.time += 1
    forget_lessons(room.store.values, clock.time)
    clock.time += 1
    there.learn("n")
    for bridge in (there, here, there):
        bridge.share()
    for bridge in (here, there):
        assert bridge.known() == {}
        assert bridge.known("n") == {"drop_params": ["temperature"]}


def test_lessons_of_another_version_are_kept_for_it(room: Room, clock: Clock) -> None:
    here = room.bridge(valid=lambda overrides: "new_field" not in overrides)
    foreign = {"place": "p", "model": "m", "overrides": {"new_field": 1}, "what": "w", "why": "y", "when": clock.time}
    room.store.values.put("learned", "all", json.dumps({"lessons": [foreign]}).encode(), 60)
    here.learn()
    here.share()
    written = json.loads(room.store.values.get("learned", "all") or b"")
    assert {lesson["what"] for lesson in written["lessons"]} == {"w", "temperature"}
    assert here.learned.overrides("p", "m") == {}


@pytest.mark.parametrize("damaged", [b"{", b"[]", b'{"acme/m": 1, "lessons": [1], "forgotten": "x"}'])
def test_a_damaged_document_is_written_anew(here: Bridge, there: Bridge, room: Room, damaged: bytes) -> None:
    for kind in ("health", "learned"):
        room.store.values.put(kind, "all", damaged, 60)
    here.health.failed("acme/m")
    here.learn()
    here.share()
    there.share()
    assert not there.health.is_well(["acme/m"])
    assert there.known()


# --- conversations


def served(bridge: Bridge, conversation: str) -> str:
    return bridge.selection.candidates(route(A, B, C), conversation)[0].provider


def test_a_conversation_goes_on_where_another_bridge_had_it(here: Bridge, there: Bridge) -> None:
    served(here, "talk")
    here.selection.served(B, "talk")
    here.share()
    assert served(there, "talk") == "b"


def test_what_a_bridge_knows_itself_it_does_not_ask_for(
    here: Bridge, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(here, "talk")
    here.selection.served(B, "talk")
    monkeypatch.setattr(room.store.values, "get", lambda *_: pytest.fail("asked"))
    assert served(here, "talk") == "b"
    assert here.selection.candidates(route(A), "other") == [A], "nor is there a question where there is no choice"


def test_a_conversation_without_a_choice_is_told_to_nobody(here: Bridge, room: Room) -> None:
    here.selection.candidates(route(A), "talk")
    here.selection.served(A, "talk")
    here.share()
    assert here.sharing._conversations.take_news() == {}
    assert room.bridge().selection.elsewhere.get("talk") is None


def test_a_conversation_is_known_elsewhere_for_a_time(here: Bridge, there: Bridge, clock: Clock) -> None:
    served(here, "talk")
    here.selection.served(B, "talk")
    here.share()
    clock.time += CONVERSATION_TTL_S + 1
    assert served(there, "talk") == "a"


# --- a store that is away, and one that is nobody else's


class Away:
    def get(self, *_: object) -> bytes:
        raise StoreUnavailable("away")

    put = settle = get


def test_without_its_store_a_bridge_goes_by_what_it_knows(
    here: Bridge, room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as away:
        away.setattr(room.store, "values", Away())
        here.health.failed("acme/m")
        here.share()
        here.share()
        assert served(here, "talk") == "a"
        assert [record.levelname for record in caplog.records].count("WARNING") == 1
        with pytest.raises(StateError, match="set BRIDGE_STATE_KEY"):
            here.sharing.signing_key(lambda: b"own")
    here.share()
    newcomer = room.bridge()
    newcomer.share()
    assert not newcomer.health.is_well(["acme/m"])
    assert here.sharing.signing_key(lambda: b"own") == b"own"


def test_a_store_of_this_machine_alone_is_left_in_peace(here: Bridge, room: Room) -> None:
    here.sharing.is_on = False
    here.health.failed("acme/m")
    served(here, "talk")
    here.selection.served(B, "talk")
    here.share()
    assert room.store.values.get("health", "all") is None
    assert here.sharing.signing_key(lambda: b"own") == b"own"


# --- the key


def test_all_sign_with_the_key_of_the_first(here: Bridge, there: Bridge) -> None:
    assert here.sharing.signing_key(lambda: b"key of here") == b"key of here"
    assert there.sharing.signing_key(lambda: b"key of there") == b"key of here"


def test_a_server_that_has_come_back_empty_gets_the_key_back(here: Bridge, there: Bridge, room: Room) -> None:
    here.sharing.signing_key(lambda: b"key of here")
    room.store.values.delete("secret", "signing")
    here.share()
    assert there.sharing.signing_key(lambda: b"key of there") == b"key of here"


def test_bridges_that_have_different_keys_agree_on_one(here: Bridge, there: Bridge, room: Room) -> None:
    here.sharing.signing_key(lambda: b"key of here")
    room.store.values.delete("secret", "signing")
    there.sharing.signing_key(lambda: b"key of there")
    here.share()
    assert here.sharing.signing_key(lambda: b"unasked") == b"key of there"


def test_a_bridge_without_a_directory_makes_a_key_for_all(here: Bridge, there: Bridge) -> None:
    def none() -> bytes:
        raise StateError("read-only")

    key = here.sharing.signing_key(none)
    assert len(key) == 32
    assert there.sharing.signing_key(none) == key


def test_a_store_that_cannot_be_opened_is_named(clock: Clock) -> None:
    def refuse(*_: object) -> ResponseStore:
        raise StoreUnavailable("no such server")

    storage = Storage(refuse, clock)
    storage.use("redis://the.test", Limits())
    with pytest.raises(StateError, match=r"cannot be used\. no such server"):
        Bridge(storage, clock).sharing.signing_key(lambda: b"own")


# --- the key that the configuration names


def test_a_key_of_the_configuration_signs_before_any_other(tmp_path: Path) -> None:
    secret = "a-key-that-all-machines-are-given"
    talk = Talk(service(tmp_path, f"{CONFIG}state_key: {secret}\nstore: redis://the.test\n"))
    told = talk.respond({"include": ["reasoning.encrypted_content"]}, said("Yes.", reasoning_content="Let me think."))
    (sealed,) = [item["encrypted_content"] for item in told.body["output"] if item["type"] == "reasoning"]
    carried = unseal(sealed, key_from(secret))
    assert carried is not None
    assert carried.text == "Let me think."


def test_a_service_shares_if_its_store_is_a_server(tmp_path: Path, room: Room, here: Bridge) -> None:
    here.health.failed("acme/acme-large", asked_rest=60)
    here.share()
    for number, (store, heard) in enumerate((("redis://the.test", True), ("sqlite", False))):
        folder = tmp_path / str(number)
        folder.mkdir()
        bridge = service(folder, f"{CONFIG}store: {store}\n", open_store=lambda *_: room.store)
        bridge.refresh()
        asyncio.run(bridge.share())
        assert ("acme/acme-large" in bridge._experience.selection.health.ill()) is heard
