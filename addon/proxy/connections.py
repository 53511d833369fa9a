"""mitmproxy's handlers of connections, where the bridge wants them otherwise: what is written, and what is waited for.

mitmproxy reads from no connection of a client, provider or otherwise, while any of them has more than 64 KiB to be
written. That is how a client that reads slowly slows its provider down. But a provider that does not take a request
would hold up the client's other calls, and its going would not be noticed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from weakref import WeakSet

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.server import ConnectionHandler

UNLIMITED = 1 << 40


class Connections:
    """Finds the handlers of mitmproxy's connections. Without a server there are none, and nothing is done."""

    def __init__(self, server: Proxyserver | None) -> None:
        self._server = server
        self._clients: WeakSet[Client] = WeakSet()
        self._writers: dict[str, asyncio.StreamWriter] = {}
        """Of the connections to providers, by their ids."""
        self._early: dict[commands.RequestWakeup, asyncio.Event] = {}
        """What ends the wait for a wake-up before its time."""

    def unsent(self, client: Client) -> int:
        """Bytes written to a client that it has not taken."""
        writer = self._writer(client)
        return 0 if writer is None else writer.transport.get_write_buffer_size()

    def unsent_in_all(self) -> int:
        """Bytes that the bridge's clients have not taken."""
        return sum(map(self.unsent, list(self._clients)))

    def abort(self, client: Client) -> None:
        """Drop the connection of a client, and what was not sent."""
        writer = self._writer(client)
        if writer is not None:
            writer.transport.abort()

    def mend(self, client: Client) -> None:
        """See to it that what belongs to a connection ends with it.

        mitmproxy cancels the task that reads a connection to close it. If that just waits to hand on what it has read,
        the socket stays open, and nobody is told that it is no longer read.
        """
        handler = self._handler(client)
        if handler is None:
            return
        read = handler.handle_connection

        async def read_and_close(connection: Connection) -> None:
            try:
                await read(connection)
            except asyncio.CancelledError:
                if connection in handler.transports:
                    connection.state = ConnectionState.CLOSED
                    await handler.server_event(events.ConnectionClosed(connection))
                    writer = handler.transports.pop(connection).writer
                    if writer is not None:
                        writer.close()
                raise

        handler.handle_connection = read_and_close  # type: ignore[method-assign]

    def take(self, client: Client) -> None:
        """It is one of the bridge's. It may have as many connections to one provider as it has calls, not five."""
        self._clients.add(client)
        handler = self._handler(client)
        if handler is not None:
            self.let_wake_early(handler)
            handler.max_conns = defaultdict(lambda: asyncio.Semaphore(UNLIMITED))

    @property
    def clients(self) -> int:
        """Connections of clients, the bridge's and all others."""
        return 0 if self._server is None else len(self._server.connections)

    def close_all(self) -> None:
        """Say good-bye to all clients."""
        handlers = [] if self._server is None else list(self._server.connections.values())
        for handler in handlers:
            writer = self._writer(handler.client)
            if writer is not None:
                writer.close()

    def opened(self, client: Client, server: Server) -> None:
        """A request is in memory in any case: nobody need wait until its provider has taken all of it."""
        handler = self._handler(client)
        writer = handler.transports[server].writer if handler is not None and server in handler.transports else None
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.set_write_buffer_limits(high=UNLIMITED)
            self._writers[server.id] = writer

    def closed(self, server: Server) -> None:
        """What its provider did not take is dropped: the connection would stay open for it, perhaps for ever."""
        writer = self._writers.pop(server.id, None)
        if writer is not None and writer.transport.get_write_buffer_size():
            writer.transport.abort()

    def wake(self, request: commands.RequestWakeup) -> None:
        """Do now what a layer has asked for later, on a connection whose wake-ups can be early."""
        self._early.setdefault(request, asyncio.Event()).set()

    def let_wake_early(self, handler: ConnectionHandler) -> None:
        """mitmproxy has no other way to tell the layers of a connection of what has happened elsewhere."""

        async def wakeup(request: commands.RequestWakeup) -> None:
            try:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._early.setdefault(request, asyncio.Event()).wait(), request.delay)
            finally:  # also when the client has gone
                self._early.pop(request, None)
            task = asyncio.current_task()
            assert task is not None
            handler.wakeup_timer.discard(task)
            await handler.server_event(events.Wakeup(request))

        handler.wakeup = wakeup  # type: ignore[method-assign]

    def _handler(self, client: Client) -> ConnectionHandler | None:
        return None if self._server is None else self._server.connections.get(client.id)

    def _writer(self, client: Client) -> asyncio.StreamWriter | None:
        handler = self._handler(client)
        writer = handler.transports[client].writer if handler is not None and client in handler.transports else None
        return writer if isinstance(writer, asyncio.StreamWriter) else None
