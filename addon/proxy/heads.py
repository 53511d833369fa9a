"""HTTP/1 towards the client, with a limit to the head of a request, which mitmproxy would read for ever."""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._http1 import Http1Server

from addon.actions import Answer


class Http1ServerWithLimit(Http1Server):
    """HTTP/2 has such a limit of its own (64 KiB), set by the library that mitmproxy uses.

    Args:
        limit: bytes of a head.
        refusal: makes the answer to a longer one.
    """

    def __init__(self, context: Context, limit: int, refusal: Callable[[], Answer]) -> None:
        super().__init__(context)
        self._limit = limit
        self._refusal = refusal

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        yield from super().read_headers(event)
        if self.state == self.read_headers and len(self.buf) > self._limit:
            answer = self._refusal()
            response = http.Response.make(answer.status, answer.body, {**answer.headers, "connection": "close"})
            yield commands.SendData(self.conn, http1.assemble_response(response))
            yield commands.CloseConnection(self.conn)
            self.state = self.done
