"""Calls without a client: the layer that carries them out, and what wakes a layer before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.server import ConnectionHandler

from addon.exchange import Exchange
from addon.proxy.background import BackgroundLayer, new_context
from addon.proxy.connections import Connections
from addon.proxy.flows import OwnFlows
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.background.conftest import Bridge, FlakyStore
from tests.proxy.rig import Rig, options
from tests.proxy.test_layer import CHUNK, HEAD, LAST, STOP, chunked

CONFIG = "providers: {acme: {base_url: 'http://acme.test/v1', api_key: none, profile: generic}}\n"


class Work:
    """One exchange in the background, on a layer of its own."""

    def __init__(self, folder: Path, store: FlakyStore) -> None:
        bridge = folder / "bridge"
        bridge.mkdir()
        self.rig = Rig(folder)
        self.bridge = Bridge(bridge, self.rig.clock, store, CONFIG)
        self.response_id = self.bridge.submit()
        self.exchange: Exchange = self.bridge.started[0]
        context = new_context(options())
        self.rig.client = context.client
        self.rig.layer = self.layer = BackgroundLayer(
            context, self.rig.service, OwnFlows(), self.rig.traffic, self.rig.sockets, self.exchange, self.response_id
        )

    def begins(self) -> None:
        self.rig.happens(events.Start())


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    store = SqliteStore(None, limits=Limits(), now=lambda: 1_000.0)
    yield Work(tmp_path, FlakyStore(store))
    store.close()


def test_it_is_carried_out_to_its_end(work: Work) -> None:
    work.begins()
    assert work.rig.traffic.under_way == 1
    server = work.rig.connects()
    work.rig.answers(server, HEAD + chunked(CHUNK))
    assert work.bridge.status(work.response_id) == "in_progress"
    assert not work.layer.done.is_set()
    work.rig.answers(server, chunked(STOP) + LAST)

    assert work.bridge.status(work.response_id) == "completed"
    assert work.layer.done.is_set()
    assert work.rig.traffic.under_way == 0
    assert work.rig.heard == b""


def test_its_flow_can_be_seen(work: Work) -> None:
    seen: list[http.HTTPFlow] = []
    work.rig.hold = lambda hook: seen.append(hook.args()[0]) is not None
    work.begins()

    assert seen[0].request.url == "https://api.openai.com/v1/responses"
    assert seen[0].request.headers["x-bridge-background"] == work.response_id
    assert seen[0].comment.startswith("bridge: gpt-5 -> ")


def test_its_flow_is_killed(work: Work) -> None:
    def kill(hook: commands.StartHook) -> bool:
        if hook.name == "responseheaders":
            hook.args()[0].kill()
        return False

    work.rig.hold = kill
    work.begins()

    assert work.bridge.status(work.response_id) == "failed"
    assert work.layer.done.is_set()


def test_it_is_cancelled_while_the_provider_is_silent(work: Work) -> None:
    work.begins()
    work.rig.connects()
    work.bridge.ask("POST", f"/{work.response_id}/cancel")
    work.rig.passes(5)

    assert work.exchange.over
    assert work.rig.closed
    assert work.layer.done.is_set()


def test_a_proxy_of_mitmproxy_leads_to_its_provider() -> None:
    through = options()
    through.update(mode=["upstream:http://127.0.0.1:3128"])
    assert new_context(through).server.via == ("http", ("127.0.0.1", 3128))
    assert new_context(options()).server.via is None


class Handler(ConnectionHandler):
    """Takes note of what its layers are told."""

    def __init__(self) -> None:
        super().__init__(new_context(options()))
        self.told: list[events.Event] = []

    async def server_event(self, event: events.Event) -> None:
        self.told.append(event)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        raise AssertionError("no hook is expected")


@pytest.mark.parametrize("early", [True, False])
def test_a_layer_is_woken(early: bool) -> None:
    async def wait() -> list[events.Event]:
        connections, handler = Connections(None), Handler()
        connections.let_wake_early(handler)
        request = commands.RequestWakeup(3600 if early else 0)
        task = asyncio.create_task(handler.wakeup(request))
        handler.wakeup_timer.add(task)
        if early:
            connections.wake(request)  # also before the task has come to it
        await task
        assert handler.wakeup_timer == set()
        return handler.told

    (told,) = asyncio.run(wait())
    assert isinstance(told, events.Wakeup)
