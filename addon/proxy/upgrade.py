"""HTTP/2 towards the client, with extended CONNECT (RFC 8441) refused as the bridge wants it."""

from __future__ import annotations

import h2.events
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http._http2 import Http2Server

from addon.endpoints import no_websocket


class Http2ServerWithConnect(Http2Server):
    """mitmproxy takes `:protocol` for an error of the connection, which a client that tries a WebSocket would lose."""

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        if isinstance(event, h2.events.RequestReceived) and event.stream_id is not None:
            names = {bytes(name): bytes(value) for name, value in event.headers or ()}
            if b":protocol" in names:
                yield from self._refuse(event.stream_id)
                return False
        return (yield from super().handle_h2_event(event))

    def _refuse(self, stream_id: int) -> layer.CommandGenerator[None]:
        answer = no_websocket()
        self.h2_conn.send_headers(
            stream_id,
            [
                (b":status", b"%d" % answer.status),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(answer.body)),
            ],
        )
        self.h2_conn.send_data(stream_id, answer.body, end_stream=True)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())
