"""Answers given again: to the same request, for the same caller, in whatever form it is wanted, and to no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from addon.actions import Action, Answer, Attempt, Data, Head
from addon.caching import MAX_ANSWER_BYTES
from addon.exchange import Exchange
from addon.service import Service
from addon.store.errors import StoreUnavailable
from addon.store.interface import ResponseStore
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.end_to_end.process import events_of
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.state.talk import ALICE, BOB, called, said
from tests.test_service import CONFIG, call, service

CACHING = CONFIG + "cache: {ttl_s: 60}\n"
TOOLS = [{"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}}]
STREAM = b"".join(
    b"data: %s\n\n" % json.dumps({"choices": [choice]}).encode()
    for choice in (
        {"index": 0, "delta": {"content": "Hel"}},
        {"index": 0, "delta": {"content": "lo."}, "finish_reason": "stop"},
    )
)


@dataclass
class Heard:
    """What a client heard, and how often a provider was asked for it."""

    exchange: Exchange
    asked: int
    headers: dict[str, str]
    response: dict[str, Any]

    @property
    def text(self) -> str:
        (item,) = [item for item in self.response["output"] if item["type"] == "message"]
        return str(item["content"][0]["text"])


class Client:
    """Calls a bridge. The provider gives the answers it is handed, and fails the test if it is asked once more."""

    def __init__(self, bridge: Service) -> None:
        self.bridge = bridge

    def ask(self, *answers: bytes, who: str = ALICE, status: int = 200, **body: object) -> Heard:
        plan = self.bridge.plan(call(body={"model": "gpt-5", "input": "Hi", **body}, authorization=who))
        assert isinstance(plan, Exchange), plan
        left = list(answers)
        actions: Sequence[Action] = plan.begin()
        heard: list[Action] = [*actions]
        while any(isinstance(action, Attempt) for action in actions):
            answer = left.pop(0)
            actions = [*plan.upstream_head(status, {}), *plan.upstream_data(answer), *plan.upstream_end()]
            heard += actions
        return Heard(plan, len(answers) - len(left), *_told(heard))


def _told(actions: Sequence[Action]) -> tuple[dict[str, str], dict[str, Any]]:
    whole = next((action for action in actions if isinstance(action, Answer)), None)
    if whole is not None:
        response = json.loads(whole.body)
        return dict(whole.headers), response
    head = next(action for action in actions if isinstance(action, Head))
    events = events_of(b"".join(action.data for action in actions if isinstance(action, Data)).decode())
    for event in events:
        validate_event(event)
    check_stream(events)
    return dict(head.headers), events[-1]["response"]


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[ResponseStore]:
    with closing(SqliteStore(None, limits=Limits(), now=clock)) as store:
        yield store


@pytest.fixture
def client(tmp_path: Path, store: ResponseStore) -> Client:
    return Client(service(tmp_path, CACHING, open_store=lambda *_: store))


FORMS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize("kept", [said(), STREAM], ids=["sent-whole", "sent-streamed"])
@pytest.mark.parametrize(("first_form", "second_form"), FORMS, ids=["w-w", "w-s", "s-w", "s-s"])
def test_the_same_request_is_answered_again_in_the_form_it_wants(
    client: Client, kept: bytes, first_form: bool, second_form: bool
) -> None:
    first = client.ask(kept, stream=first_form)
    second = client.ask(stream=second_form, metadata={"try": "2"})
    assert (first.headers["x-bridge-cache"], second.headers["x-bridge-cache"]) == ("miss", "hit")
    assert (first.exchange.record.outcome, second.exchange.record.outcome) == ("completed", "cached")
    assert (first.asked, second.asked) == (1, 0)
    validate_response(second.response)
    assert second.text == first.text == "Hello."
    assert second.response["usage"] == first.response["usage"]
    assert second.response["metadata"] == {"try": "2"}, "the echo is of the new request"
    assert second.response["id"] != first.response["id"]
    assert second.response["output"][0]["id"] != first.response["output"][0]["id"]


def test_an_answer_from_the_cache_is_of_now_and_can_be_continued(
    client: Client, clock: Clock, store: ResponseStore
) -> None:
    client.ask(said())
    again = client.ask()
    (found,) = store.inspection.find(again.response["id"])
    assert store.responses.get(found.owner, again.response["id"]) is not None
    assert client.ask(said("And on."), input="More", previous_response_id=again.response["id"]).text == "And on."


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"input": "Ho"}, id="input"),
        pytest.param({"model": "fast"}, id="target"),
        pytest.param({"temperature": 0.5}, id="parameter"),
        pytest.param({"tools": TOOLS}, id="tools"),
        pytest.param({"instructions": "Be brief."}, id="instructions"),
        pytest.param({"who": BOB}, id="caller"),
    ],
)
def test_what_differs_for_the_provider_or_the_caller_is_another_request(client: Client, change: dict[str, Any]) -> None:
    client.ask(said("First."))
    assert client.ask(said("Second."), **change).text == "Second."


def test_names_that_lead_to_the_same_model_make_the_same_request(client: Client) -> None:
    client.ask(said(), model="gpt-5")
    assert client.ask(model="gpt-5-mini").asked == 0


def test_callers_share_answers_only_if_that_is_configured(tmp_path: Path, store: ResponseStore) -> None:
    shared = CONFIG + "cache: {shared: true}\n"
    client = Client(service(tmp_path, shared, open_store=lambda *_: store))
    client.ask(said(), store=False)
    assert client.ask(who=BOB).asked == 0


def test_a_caller_that_wants_nothing_stored_gets_its_own_answers_again(client: Client) -> None:
    client.ask(said(), store=False)
    assert client.ask(store=False).headers["x-bridge-cache"] == "hit"
    assert client.ask(said(), store=False, who=BOB).headers["x-bridge-cache"] == "miss"


def test_an_answer_is_given_again_for_its_time(client: Client, clock: Clock) -> None:
    client.ask(said())
    clock.time += 59
    assert client.ask().asked == 0
    clock.time += 2
    assert client.ask(said()).asked == 1


def test_calls_of_tools_are_given_again_with_their_ids(client: Client) -> None:
    first = client.ask(called(("c-1", "ls", "{}")), tools=TOOLS)
    second = client.ask(tools=TOOLS)
    assert [item["call_id"] for item in second.response["output"]] == ["c-1"]
    assert second.response["output"][0]["name"] == first.response["output"][0]["name"] == "ls"


def _cut_off() -> bytes:
    return said().replace(b'"stop"', b'"length"')


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(_cut_off(), 200, id="incomplete"),
        pytest.param(b'{"error": {"message": "no"}}', 400, id="refused"),
        pytest.param(b"data: {", 200, id="broken"),
        pytest.param(said("x" * MAX_ANSWER_BYTES), 200, id="too-long"),
    ],
)
def test_what_is_not_a_complete_answer_is_not_given_again(client: Client, answer: bytes, status: int) -> None:
    client.ask(answer, status=status)
    assert client.ask(said()).asked == 1


def test_without_the_key_nothing_is_kept_and_nothing_said(tmp_path: Path, store: ResponseStore) -> None:
    client = Client(service(tmp_path, CONFIG, open_store=lambda *_: store))
    client.ask(said())
    assert "x-bridge-cache" not in client.ask(said()).headers


def test_a_hit_says_nothing_of_the_target(tmp_path: Path, store: ResponseStore) -> None:
    config = CONFIG.replace('"gpt-*": acme/acme-large', '"gpt-*": [acme/acme-large]') + "cache: {}\n"
    bridge = service(tmp_path, config, open_store=lambda *_: store)
    client = Client(bridge)
    client.ask(said())
    health = bridge._experience.selection.health
    health.failed("acme/acme-large")
    assert client.ask().asked == 0
    assert not health.is_well(["acme/acme-large"])


class Away:
    """Values in a server that does not answer."""

    def get(self, kind: str, key: str) -> bytes | None:
        raise StoreUnavailable("away")

    def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        raise StoreUnavailable("away")


def test_a_store_that_is_away_is_no_reason_to_fail(
    client: Client, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "values", Away())
    assert client.ask(said()).headers["x-bridge-cache"] == "miss"
    assert client.ask(said()).text == "Hello."


# --- answers that are checked first

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
TEXT = {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": SCHEMA}}


@pytest.fixture
def strict(tmp_path: Path, store: ResponseStore) -> Callable[..., Heard]:
    client = Client(service(tmp_path, CACHING + "check_schemas: true\n", open_store=lambda *_: store))

    def ask(*answers: bytes) -> Heard:
        return client.ask(*answers, text=TEXT)

    return ask


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        pytest.param(['{"n":1}'], '{"n":1}', id="fits"),
        pytest.param(['```json\n{"n":1}\n```'], '{"n":1}', id="fenced"),
        pytest.param(["one", '{"n":1}'], '{"n":1}', id="corrected"),
        pytest.param(["one", "two"], "two", id="wrong-again"),
    ],
)
def test_a_checked_answer_is_checked_again_without_a_call(
    strict: Callable[..., Heard], answers: list[str], text: str
) -> None:
    first = strict(*map(said, answers))
    assert (first.asked, first.text) == (len(answers), text)
    assert first.headers["x-bridge-cache"] == "miss"
    second = strict()
    assert second.text == text
    assert second.headers["x-bridge-cache"] == "hit"
