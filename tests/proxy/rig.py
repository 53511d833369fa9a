"""A `BridgeLayer` without a proxy around it: events go in, commands come out, and time is told by hand.

Hooks are answered at once, unless they are held. Connections come to stand when the test says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context

from addon.config import LiveConfig, load_config
from addon.health import Health
from addon.proxy.connections import Connections
from addon.proxy.flows import OwnFlows
from addon.proxy.layer import BridgeLayer
from addon.proxy.traffic import Traffic
from addon.selection import Selection
from addon.service import Service
from addon.store.learned import Learned
from addon.tries import Experience
from tests.test_health import Clock

CONFIG = "providers: {acme: {base_url: 'http://acme.test/v1', api_key: none, profile: generic%s}}\n"


class Sockets(Connections):
    """What waits to be sent to the client is for the test to say."""

    def __init__(self) -> None:
        super().__init__(None)
        self.waiting = 0
        self.dropped: list[Client] = []

    def unsent(self, client: Client) -> int:
        return self.waiting

    def abort(self, client: Client) -> None:
        self.dropped.append(client)


def options() -> Options:
    options = Options()
    for name, kind, default in (
        ("store_streamed_bodies", bool, False),
        ("validate_inbound_headers", bool, True),
        ("normalize_outbound_headers", bool, True),
        ("http_connect_send_host_header", bool, True),
        ("proxy_debug", bool, False),
        ("body_size_limit", str, ""),
        ("stream_large_bodies", str, ""),
    ):
        options.add_option(name, kind, default, "")
    return options


def service_of(folder: Path, clock: Clock, text: str) -> Service:
    path = folder / "bridge.yaml"
    path.write_text(text)
    learned = Learned(None, now=clock, valid=lambda overrides: True)
    return Service(
        LiveConfig(lambda: load_config(path, {}), [path]),
        ids=lambda prefix: f"{prefix}_1",
        now=clock,
        state_key=lambda: b"k" * 32,
        experience=Experience(learned, Selection(Health(clock), lambda: 0.0), clock),
    )


@dataclass
class Rig:
    """One connection of a client, on which a layer is at work."""

    folder: Path
    provider: str = ""
    """Further keys of the provider, as YAML, each with a comma before it."""
    config: str = ""
    """Further keys of the configuration."""
    traffic: Traffic = field(default_factory=Traffic)
    clock: Clock = field(default_factory=Clock)
    alpn: bytes = b"http/1.1"
    hold: Callable[[commands.StartHook], bool] = lambda hook: False
    """Which hooks are not answered."""

    def __post_init__(self) -> None:
        self.client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
        self.client.state = ConnectionState.OPEN
        self.client.alpn = self.alpn
        self.service = service_of(self.folder, self.clock, CONFIG % self.provider + self.config)
        config = self.service.config
        assert config is not None
        self.traffic.configure(config)
        self.sockets = Sockets()
        context = Context(self.client, options())
        context.server = Server(address=("api.openai.com", 443))
        self.layer = BridgeLayer(context, self.service, OwnFlows(), self.traffic, self.sockets)
        self.sent: dict[Connection, bytes] = {}
        self.opening: list[commands.OpenConnection] = []
        self.closed: list[Connection] = []
        self.held: list[commands.StartHook] = []
        self.hooks: list[str] = []
        self.wakeups: list[tuple[float, commands.RequestWakeup]] = []
        self.happens(events.Start())

    # --- what happens

    def happens(self, event: events.Event) -> None:
        """Something happens, and the layer does what it does."""
        for command in self.layer.handle_event(event):
            self._carry_out(command)

    def _carry_out(self, command: commands.Command) -> None:
        match command:
            case commands.SendData(connection=to, data=data):
                self.sent[to] = self.sent.get(to, b"") + data
            case commands.OpenConnection():
                self.opening.append(command)
            case commands.CloseConnection(connection=connection):
                self.closed.append(connection)
                connection.state = ConnectionState.CLOSED
            case commands.RequestWakeup():
                self.wakeups.append((self.clock.time + command.delay, command))
            case commands.StartHook():
                self.hooks.append(command.name)
                if self.hold(command):
                    self.held.append(command)
                elif command.blocking:
                    self.happens(events.HookCompleted(command))

    def passes(self, seconds: float) -> None:
        """Time passes, and wakes the layer whenever it has asked for it."""
        end = self.clock.time + seconds
        while due := [each for each in self.wakeups if each[0] <= end]:
            at, command = min(due, key=lambda each: each[0])
            self.wakeups.remove((at, command))
            self.clock.time = max(self.clock.time, at)
            self.happens(events.Wakeup(command))
        self.clock.time = end

    # --- the client

    def calls(self, *, stream: bool = True, model: str = "m") -> None:
        body = json.dumps({"model": model, "input": "Hi", "stream": stream}).encode()
        head = f"POST /v1/responses HTTP/1.1\r\nhost: api.openai.com\r\ncontent-length: {len(body)}\r\n\r\n"
        self.says(head.encode() + body)

    def says(self, data: bytes) -> None:
        self.happens(events.DataReceived(self.client, data))

    def goes(self) -> None:
        self.client.state = ConnectionState.CLOSED
        self.happens(events.ConnectionClosed(self.client))

    @property
    def heard(self) -> bytes:
        """All that the client was sent."""
        return self.sent.get(self.client, b"")

    # --- the provider

    def connects(self, error: str | None = None) -> Server:
        """The oldest connection that is being opened stands, or has failed."""
        command = self.opening.pop(0)
        server = command.connection
        assert isinstance(server, Server)
        if error is None:
            server.state = ConnectionState.OPEN
            server.timestamp_start = server.timestamp_tcp_setup = 0.0
        else:
            server.error = error
        self.happens(events.OpenConnectionCompleted(command, error))
        return server

    def answers(self, server: Server, data: bytes) -> None:
        self.happens(events.DataReceived(server, data))

    def hangs_up(self, server: Server) -> None:
        server.state = ConnectionState.CLOSED
        self.happens(events.ConnectionClosed(server))

    # --- what is left

    def lets_go(self) -> None:
        """Hooks that were held are answered."""
        held, self.held = self.held, []
        for hook in held:
            self.happens(events.HookCompleted(hook))

    def assert_nothing_left(self, *, kept: int = 0) -> None:
        """No call, no attempt, no alarm; `kept` connections of providers, to be used again."""
        assert self.layer.streams == {}
        assert self.layer._attempts == {}
        assert self.layer._alarms == {}
        assert self.layer._unwanted == set()
        assert len(self.layer.connections) == 1 + kept
        assert (self.traffic.under_way, self.traffic.turns.running, self.traffic.turns.waiting) == (0, 0, 0)


def waits_for_turn(hook: commands.StartHook) -> bool:
    """The hook in which an attempt waits for its turn: the second `requestheaders`, after that of the client's flow."""
    return hook.name == "requestheaders" and "chat/completions" in hook.args()[0].request.path
