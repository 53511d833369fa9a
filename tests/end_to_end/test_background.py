"""Responses that are made in the background: asked for, left, followed, cancelled, and lost with their process."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.npm import node, told_by
from tests.end_to_end.process import ROOT, Bridge, events_of, eventually
from tests.end_to_end.provider import DONE, PATIENCE_S, Provider, Watched, event, fails, says, streams, text_chunks
from tests.end_to_end.test_fail_closed import rewrite
from tests.grammar import check_stream
from tests.store.redis_server import redis_server

HELLO = [event(each) for each in text_chunks("Hel", "lo.")]
RUNNING = ("queued", "in_progress")


@pytest.fixture
def client(client_environment: None) -> Iterator[OpenAI]:
    with OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a stream in its middle; opened at the end of the test, whatever has become of it."""
    gate = threading.Event()
    yield gate
    gate.set()


def held(gate: threading.Event) -> Callable[..., None]:
    return streams(*HELLO[:2], gate, *HELLO[2:], DONE)


def ended(client: OpenAI, response_id: str) -> Any:
    """What a client gets that asks until it is done."""

    def look() -> object:
        found = client.responses.retrieve(response_id)
        return found if found.status not in RUNNING else None

    return eventually(look, "the response is made")


def in_background(bridge: Bridge, model: str, **more: object) -> str:
    """Have a response made; its id."""
    answer = bridge.respond(model, background=True, **more)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "queued"
    return str(answer.json()["id"])


def retrieve(bridge: Bridge, response_id: str) -> dict[str, Any]:
    with bridge.client() as http:
        found = http.get(f"/v1/responses/{response_id}")
    assert found.status_code == 200, found.text
    return dict(found.json())


def has_ended(bridge: Bridge, response_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        found = retrieve(bridge, response_id)
        return found if found["status"] not in RUNNING else {}

    return eventually(look, "the response is made")


def followed(bridge: Bridge, response_id: str, **query: int) -> list[dict[str, Any]]:
    """Its stream, to the end."""
    with bridge.client() as http:
        return events_of(http.get(f"/v1/responses/{response_id}", params={"stream": True, **query}).text)


# --- openai-python


def test_poll(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    response = client.responses.create(model=model, input="Hi", background=True)

    assert (response.status, response.background, response.output) == ("queued", True, [])
    made = ended(client, response.id)
    assert (made.status, made.output_text, made.usage.total_tokens) == ("completed", "Hello.", 10)
    assert provider.call(model).body["stream"] is True  # so that nothing is lost of what takes long


def test_leave_a_stream_and_come_back(client: OpenAI, provider: Provider, model: str, gate: threading.Event) -> None:
    provider.script(model, held(gate))
    seen: list[Any] = []
    with client.responses.create(model=model, input="Hi", background=True, stream=True) as stream:
        for each in stream:
            seen.append(each)
            if each.type == "response.output_text.delta":
                break
    assert client.responses.retrieve(seen[0].response.id).status == "in_progress"
    gate.set()

    last = seen[-1].sequence_number
    rest: list[Any] = list(client.responses.retrieve(seen[0].response.id, stream=True, starting_after=last))

    whole = [*seen, *rest]
    assert [each.sequence_number for each in whole] == list(range(len(whole)))
    assert [each.type for each in whole[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert rest[-1].response.output_text == "Hello."


def test_the_helper_for_streams(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))
    with client.responses.stream(model=model, input="Hi", background=True) as stream:
        first = stream.get_final_response()

    with client.responses.stream(response_id=first.id, starting_after=5) as stream:
        numbers = [each.sequence_number for each in stream]
        again = stream.get_final_response()

    assert numbers[0] == 6
    assert again.output == first.output


def test_cancel(client: OpenAI, provider: Provider, model: str) -> None:
    watched = Watched(b"".join(HELLO[:2]))
    provider.script(model, watched)
    stream = client.responses.create(model=model, input="Hi", background=True, stream=True)
    response_id = next(iter(stream)).response.id  # type: ignore[union-attr]
    assert watched.started.wait(PATIENCE_S)

    cancelled = client.responses.cancel(response_id)

    assert cancelled.status == "cancelled"
    assert watched.gone.wait(PATIENCE_S)
    assert "response.completed" not in [each.type for each in stream]
    assert client.responses.cancel(response_id).status == "cancelled"
    assert client.responses.retrieve(response_id).status == "cancelled"


def test_cancel_what_has_ended(client: OpenAI, provider: Provider, model: str) -> None:
    response = client.responses.create(model=model, input="Hi", background=True)
    ended(client, response.id)

    assert client.responses.cancel(response.id).status == "completed"


def test_cancel_what_was_not_made_in_the_background(client: OpenAI, model: str) -> None:
    response = client.responses.create(model=model, input="Hi")

    with pytest.raises(openai.BadRequestError, match="background=true"):
        client.responses.cancel(response.id)


def test_delete_what_is_running(client: OpenAI, provider: Provider, model: str) -> None:
    watched = Watched(b"".join(HELLO[:2]))
    provider.script(model, watched)
    response = client.responses.create(model=model, input="Hi", background=True)
    assert watched.started.wait(PATIENCE_S)

    client.responses.delete(response.id)

    assert watched.gone.wait(PATIENCE_S)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_a_conversation_goes_on_behind_it(
    client: OpenAI, provider: Provider, model: str, gate: threading.Event
) -> None:
    provider.script(model, held(gate), says("Again."))
    first = client.responses.create(model=model, input="One", background=True)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input="Two", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_finished"
    gate.set()
    ended(client, first.id)

    client.responses.create(model=model, input="Two", previous_response_id=first.id)

    messages = provider.calls(model)[-1].body["messages"]
    assert [each["content"] for each in messages] == ["One", "Hello.", "Two"]


def test_a_provider_that_fails(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, fails(400, "no such thing", "bad_thing"))

    failed = ended(client, client.responses.create(model=model, input="Hi", background=True).id)

    assert failed.status == "failed"
    assert "no such thing" in failed.error.message


@pytest.mark.parametrize(
    "body",
    [{"store": False}, {"input": [{"type": "message", "role": "user", "content": [{"type": "input_image"}]}]}],
    ids=["not stored", "a bad request"],
)
def test_what_is_refused_at_once(client: OpenAI, provider: Provider, model: str, body: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.responses.create(**{"model": model, "input": "Hi", "background": True, **body})
    assert not provider.calls(model)


# --- openai-node


@pytest.mark.clients
def test_node(bridge: Bridge, provider: Provider, model: str, tmp_path: Path) -> None:
    provider.script(model, says("Hel", "lo."))

    seen = told_by(
        node(),
        """
  const first = [];
  let id;
  for await (const event of await client.responses.create({ model, input: "Hi", background: true, stream: true })) {
    first.push(event.sequence_number);
    id = id ?? event.response.id;
    if (first.length === 4) break;
  }
  const rest = [];
  for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: 3 })) {
    rest.push(event.sequence_number);
  }
  const stream = client.responses.stream({ response_id: id, starting_after: 3 });
  const whole = await stream.finalResponse();
  const polled = await client.responses.retrieve(id);
  const cancelled = await client.responses.cancel(id);
  tell({ first, rest, whole: whole.output_text, polled: polled.status, cancelled: cancelled.status });
""",
        bridge,
        tmp_path,
        MODEL=model,
    )

    numbers = [*seen["first"], *seen["rest"]]
    assert numbers == list(range(len(numbers)))
    assert (seen["whole"], seen["polled"], seen["cancelled"]) == ("Hello.", "completed", "completed")


# --- how much at once


def test_more_than_are_made_at_once(
    start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event
) -> None:
    bridge = start_bridge(config_for(provider, background="{concurrent: 1, queued: 1}"))
    provider.script(model, held(gate))
    first = in_background(bridge, model)
    eventually(lambda: provider.calls(model), "the first is made")
    second = in_background(bridge, model)

    refused = bridge.respond(model, background=True)

    assert refused.status_code == 429
    assert refused.headers["retry-after"]
    assert retrieve(bridge, second)["status"] == "queued"
    assert len(provider.calls(model)) == 1
    gate.set()
    assert has_ended(bridge, first)["status"] == "completed"
    assert has_ended(bridge, second)["status"] == "completed"


def test_cancel_what_waits(start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event) -> None:
    bridge = start_bridge(config_for(provider, background="{concurrent: 1}"))
    provider.script(f"{model}-first", held(gate))
    in_background(bridge, f"{model}-first")
    waiting = in_background(bridge, model)
    with bridge.client() as http:
        assert http.post(f"/v1/responses/{waiting}/cancel").json()["status"] == "cancelled"

    assert [each["type"] for each in followed(bridge, waiting)] == ["response.created", "response.queued"]
    gate.set()
    assert not provider.calls(model)


def test_nothing_is_kept(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(config_for(provider, store="'off'"))

    refused = bridge.respond(model, background=True)

    assert refused.status_code == 400
    assert "stream" in refused.json()["error"]["message"]


# --- the end of the process


def test_stopped(start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event) -> None:
    """What runs has the time that other calls have; what waits has none; nothing is left in progress."""
    state = {"BRIDGE_STATE_DIR": str(start_bridge().folder / "state")}
    bridge = start_bridge(config_for(provider, background="{concurrent: 1}", shutdown_grace_s="0.1"), env=state)
    provider.script(model, held(gate))
    running, waiting = in_background(bridge, model), in_background(bridge, model)
    eventually(lambda: retrieve(bridge, running)["status"] == "in_progress", "it runs")

    bridge.process.terminate()

    assert bridge.process.wait(PATIENCE_S) == 0
    again = start_bridge(env=state)
    for each in (running, waiting):
        found = retrieve(again, each)
        assert (found["status"], found["error"]["code"]) == ("failed", "bridge_stopping")


def test_it_may_end_while_the_bridge_is_stopped(
    start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event
) -> None:
    state = {"BRIDGE_STATE_DIR": str(start_bridge().folder / "state")}
    bridge = start_bridge(env=state)
    provider.script(model, held(gate))
    running = in_background(bridge, model)
    eventually(lambda: provider.calls(model), "it runs")

    bridge.process.terminate()
    bridge.logged("Stopping: 1 calls")
    gate.set()

    assert bridge.process.wait(PATIENCE_S) == 0
    assert retrieve(start_bridge(env=state), running)["status"] == "completed"


def test_killed(start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event) -> None:
    state = {"BRIDGE_STATE_DIR": str(start_bridge().folder / "state")}
    bridge = start_bridge(env=state)
    provider.script(model, held(gate))
    running = in_background(bridge, model)
    eventually(lambda: len(followed_so_far(state, running)) > 3, "some of it is kept")
    bridge.process.send_signal(signal.SIGKILL)
    bridge.process.wait(PATIENCE_S)
    lease_ends(state, running)

    again = start_bridge(env=state)

    failed = has_ended(again, running)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert "restarted" in failed["error"]["message"]
    events = followed(again, running)
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    assert [each["type"] for each in events][-2:] == ["error", "response.failed"]


def opened(state: dict[str, str]) -> SqliteStore:
    return SqliteStore(Path(state["BRIDGE_STATE_DIR"]) / "store.sqlite3", limits=Limits(), now=time.time)


def followed_so_far(state: dict[str, str], response_id: str) -> list[Any]:
    store = opened(state)
    (found,) = store.inspection.find(response_id)
    events = store.responses.events(found.owner, response_id)
    store.close()
    return list(events)


def lease_ends(state: dict[str, str], response_id: str) -> None:
    """As if the time had passed for which a process that says nothing counts as alive."""
    store = opened(state)
    (found,) = store.inspection.find(response_id)
    assert found.stored.runner is not None
    store.leases.release(found.stored.runner)
    store.close()


def test_the_script_is_loaded_again(
    start_bridge: StartBridge, provider: Provider, model: str, gate: threading.Event, tmp_path: Path
) -> None:
    """What runs goes on, and what waits comes after it."""
    copy = shutil.copytree(ROOT / "addon", tmp_path / "copy" / "addon", ignore=shutil.ignore_patterns("__pycache__"))
    bridge = start_bridge(config_for(provider, background="{concurrent: 1}"), script=copy / "bridge.py")
    provider.script(model, held(gate))
    running, waiting = in_background(bridge, model), in_background(bridge, model)
    eventually(lambda: provider.calls(model), "the first is made")

    rewrite(copy / "bridge.py", (copy / "bridge.py").read_text("utf-8") + "logging.info('loaded again')\n")
    bridge.logged("loaded again")
    gate.set()

    for each in (running, waiting):
        assert has_ended(bridge, each)["status"] == "completed"


# --- several processes


@pytest.fixture(params=["sqlite", "redis"])
def pair(
    request: pytest.FixtureRequest, start_bridge: StartBridge, provider: Provider, tmp_path: Path
) -> Iterator[tuple[Bridge, Bridge]]:
    """Two bridges with one store."""
    state = {"BRIDGE_STATE_DIR": str(tmp_path / "state")}
    if request.param == "sqlite":
        yield start_bridge(env=state), start_bridge(env=state)
        return
    pytest.importorskip("redis")
    with redis_server() as url:
        config = config_for(provider, store=f"'{url}'")
        yield start_bridge(config, env=state), start_bridge(config, env=state)


def test_another_process_follows(
    pair: tuple[Bridge, Bridge], provider: Provider, model: str, gate: threading.Event
) -> None:
    one, other = pair
    provider.script(model, held(gate))
    running = in_background(one, model)
    with other.client() as http, http.stream("GET", f"/v1/responses/{running}?stream=true") as answer:
        told = ""
        for text in answer.iter_text():
            told += text
            if "response.output_text.delta" in told:
                gate.set()
    check_stream(events_of(told))
    assert retrieve(other, running)["status"] == "completed"
    assert events_of(told)[4:] == followed(one, running, starting_after=3)


def test_another_process_cancels(pair: tuple[Bridge, Bridge], provider: Provider, model: str) -> None:
    one, other = pair
    watched = Watched(b"".join(HELLO[:2]))
    provider.script(model, watched)
    running = in_background(one, model)
    assert watched.started.wait(PATIENCE_S)

    with other.client() as http:
        assert http.post(f"/v1/responses/{running}/cancel").json()["status"] == "cancelled"

    assert watched.gone.wait(PATIENCE_S)
    assert retrieve(one, running)["status"] == "cancelled"
