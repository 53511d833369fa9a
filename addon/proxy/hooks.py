"""class Bridge: the addon. Options, and the hooks that put the bridge's layer in its place."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import re
import time
import uuid
from pathlib import Path

from mitmproxy import ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.proxy import layer, mode_specs
from mitmproxy.proxy.layers import ClientQuicLayer, ClientTLSLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addon.config import Config, LiveConfig, config_candidates, find_config, load_config
from addon.exchange import Exchange
from addon.experience import experience_with, learned_in
from addon.health import Health
from addon.proxy.background import BackgroundCalls
from addon.proxy.closing import Closing
from addon.proxy.connections import Connections
from addon.proxy.flows import Guard
from addon.proxy.layer import BridgeLayer
from addon.proxy.sessions import Sessions
from addon.service import Service, printable
from addon.state import stores_in
from addon.store.secret import signing_key, state_dir

logger = logging.getLogger("responses_bridge")

SECONDS_BETWEEN_LOOKS = 1.0
"""How often the configuration file is looked at while no call comes."""

LISTEN_HOST = "127.0.0.1"

_OVERRIDES = ("provider", "model", "base_url")


class Bridge:
    """Answers OpenAI's Responses API on intercepted connections by way of chat/completions providers."""

    name = "responses-bridge"

    def __init__(self) -> None:
        self._guard = Guard()
        self._service: Service | None = None
        self._connections = Connections(None)
        self._background: BackgroundCalls | None = None
        self._watch: asyncio.Task[None] | None = None

    # --- life

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "bridge_config",
            str,
            "",
            "The bridge's configuration file. Default: $BRIDGE_CONFIG, ./bridge.yaml, "
            "~/.config/responses-bridge/bridge.yaml.",
        )
        loader.add_option(
            "bridge_provider",
            str,
            "",
            "The provider that serves every model: a built-in one, or one of the configuration file.",
        )
        loader.add_option("bridge_model", str, "", "The provider's model that serves every call.")
        loader.add_option(
            "bridge_base_url",
            str,
            "",
            "Base URL of an OpenAI-compatible provider, for example http://127.0.0.1:8000/v1.",
        )
        standing = ctx.master.addons.get(Guard.name)
        server = ctx.master.addons.get("proxyserver")
        if isinstance(server, Proxyserver):
            self._connections = Connections(server)
        if standing is not None:
            # The guard of an earlier load of this file. Connections that were open then go on under ours.
            self._guard.own_flows = standing.own_flows
            self._guard.options = standing.options
            self._guard.traffic = standing.traffic
            ctx.master.addons.remove(standing)
            ctx.master.addons.remove(ctx.master.addons.get(Sessions.name))
            gc.unfreeze()
        ctx.master.addons.add(self._guard, Sessions())

    def configure(self, updated: set[str]) -> None:
        options = {"bridge_config", *(f"bridge_{name}" for name in _OVERRIDES)}
        if self._service is None or options & updated:
            self._configure()

    def running(self) -> None:
        """Not a coroutine: where the script is loaded again mitmproxy cannot wait for one, and would give up on it."""
        loop = asyncio.get_running_loop()
        Closing(self._guard.traffic, self._connections, self._grace).listen(loop)
        self._watch = loop.create_task(self._run())

    def done(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    def _grace(self) -> tuple[float, float]:
        """Now, and how many seconds calls under way have left to end, if the bridge were to stop."""
        config = (self._service.config if self._service is not None else None) or Config()
        clock = self._service.clock if self._service is not None else time.monotonic
        return clock(), config.shutdown_grace_s

    def _configure(self) -> None:
        overrides = {name: value for name in _OVERRIDES if (value := str(getattr(ctx.options, f"bridge_{name}")))}
        chosen, env, cwd, home = str(ctx.options.bridge_config), dict(os.environ), Path.cwd(), Path.home()
        live = LiveConfig(
            lambda: load_config(find_config(chosen, env, cwd, home), env, overrides),
            config_candidates(env, cwd, home, chosen),
        )
        problem = live.take_report() if live.current is None else None
        if problem is not None and self._service is not None:
            raise exceptions.OptionsError(f"responses-bridge: {problem} The configuration before holds.")
        if problem is not None:
            # An error in the log at the start is what ends mitmproxy; an exception would add a traceback to it.
            logger.error("responses-bridge: %s", problem)
        key = functools.cache(lambda: signing_key(state_dir(env, home)))
        experience = experience_with(learned_in(state_dir(env, home)), Health(time.time, self._tell))
        self._service = Service(
            live,
            ids=_new_id,
            now=time.time,
            state_key=key,
            experience=experience,
            open_store=stores_in(state_dir(env, home)),
            start=self._start_in_background,
        )
        self._guard.traffic.jobs.add(self._service.jobs)
        self._take_up()

    def _start_in_background(self, exchange: Exchange, response_id: str) -> None:
        if self._service is not None:
            guard = self._guard
            self._background = self._background or BackgroundCalls(guard.own_flows, guard.traffic, self._connections)
            self._background.start(self._service, exchange, response_id)

    def _tell(self, level: int, message: str) -> None:
        """What becomes of targets. Parts of it are a client's or a provider's words."""
        if self._service is not None:
            logger.log(level, "%s", printable(self._service.hide(message)))

    async def _run(self) -> None:
        # What is loaded now stays. Left in the collector's sight it would be walked for 0.1 s every few large calls.
        gc.collect()
        gc.freeze()
        if "listen_host" in self._guard.options:
            await _listen_again()
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                self._take_up()
            except Exception:
                logger.exception("The configuration could not be looked at; it will be tried again.")
            try:
                await self._share()
            except Exception:
                logger.exception("What other bridges know could not be had; it will be tried again.")
            try:
                self._guard.traffic.look_after_jobs()
            except Exception:
                logger.exception("What is made in the background could not be looked after; it will be tried again.")

    async def _share(self) -> None:
        if self._service is not None:
            await self._service.share()

    def _take_up(self) -> None:
        """Put the configuration in force into mitmproxy's options, unless the user has set those."""
        config = self._service.refresh() if self._service is not None else None
        if config is not None:
            self._guard.intercepts = config.intercepts
            self._guard.traffic.configure(config)
        config = config or Config()
        wanted: dict[str, object] = {
            "connection_strategy": "lazy",  # else CONNECT fails wherever the original host is out of reach
            "upstream_cert": False,  # likewise: a certificate is made without asking it for its own
            "listen_host": LISTEN_HOST,
            "allow_hosts": _allow_hosts(config),
        }
        for name, value in wanted.items():
            mine = name in self._guard.options or not ctx.options.has_changed(name)
            if mine and getattr(ctx.options, name) != value:
                self._guard.options.add(name)
                ctx.options.update(**{name: value})

    # --- connections

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Offer HTTP/1.1 where the client takes it.

        mitmproxy opens five connections per client connection and server at most, and HTTP/2 clients put all their
        calls on one connection: with a provider that speaks HTTP/1.1 the sixth call would wait for the first to end.
        """
        client = data.context.client
        if self._is_ours(client.sni, data.context.server.address) and b"http/1.1" in client.alpn_offers:
            client.alpn = b"http/1.1"

    def tls_start_server(self, data: tls.TlsData) -> None:
        """What is offered to a provider is for its configuration to say, whatever the client offered."""
        for above in data.context.layers:
            if isinstance(above, BridgeLayer):
                h2 = [b"h2"] if above.offers_http2(data.context.server.address) else []
                data.conn.alpn_offers = [*h2, b"http/1.1"] if data.conn is data.context.server else [b"http/1.1"]

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        context = nextlayer.context
        if not isinstance(context.layers[-1], (ClientTLSLayer, ClientQuicLayer)) or not context.client.tls_established:
            return
        if self._service is not None and self._is_ours(context.client.sni, context.server.address):
            self._connections.take(context.client)
            nextlayer.layer = BridgeLayer(
                context, self._service, self._guard.own_flows, self._guard.traffic, self._connections
            )

    def client_connected(self, client: Client) -> None:
        self._connections.mend(client)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        if self._is_ours(data.client.sni, None):
            self._connections.opened(data.client, data.server)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self._connections.closed(data.server)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The first hook of each call of a provider is where it waits while too many others run."""
        await self._guard.traffic.wait_for_turn(flow)

    def _is_ours(self, sni: str | None, address: tuple[str, int] | None) -> bool:
        config = (self._service.config if self._service is not None else None) or Config()
        return sni is not None and config.intercepts(sni, address[1] if address else 443)


async def _listen_again() -> None:
    """mitmproxy opens its ports while it loads scripts, so perhaps on all interfaces: open those again on ours."""
    server = ctx.master.addons.get("proxyserver")
    modes = [mode_specs.ProxyMode.parse(spec) for spec in ctx.options.mode]
    by_option = (mode_specs.RegularMode, mode_specs.UpstreamMode, mode_specs.TransparentMode, mode_specs.Socks5Mode)
    if isinstance(server, Proxyserver) and any(address[0] != LISTEN_HOST for address in server.listen_addrs()):
        await server.servers.update([mode for mode in modes if not isinstance(mode, by_option)])
        await server.servers.update(modes)


def _allow_hosts(config: Config) -> list[str]:
    """The intercepted hosts as the regular expressions of mitmproxy's option, which sees `host:port`."""
    return [_pattern(host) for host in config.hosts]


def _pattern(host: str) -> str:
    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
    wild, name = name.startswith("*."), name.removeprefix("*.")
    return rf"^{'.+[.]' if wild else ''}{re.escape(name)}:{port or '[0-9]+'}$"


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
