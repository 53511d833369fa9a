"""Two bridges that share nothing but a Redis server, behind HAProxy: for a client they are one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import config_for
from tests.end_to_end.original import standing_in
from tests.end_to_end.process import (
    CLIENT_KEY,
    OPENAI,
    PROVIDER_KEY,
    Bridge,
    clean_environment,
    eventually,
    free_port,
    launch,
)
from tests.end_to_end.provider import (
    PATIENCE_S,
    Provider,
    Received,
    chunk,
    completion,
    event,
    fails,
    says,
    sends_json,
    streams,
)
from tests.store.redis_server import redis_server

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "many-machines"

REFUSES_TEMPERATURE = fails(400, "Unsupported parameter: 'temperature' is not supported with this model.")


@dataclass
class Machines:
    one: Bridge
    two: Bridge

    def __iter__(self) -> Iterator[Bridge]:
        yield from (self.one, self.two)


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A server as docs/examples has it, except for where it listens and what it writes."""
    with redis_server(*_redis_options()) as url:
        yield url


def _redis_options() -> list[str]:
    written = (EXAMPLES / "redis.conf").read_text("utf-8")
    settings = [line.split() for line in written.splitlines() if line and not line.startswith("#")]
    theirs = {"bind", "port", "requirepass", "appendonly", "appendfsync"}
    ours = [(f"--{name}", *values) for name, *values in settings if name not in theirs]
    assert ("--maxmemory-policy", "volatile-lru") in ours
    return [word for setting in ours for word in setting]


@contextmanager
def machines(provider: Provider, store: str, confdir: Path, folder: Path) -> Iterator[Machines]:
    """Each has a directory of its own for its state."""
    with ExitStack() as stack:
        original = stack.enter_context(standing_in(confdir))
        configs = {name: config_of(provider, store, name) for name in ("one", "two")}
        started = [_machine(stack, folder / name, text, confdir, original.port) for name, text in configs.items()]
        both = Machines(*started)
        for bridge in both:
            assert bridge.address
        yield both
    for bridge in both:
        bridge.assert_sound()
    assert original.untouched, original.requests


def _machine(stack: ExitStack, folder: Path, config: str, confdir: Path, original: int) -> Bridge:
    folder.mkdir()
    (folder / "bridge.yaml").write_text(config, "utf-8")
    environment = {"ORIGINAL_PORT": str(original)}
    bridge = launch(folder, confdir, addons=["redirect"], env=environment, args=["--ssl-insecure"])
    stack.callback(bridge.stop)
    return bridge


def config_of(provider: Provider, store: str, machine: str) -> str:
    """`test` serves first, and for some models `spare` while it rests. By the key the provider knows the machine."""
    common = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}-{machine}"
    thinks = "overrides: {replay: always, replay_field: reasoning_content, replay_scope: all_turns}"
    return config_for(
        provider,
        providers=f"{{test: {{{common}, {thinks}}}, spare: {{{common}}}}}",
        models="{'two-*': ['test/{model}', 'spare/{model}'], '*': 'test/{model}'}",
        store=f"'{store}'",
        cache="{}",
    )


@pytest.fixture(scope="module")
def pair(provider: Provider, store: str, confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(provider, store, confdir, tmp_path_factory.mktemp("machines")) as both:
        yield both


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [str(message["content"]) for message in messages]


# --- what a client leaves at one it finds at the other


def test_a_chain_goes_on_at_the_other(pair: Machines, provider: Provider, model: str) -> None:
    provider.script(model, says("One."), says("Two."), says("Three."))
    first = pair.one.respond(model, input="First?").json()
    second = pair.two.respond(model, input="Second?", previous_response_id=first["id"]).json()
    third = pair.one.respond(model, input="Third?", previous_response_id=second["id"])
    assert third.status_code == 200
    asked = provider.calls(model)[-1].body["messages"]
    assert texts(asked) == ["First?", "One.", "Second?", "Two.", "Third?"]


def test_a_conversation_goes_on_at_the_other(pair: Machines, provider: Provider, model: str) -> None:
    provider.script(model, says("One."), says("Two."))
    with pair.one.client() as client:
        conversation = client.post("/v1/conversations", json={}).json()["id"]
    pair.one.respond(model, input="First?", conversation=conversation)
    pair.two.respond(model, input="Second?", conversation=conversation)
    assert texts(provider.calls(model)[-1].body["messages"]) == ["First?", "One.", "Second?"]
    with pair.two.client() as client:
        items = client.get(f"/v1/conversations/{conversation}/items", params={"order": "asc"}).json()["data"]
    assert [item["role"] for item in items] == ["user", "assistant", "user", "assistant"]


def test_reasoning_that_one_has_sealed_the_other_opens(pair: Machines, provider: Provider, model: str) -> None:
    provider.script(model, sends_json(completion("Yes.", reasoning_content="Let me think.")), says("So."))
    wish = {"store": False, "include": ["reasoning.encrypted_content"]}
    first = pair.one.respond(model, input="Really?", **wish).json()
    (sealed,) = [item for item in first["output"] if item["type"] == "reasoning"]
    assert sealed["encrypted_content"]
    unread = {"type": "reasoning", "summary": [], "encrypted_content": sealed["encrypted_content"]}
    carried = [unread if item is sealed else item for item in first["output"]]
    turns = [{"role": "user", "content": "Really?"}, *carried, {"role": "user", "content": "Why?"}]
    assert pair.two.respond(model, input=turns, **wish).status_code == 200
    (answer,) = [each for each in provider.calls(model)[-1].body["messages"] if each["role"] == "assistant"]
    assert answer["reasoning_content"] == "Let me think."


def test_what_one_has_learned_the_other_need_not_learn(pair: Machines, provider: Provider, model: str) -> None:
    provider.script(model, REFUSES_TEMPERATURE, says("Hello."))
    assert pair.one.respond(model, temperature=0.5).status_code == 200
    assert len(provider.calls(model)) == 2
    eventually(lambda: model in _lessons(pair.two), "the other machine has heard of it")
    assert pair.two.respond(model, input="And you?", temperature=0.5).status_code == 200
    third = provider.calls(model)[2:]
    assert ["temperature" in each.body for each in third] == [False]


def _lessons(bridge: Bridge) -> str:
    files = list(bridge.folder.rglob("learned.json"))
    return files[0].read_text("utf-8") if files else ""


def test_a_target_that_rests_at_one_is_left_alone_by_the_other(pair: Machines, provider: Provider, model: str) -> None:
    model = f"two-{model}"
    provider.script(model, fails(503, "busy", retry_after="600"), says("Hello."))
    first = pair.one.respond(model)
    assert first.headers["x-bridge-target"] == f"spare/{model}"
    pair.two.logged(f"test/{model} rests")
    second = pair.two.respond(model, input="And you?")
    assert second.headers["x-bridge-target"] == f"spare/{model}"
    assert "x-bridge-tried" not in second.headers


def test_an_answer_of_one_is_given_again_by_the_other(pair: Machines, provider: Provider, model: str) -> None:
    first = pair.one.respond(model)
    second = pair.two.respond(model, stream=True)
    assert (first.headers["x-bridge-cache"], second.headers["x-bridge-cache"]) == ("miss", "hit")
    assert len(provider.calls(model)) == 1


# --- behind HAProxy


@dataclass
class Balancer:
    address: str
    ca: Path

    def respond(self, model: str, **body: object) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/responses", json={"model": model, "input": "Hi", **body})

    def client(self) -> httpx.Client:
        """Each makes connections of its own."""
        return httpx.Client(
            base_url=OPENAI,
            proxy=f"http://{self.address}",
            verify=ssl.create_default_context(cafile=str(self.ca)),
            trust_env=False,
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            timeout=PATIENCE_S,
        )


def haproxy() -> str:
    """`$BRIDGE_HAPROXY`, which then has to be there, or what is on the path, if anything is."""
    named = os.environ.get("BRIDGE_HAPROXY")
    if named is not None:
        assert shutil.which(named), f"BRIDGE_HAPROXY names {named}, which is not there"
        return named
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("there is no haproxy: apt-get install haproxy, or set BRIDGE_HAPROXY")
    return found


@contextmanager
def balanced(both: Machines, folder: Path) -> Iterator[Balancer]:
    """HAProxy, as docs/examples has it, in front of the two."""
    program, address = haproxy(), f"127.0.0.1:{free_port()}"
    written = (EXAMPLES / "haproxy.cfg").read_text("utf-8")
    places = {"0.0.0.0:8080": address}
    places |= {f"10.0.0.{n}:8080": f"127.0.0.1:{bridge.address[1]}" for n, bridge in enumerate(both, 1)}
    for theirs, ours in places.items():
        assert written.count(theirs) == 1
        written = written.replace(theirs, ours)
    (folder / "haproxy.cfg").write_text(written, "utf-8")
    command = [program, "-db", "-f", str(folder / "haproxy.cfg")]
    with (
        (folder / "haproxy.txt").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment()) as process,
    ):
        try:
            eventually(lambda: _accepts(process, address), "HAProxy listens")
            yield Balancer(address, both.one.ca)
        finally:
            process.kill()


def _accepts(process: subprocess.Popen[bytes], address: str) -> bool:
    assert process.poll() is None, "HAProxy has ended"
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_machine_is_killed_and_nothing_stored_is_lost(
    provider: Provider, store: str, confdir: Path, tmp_path: Path, model: str
) -> None:
    gate = threading.Event()
    begun = chunk({"role": "assistant", "content": "Half of it"})
    with machines(provider, store, confdir, tmp_path) as both, balanced(both, tmp_path) as balancer:
        chain = [balancer.respond(model, input="Turn 0?").json()["id"]]
        for turn in range(1, 6):
            body = {"input": f"Turn {turn}?", "previous_response_id": chain[-1]}
            chain.append(balancer.respond(model, **body).json()["id"])
        assert set(map(_machine_of, provider.calls(model))) == {"one", "two"}, "the balancer has used both"
        provider.script(model, streams(event(begun), gate), says("On."))
        body = {"model": model, "input": "Killed?", "previous_response_id": chain[-1], "stream": True}
        with balancer.client() as client, client.stream("POST", "/v1/responses", json=body) as broken:
            lines = broken.iter_lines()
            assert any("Half of it" in line for line in lines), "its first words have come"
            killed = _machine_of(provider.calls(model)[-1])
            victim, survivor = (both.one, both.two) if killed == "one" else (both.two, both.one)
            os.kill(victim.process.pid, signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                list(lines)
        gate.set()
        on = balancer.respond(model, input="Still there?", previous_response_id=chain[-1])
        assert on.status_code == 200, on.text
        turns = [text for n in range(6) for text in (f"Turn {n}?", "Hello.")]
        assert texts(provider.calls(model)[-1].body["messages"]) == [*turns, "Still there?"]
        with survivor.client() as client:
            kept = [client.get(f"/v1/responses/{each}").json()["status"] for each in (*chain, on.json()["id"])]
        assert set(kept) == {"completed"}


def _machine_of(received: Received) -> str:
    return received.headers["authorization"].removeprefix(f"Bearer {PROVIDER_KEY}-")
