"""Exchanges without a client, carried out by the same layer as all others: with its connections, hooks and limits.

In the place of a client's connection there is a stand-in, which makes one request and listens to the answer. That is
how mitmproxy itself replays requests (`mitmproxy/addons/clientplayback.py`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from types import TracebackType
from typing import Literal

from mitmproxy import ctx, flow, http
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    HttpConnection,
    ReceiveHttp,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.proxy.mode_specs import ProxyMode, UpstreamMode
from mitmproxy.proxy.server import ConnectionHandler

from addon.exchange import Exchange
from addon.proxy.connections import Connections
from addon.proxy.flows import OwnFlows
from addon.proxy.layer import BridgeLayer, BridgeStream
from addon.proxy.messages import FromAttempt
from addon.proxy.switchboard import Switchboard
from addon.proxy.traffic import Traffic
from addon.service import Plan, Service

logger = logging.getLogger("responses_bridge")

HOST = "api.openai.com"
NOWHERE = ("127.0.0.1", 0)

STREAM = 1
"""The one stream of the stand-in."""


class BackgroundCalls:
    """Carries out exchanges that nobody waits for."""

    def __init__(self, own_flows: OwnFlows, traffic: Traffic, connections: Connections) -> None:
        self._own_flows = own_flows
        self._traffic = traffic
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, service: Service, exchange: Exchange, response_id: str) -> None:
        """Begin as soon as the event loop comes to it."""
        at = new_context(ctx.options)
        work = BackgroundLayer(at, service, self._own_flows, self._traffic, self._connections, exchange, response_id)
        task = asyncio.get_running_loop().create_task(self._run(BackgroundHandler(at, work), exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, handler: BackgroundHandler, exchange: Exchange) -> None:
        self._connections.let_wake_early(handler)
        try:
            await handler.run()
        finally:
            if not exchange.over:  # an addon has answered in its place, or killed it
                exchange.client_gone()


def new_context(options: Options) -> Context:
    """Of a connection to the original host, by way of mitmproxy's own proxy if there is one."""
    client = Client(peername=NOWHERE, sockname=NOWHERE, timestamp_start=time.time())
    client.state = ConnectionState.OPEN
    client.sni = HOST
    context = Context(client, options)
    context.server = Server(address=(HOST, 443))
    context.server.tls = True
    mode = ProxyMode.parse(options.mode[0]) if options.mode else None
    if isinstance(mode, UpstreamMode):
        context.server.via = (mode.scheme, mode.address)
    return context


class BackgroundLayer(BridgeLayer):
    """A connection without a client, on which one exchange is carried out.

    Its `done` is set when the exchange and all calls of providers are over.
    """

    def __init__(
        self,
        context: Context,
        service: Service,
        own_flows: OwnFlows,
        traffic: Traffic,
        connections: Connections,
        exchange: Exchange,
        response_id: str,
    ) -> None:
        super().__init__(context, service, own_flows, traffic, connections)
        self.done = asyncio.Event()
        self._exchange = exchange
        self._stand_in = StandIn(context.fork(), response_id)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if self._stand_in.has_heard_all and not self._attempts:
            self.done.set()

    def _client_connection(self) -> HttpConnection:
        return self._stand_in

    def _new_stream(self, stream_id: int) -> BridgeStream:
        return BackgroundStream(self.context.fork(), stream_id, self, self._own_flows, self._exchange)


class BackgroundStream(BridgeStream):
    """The stream of an exchange that is there already."""

    def __init__(
        self, context: Context, stream_id: int, board: Switchboard, own_flows: OwnFlows, exchange: Exchange
    ) -> None:
        super().__init__(context, stream_id, board, own_flows)
        self._planned = exchange

    def _plan(self) -> Plan:
        return self._planned

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if isinstance(event, FromAttempt):
            self._set_alarm()  # what the provider has said is to be written before long


class StandIn(HttpConnection):
    """A client that makes one call, for people to see, and does nothing with the answer."""

    def __init__(self, context: Context, response_id: str) -> None:
        super().__init__(context, context.client)
        self.has_heard_all = False
        self._response_id = response_id

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            headers = http.Headers(host=HOST, x_bridge_background=self._response_id)
            request = http.Request.make("POST", f"https://{HOST}/v1/responses", headers=headers)
            request.timestamp_start = request.timestamp_end = time.time()
            yield ReceiveHttp(RequestHeaders(STREAM, request, end_stream=True))
            yield ReceiveHttp(RequestEndOfMessage(STREAM))
        elif isinstance(event, (ResponseEndOfMessage, ResponseProtocolError)):
            self.has_heard_all = True


class BackgroundHandler(ConnectionHandler):
    """What mitmproxy has for each connection of a client, without one."""

    def __init__(self, context: Context, work: BackgroundLayer) -> None:
        super().__init__(context)
        self.layer = work
        self._done = work.done

    async def run(self) -> None:
        """Returns when all is over, and all connections are closed."""
        await self.server_event(events.Start())
        await self._done.wait()
        for timer in self.wakeup_timer:
            timer.cancel()
        self.client.state = ConnectionState.CLOSED
        closing = []
        for connection, transport in self.transports.items():
            if transport.handler is not None:
                closing.append(transport.handler)
                if connection.state is not ConnectionState.CLOSED:  # told twice to close, it would stay open
                    transport.handler.cancel("the call is over")
        if closing:
            await asyncio.wait(closing)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        (data,) = hook.args()
        await ctx.master.addons.handle_lifecycle(hook)
        if isinstance(data, flow.Flow):
            await data.wait_for_resume()

    def log(
        self,
        message: str,
        level: int = logging.INFO,
        exc_info: Literal[True]
        | tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None]
        | None = None,
    ) -> None:
        logger.log(level if level >= logging.WARNING else logging.DEBUG, "%s", message, exc_info=exc_info)
