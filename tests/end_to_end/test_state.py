"""The bridge remembers: the resources of the SDKs against SQLite and Redis alike, crashes, and several processes."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.npm import node, told_by
from tests.end_to_end.original import standing_in
from tests.end_to_end.process import Bridge, events_of, launch
from tests.end_to_end.provider import Provider, calls_tools, chunk, event, says, streams
from tests.store.redis_server import redis_server

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
TWO_BRIDGES, CALLS, CLIENTS = 2, 200, 4


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest) -> Iterator[str]:
    """What `store` says in the configuration."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def remembering(
    where: str, provider: Provider, confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bridge]:
    """A bridge that keeps its responses there."""
    folder = tmp_path_factory.mktemp("remembering")
    (folder / "bridge.yaml").write_text(config_for(provider, store=f"'{where}'"), "utf-8")
    with standing_in(confdir) as original:
        environment = {"ORIGINAL_PORT": str(original.port)}
        bridge = launch(folder, confdir, addons=["redirect"], env=environment, args=["--ssl-insecure"])
        try:
            assert bridge.address
            yield bridge
        finally:
            bridge.stop()
    bridge.assert_sound()
    assert original.untouched, original.requests


@pytest.fixture
def client(remembering: Bridge, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    for name in ("ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in remembering.environment.items():
        monkeypatch.setenv(name, value)
    with OpenAI(max_retries=0) as client:
        yield client


# --- openai-python


def test_a_chain_of_responses(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(("call_1", "get_weather", '{"city":"Rome"}')), says("Sunny."), says("Bye."))

    first = client.responses.create(model=model, input="Weather in Rome?", tools=[TOOL])
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
    second = client.responses.create(model=model, input=[output], previous_response_id=first.id, tools=[TOOL])
    with client.responses.stream(model=model, input="Bye!", previous_response_id=second.id, tools=[TOOL]) as stream:
        third = stream.get_final_response()

    assert (second.output_text, third.output_text) == ("Sunny.", "Bye.")
    assert third.previous_response_id == second.id
    histories = [call.body["messages"] for call in provider.calls(model)]
    assert [message["role"] for message in histories[2]] == ["user", "assistant", "tool", "assistant", "user"]
    for before, after in itertools.pairwise(histories):
        assert after[: len(before)] == before, "what a provider has cached stays as it was"


def test_a_response_is_retrieved_and_deleted(client: OpenAI, model: str) -> None:
    told = client.responses.create(model=model, input="Hi", metadata={"a": "b"})

    assert client.responses.retrieve(told.id) == told
    assert client.responses.retrieve(told.id, include=["reasoning.encrypted_content"]).id == told.id
    client.responses.delete(told.id)
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.retrieve(told.id)
    assert f"Response with id '{told.id}' not found." in caught.value.message
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input="Hi", previous_response_id=told.id)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_finished_stream_is_told_again(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))
    told = client.responses.create(model=model, input="Hi")

    events = list(client.responses.retrieve(told.id, stream=True))
    assert [each.sequence_number for each in events] == list(range(len(events)))
    later = list(client.responses.retrieve(told.id, stream=True, starting_after=3))
    assert later == events[4:]
    with client.responses.stream(response_id=told.id, starting_after=3) as stream:
        numbers = [each.sequence_number for each in stream if hasattr(each, "sequence_number")]
        assert numbers
        assert min(numbers) == 4
        assert stream.get_final_response().output_text == "Hello."


def test_only_background_responses_are_cancelled(client: OpenAI, model: str) -> None:
    told = client.responses.create(model=model, input="Hi")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(told.id)


def test_input_items_page_by_page(client: OpenAI, model: str) -> None:
    items: Any = [{"role": "user", "content": f"{number}"} for number in range(5)]
    told = client.responses.create(model=model, input=items)

    listed = list(client.responses.input_items.list(told.id, limit=2, order="asc"))

    assert [item.content[0].text for item in listed] == ["0", "1", "2", "3", "4"]  # type: ignore[union-attr]
    assert len({item.id for item in listed}) == 5


def test_input_tokens_are_estimated(client: OpenAI, model: str) -> None:
    counted = client.responses.input_tokens.count(model=model, input="word " * 100)
    assert counted.object == "response.input_tokens"
    assert 80 < counted.input_tokens < 200


def test_a_conversation(client: OpenAI, provider: Provider, model: str) -> None:
    made = client.conversations.create(
        items=[{"role": "user", "content": "My name is Ada."}], metadata={"topic": "names"}
    )
    first = client.responses.create(model=model, input="Hi", conversation=made.id)
    client.responses.create(model=model, input="Who am I?", conversation={"id": made.id})

    assert first.conversation is not None
    assert first.conversation.id == made.id
    texts = [message["content"] for message in provider.calls(model)[-1].body["messages"]]
    assert texts == ["My name is Ada.", "Hi", "Hello.", "Who am I?"]
    listed = list(client.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.content[0].text for item in listed] == [*texts, "Hello."]  # type: ignore[union-attr]
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"topic": "more"}).metadata == {"topic": "more"}
    added = client.conversations.items.create(made.id, items=[{"role": "user", "content": "Bye"}]).data[0]
    assert added.id is not None
    assert client.conversations.items.retrieve(added.id, conversation_id=made.id) == added
    assert client.conversations.items.delete(added.id, conversation_id=made.id).id == made.id
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(added.id, conversation_id=made.id)
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=model, input="Hi", conversation=made.id)


def test_each_key_has_a_memory_of_its_own(client: OpenAI, model: str) -> None:
    mine = client.responses.create(model=model, input="Hi")
    stranger = client.with_options(api_key="sk-another-key")

    for attempt in (
        lambda: stranger.responses.retrieve(mine.id),
        lambda: stranger.responses.delete(mine.id),
        lambda: client.with_options(project="proj_other").responses.retrieve(mine.id),
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    with pytest.raises(openai.BadRequestError):
        stranger.responses.create(model=model, input="Hi", previous_response_id=mine.id)
    assert client.responses.retrieve(mine.id).id == mine.id


# --- openai for Node


@pytest.fixture(scope="module")
def node_program() -> Path:
    return node()


@pytest.mark.clients
def test_the_resources_of_the_package_for_node(
    node_program: Path, remembering: Bridge, provider: Provider, model: str, tmp_path: Path
) -> None:
    provider.script(model, says("Hel", "lo."))

    told = told_by(
        node_program,
        """
      const first = await client.responses.create({ model, input: "One" });
      const second = await client.responses.create({ model, input: "Two", previous_response_id: first.id });
      const found = await client.responses.retrieve(second.id);
      const events = [];
      for await (const event of await client.responses.retrieve(second.id, { stream: true, starting_after: 3 }))
        events.push(event.sequence_number);
      const replayed = await client.responses.stream({ response_id: second.id }).finalResponse();
      const items = [];
      for await (const item of client.responses.inputItems.list(second.id)) items.push(item.content[0].text);
      const cancelled = await client.responses.cancel(first.id).catch((error) => error.constructor.name);
      await client.responses.delete(first.id);
      const gone = await client.responses.retrieve(first.id).catch((error) => [error.constructor.name, error.message]);
      const conversation = await client.conversations.create({ items: [{ role: "user", content: "I am Ada." }] });
      await client.responses.create({ model, input: "Hi", conversation: conversation.id });
      const inside = [];
      for await (const item of client.conversations.items.list(conversation.id, { order: "asc", limit: 2 }))
        inside.push(item.content[0].text);
      const { deleted } = await client.conversations.delete(conversation.id);
      tell({ found: found.output_text, previous: found.previous_response_id === first.id, events, items, cancelled,
             replayed: replayed.output_text, gone, inside, deleted });
    """,
        remembering,
        tmp_path,
        MODEL=model,
    )

    name, message = told.pop("gone")
    assert name == "NotFoundError"
    assert "not found." in message
    assert told.pop("events")[0] == 4
    assert told == {
        "found": "Hello.",
        "previous": True,
        "items": ["Two"],
        "cancelled": "BadRequestError",
        "replayed": "Hello.",
        "inside": ["I am Ada.", "Hi", "Hello."],
        "deleted": True,
    }


# --- crashes


@dataclass
class Restarting:
    """One bridge after another, with the same directory for state."""

    start: StartBridge
    provider: Provider
    state: Path
    store: str = "sqlite"

    def __call__(self) -> Bridge:
        return self.start(config_for(self.provider, store=self.store), env={"BRIDGE_STATE_DIR": str(self.state)})


@pytest.fixture
def restarting(start_bridge: StartBridge, provider: Provider, tmp_path: Path) -> Restarting:
    return Restarting(start_bridge, provider, tmp_path / "state")


def test_what_is_killed_in_the_middle_of_a_stream_loses_only_that(
    restarting: Restarting, provider: Provider, model: str
) -> None:
    first_bridge = restarting()
    kept = [first_bridge.respond(model, input=f"{number}").json() for number in range(3)]
    never = threading.Event()
    provider.script(model, streams(event(chunk({"content": "Half"})), never))
    body = {"model": model, "input": "Hi", "stream": True}
    with first_bridge.client() as http, http.stream("POST", "/v1/responses", json=body) as answer:
        heard = ""
        for text in answer.iter_text():
            heard += text
            if "output_text.delta" in heard:
                break
        os.kill(first_bridge.process.pid, signal.SIGKILL)
        first_bridge.process.wait()
    never.set()
    interrupted = events_of(heard.rpartition("\n\n")[0])[0]["response"]["id"]

    second_bridge = restarting()
    provider.script(model, says("Hello."))
    with second_bridge.client() as http:
        for response in kept:
            assert http.get(f"/v1/responses/{response['id']}").json() == response
        assert http.get(f"/v1/responses/{interrupted}").status_code == 404
    told = second_bridge.respond(model, previous_response_id=kept[1]["id"])
    assert told.status_code == 200
    texts = [message["content"] for message in provider.calls(model)[-1].body["messages"]]
    assert texts == ["1", "Hello.", "Hi"]


def test_two_processes_share_one_file_under_load(restarting: Restarting, provider: Provider, model: str) -> None:
    bridges = [restarting() for _ in range(TWO_BRIDGES)]

    def client_of(bridge: Bridge, other: Bridge, count: int) -> list[str]:
        """A chain that is begun at one bridge, and read and gone on with at both in turn."""
        ids: list[str] = []
        with bridge.client() as mine, other.client() as theirs:
            for number in range(count):
                http = theirs if number % 10 == 9 else mine
                before = {"previous_response_id": ids[-1]} if number % 5 else {}
                answer = http.post("/v1/responses", json={"model": model, "input": f"{number}", **before})
                assert answer.status_code == 200, answer.text
                assert answer.json()["store"] is True, answer.headers["x-bridge-notes"]
                ids.append(answer.json()["id"])
        return ids

    with ThreadPoolExecutor(TWO_BRIDGES * CLIENTS) as pool:
        pairs = [*zip(bridges, reversed(bridges), strict=True)] * CLIENTS
        futures = [pool.submit(client_of, *pair, CALLS // CLIENTS) for pair in pairs]
        ids = [response_id for future in futures for response_id in future.result()]

    assert len(set(ids)) == TWO_BRIDGES * CALLS
    with bridges[0].client() as http:
        assert {http.get(f"/v1/responses/{each}").status_code for each in ids} == {200}
    for bridge in bridges:
        assert "locked" not in bridge.log


# --- a store that does not work


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_store_that_cannot_be_written_to_spoils_no_answer(restarting: Restarting, model: str, stream: bool) -> None:
    restarting.store = "sqlite:///proc/no-such-place/store.sqlite3"
    bridge = restarting()
    answer = bridge.respond(model, stream=stream)
    assert answer.status_code == 200
    response = events_of(answer.text)[-1]["response"] if stream else answer.json()
    assert response["status"] == "completed"
    assert response["store"] is False
    assert "store: it is not kept here" in answer.headers["x-bridge-notes"]
    assert "Store: /proc/no-such-place" in bridge.log
    with bridge.client() as http:
        refused = http.get(f"/v1/responses/{response['id']}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")


def test_a_server_that_is_away_spoils_no_answer(restarting: Restarting, model: str, tmp_path: Path) -> None:
    restarting.store = f"unix://{tmp_path}/nobody-listens.sock"
    bridge = restarting()
    answer = bridge.respond(model)
    assert answer.status_code == 200
    assert answer.json()["store"] is False
    assert "store: the answer could not be stored" in answer.headers["x-bridge-notes"]
    with bridge.client() as http:
        refused = http.get("/v1/responses/resp_1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
