"""TLS sessions with providers, taken up again by later connections: no certificates are sent and checked anew."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from mitmproxy import tls
from mitmproxy.connection import Address, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL

from addon.proxy.layer import BridgeLayer

MOST = 64
"""Servers whose sessions are kept."""

_Place: TypeAlias = tuple[SSL.Context, Address | None, str | None]
"""A session is good for the same server, asked for by the same name, under the same settings."""


class Sessions:
    """Keeps the last session with each server.

    It is an addon of its own, since it comes after mitmproxy's, which makes the TLS connections.
    """

    name = "responses-bridge-sessions"

    def __init__(self) -> None:
        self._kept: OrderedDict[_Place, SSL.Session] = OrderedDict()
        self._open: dict[str, SSL.Connection] = {}
        """By the ids of the connections."""

    def tls_start_server(self, data: tls.TlsData) -> None:
        server, connection = data.conn, data.ssl_conn
        ours = any(isinstance(above, BridgeLayer) for above in data.context.layers)
        # Of a connection that goes through another one mitmproxy does not say when it has ended.
        if not ours or connection is None or not isinstance(server, Server) or server.via is not None:
            return
        self._open[server.id] = connection
        session = self._kept.get(_place(connection, server))
        if session is not None:
            connection.set_session(session)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        """Servers send what is needed to take up a session some time after it has begun."""
        connection = self._open.pop(data.server.id, None)
        session = connection.get_session() if connection is not None and data.server.tls_established else None
        if connection is None or session is None:
            return
        place = _place(connection, data.server)
        self._kept[place] = session
        self._kept.move_to_end(place)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _place(connection: SSL.Connection, server: Server) -> _Place:
    return connection.get_context(), server.address, server.sni
