"""AttemptStream: one call of a provider, as a flow of its own in mitmproxy.

It shows up in mitmweb, dumps and HAR files beside the client's flow, other addons see it, and it can be intercepted and
edited. The provider's key is put on a copy of the request, made when it is written to the connection.
"""

from __future__ import annotations

import time
from contextlib import suppress
from urllib.parse import urlsplit

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Connection, ConnectionState, Server
from mitmproxy.net.http import url as mitmurl
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)

from addon.actions import Attempt
from addon.proxy.messages import (
    AttemptBegins,
    AttemptCancelled,
    AttemptUnwanted,
    Tick,
    UpstreamAlive,
    UpstreamBegins,
    UpstreamBusy,
    UpstreamConnected,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
    UpstreamQueued,
)
from addon.proxy.switchboard import Switchboard
from addon.proxy.turns import Turn
from addon.proxy.versions import request_cancelled
from addon.routing import HIDDEN
from addon.wire.encoding import BadEncoding, TooLarge, UnknownEncoding, decode

DRAINED = 64 * 1024
"""Bytes read of an answer nobody waits for, to keep its connection; beyond that it is closed."""

SECRET = 8
"""A key below this length, such as the `EMPTY` of a local server, is no secret, and may be a word of the answer."""

READ_FOR_KEYS = 16 * 1024 * 1024
"""Decoded bytes of a compressed answer that are searched for the key."""


class AttemptStream(layer.Layer):
    """Sends one request to a provider and posts what comes back to the stream of the client.

    Args:
        client_id: the client's stream.
        again: another attempt has been made for the same call.
    """

    def __init__(
        self, context: Context, stream_id: int, attempt: Attempt, client_id: int, board: Switchboard, *, again: bool
    ) -> None:
        super().__init__(context)
        self.stream_id = stream_id
        self.connection: Connection | None = None
        """Where the request has been sent."""
        self._attempt = attempt
        self._client_id = client_id
        self._board = board
        self._again = again
        self._turn: Turn | None = None
        self._began = 0.0
        self._streams = False
        self._body: list[bytes] = []
        self._size = 0
        self._drained: int | None = None
        self._resent = False
        self._over = False
        self.flow = self._new_flow()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._over:
            return
        match event:
            case events.Start():
                pass
            case AttemptBegins():
                yield from self._send()
            case AttemptCancelled():
                yield from self._cancel(event.why)
            case AttemptUnwanted():
                yield from self._drain()
            case Tick():
                yield from self._cancel("the answer did not come to its end")
            case ResponseHeaders():
                yield from self._head(event)
            case ResponseData():
                yield from self._data(event.data)
            case ResponseEndOfMessage():
                yield from self._end()
            case ResponseProtocolError():
                yield from self._error(event.message)
            case _:  # trailers say nothing
                pass

    def _new_flow(self) -> http.HTTPFlow:
        attempt = self._attempt
        parts = urlsplit(attempt.url)
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        flow = http.HTTPFlow(self.context.client, Server(address=address))
        headers = {"host": mitmurl.hostport(parts.scheme, *address), **attempt.headers}
        if attempt.credential is not None:
            headers.update([attempt.credential.hidden()])
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        flow.request = http.Request.make("POST", attempt.url, attempt.body, http.Headers(fields))
        flow.comment = f"bridge: call of {attempt.label}"
        flow.live = True
        return flow

    # --- the request

    def give_back_turn(self) -> None:
        """Another call may run. If this one still waits for its turn, it wakes up, to see that it has been given up."""
        if self._turn is not None:
            self._board.traffic.turns.give_back(self._turn)
            self._turn = None

    def _send(self) -> layer.CommandGenerator[None]:
        if not self._resent:
            yield from self._wait_for_turn()
            if self._over or self._given_up():
                return
            self._began = self.flow.request.timestamp_start = self.flow.request.timestamp_end = time.time()
            yield HttpRequestHook(self.flow)
            if self._given_up():
                return
            if self._stopped():
                yield from self._error("the call was killed in the proxy")
                return
            if self.flow.response is not None:
                yield from self._answered_by_addon()
                return
        self._began = time.time()
        request = self.flow.request
        connection, problem = yield GetHttpConnection(
            (request.host, request.port), request.scheme == "https", self._via()
        )
        if self._given_up():
            return
        if connection is None:
            yield from self._error(problem)
            return
        self.connection = self.flow.server_conn = connection
        wire = self._with_credential(request)
        content = wire.raw_content or b""
        yield SendHttp(RequestHeaders(self.stream_id, wire, end_stream=not content), connection)
        self._post(UpstreamConnected(self.stream_id))
        if content:
            yield SendHttp(RequestData(self.stream_id, content), connection)
        yield SendHttp(RequestEndOfMessage(self.stream_id), connection)

    def _wait_for_turn(self) -> layer.CommandGenerator[None]:
        self.flow.request.timestamp_start = time.time()
        way, traffic = self._attempt.way, self._board.traffic
        turn = self._turn = traffic.turns.ask(self._attempt.provider, way.max_concurrent, again=self._again)
        if turn is None:
            self._post(UpstreamBusy(self.stream_id))
            yield from self._drop()
            return
        queued = turn.waits
        if queued:
            traffic.will_wait(self.flow, turn)
            self._post(UpstreamQueued(self.stream_id))
        yield HttpRequestHeadersHook(self.flow)
        if queued:
            self._post(UpstreamBegins(self.stream_id))

    def _via(self) -> ServerSpec | None:
        """The provider's proxy, else that of mitmproxy's upstream mode."""
        proxy = self._attempt.way.proxy
        if proxy is None:
            return self.context.server.via
        return "https" if proxy.scheme == "https" else "http", (proxy.host, proxy.port)

    def _given_up(self) -> bool:
        """A message says so, and will be delivered now that nothing is waited for."""
        return any(isinstance(event, (AttemptCancelled, AttemptUnwanted)) for event in self._paused_event_queue)

    def _with_credential(self, request: http.Request) -> http.Request:
        """The request as it goes on the wire. Sent elsewhere by hand or by an addon, it goes without the key."""
        wire = request.copy()
        credential = self._attempt.credential
        meant = urlsplit(self._attempt.url)
        here = urlsplit(request.url)
        if credential is not None and (here.scheme, here.netloc) == (meant.scheme, meant.netloc):
            name, value = credential.header()
            wire.headers[name] = value
        return wire

    def _answered_by_addon(self) -> layer.CommandGenerator[None]:
        yield HttpResponseHeadersHook(self.flow)
        yield from self._whole()

    # --- the answer

    def _head(self, event: ResponseHeaders) -> layer.CommandGenerator[None]:
        response = self.flow.response = event.response
        response.headers = http.Headers([(name, self._hide(value)) for name, value in response.headers.fields])
        self._streams = self._attempt.stream and 200 <= response.status_code < 300
        response.stream = self._streams
        yield HttpResponseHeadersHook(self.flow)
        if self._stopped():
            yield from self._cancel("the call was killed in the proxy")
            self._post(UpstreamLost(self.stream_id, "the call was killed in the proxy"))
        elif self._streams:
            self._post(UpstreamHead(self.stream_id, response.status_code, _headers(response)))
        else:
            self._post(UpstreamAlive(self.stream_id))

    def _data(self, data: bytes) -> layer.CommandGenerator[None]:
        self._body.append(data)
        self._size += len(data)
        if self._drained is not None:
            self._drained += len(data)
            if self._drained > DRAINED:
                yield from self._cancel("the answer went on after its end")
        elif self._streams:
            self._post(UpstreamData(self.stream_id, data))
        elif self._size > self._board.service.limits.answer_bytes:
            self._post_whole(b"".join(self._body))  # an error is read, and anything else found to be too long
            yield from self._cancel("the answer is too long")
        else:
            self._post(UpstreamAlive(self.stream_id))

    def _end(self) -> layer.CommandGenerator[None]:
        assert self.flow.response is not None
        self._over = True
        self.flow.response.timestamp_end = time.time()
        self._record_body(self.flow.response)
        if self._streams:
            self._post(UpstreamEnd(self.stream_id))
            yield HttpResponseHook(self.flow)
            yield from self._drop()
        else:
            yield from self._whole()

    def _whole(self) -> layer.CommandGenerator[None]:
        """A whole answer is handed on after its hook has run: until then it may be edited."""
        response = self.flow.response
        assert response is not None
        self._over = True
        yield HttpResponseHook(self.flow)
        if self._stopped():
            self._post(UpstreamLost(self.stream_id, "the call was killed in the proxy"))
        else:
            self._post_whole(response.raw_content or b"")
        yield from self._drop()

    def _post_whole(self, body: bytes) -> None:
        response = self.flow.response
        assert response is not None
        self._post(UpstreamHead(self.stream_id, response.status_code, _headers(response)))
        self._post(UpstreamData(self.stream_id, body))
        self._post(UpstreamEnd(self.stream_id))

    # --- trouble

    def _error(self, message: str) -> layer.CommandGenerator[None]:
        if self._on_stale_connection():
            self._resent = True
            self.connection = None
            self._board.post(self.stream_id, AttemptBegins())
            return
        self._over = True
        self._record(message)
        self._post(UpstreamLost(self.stream_id, message))
        yield HttpErrorHook(self.flow)
        yield from self._drop()

    def _on_stale_connection(self) -> bool:
        """True if a kept connection was closed by the provider just as it was used again: nothing has been lost."""
        connection = self.connection
        if self._resent or connection is None or self.flow.response is not None:
            return False
        if connection.alpn == b"h2" and connection.connected:  # it refuses this one request
            return False
        return connection.timestamp_start is not None and connection.timestamp_start < self._began

    def _drain(self) -> layer.CommandGenerator[None]:
        """What is left of an answer is read for its connection's sake; what has not begun is not worth the wait."""
        if self.flow.response is None:
            yield from self._cancel("it is not needed any more")
        self._drained = 0

    def _cancel(self, why: str) -> layer.CommandGenerator[None]:
        self._over = True
        # Once the client's connection is closed mitmproxy closes all that belong to it; closed a second time before
        # that has been done, the socket would stay open until it is collected as garbage.
        if self.connection is not None and self.context.client.state is not ConnectionState.CLOSED:
            yield SendHttp(request_cancelled(self.stream_id, why), self.connection)
        if self.flow.response is not None and self._drained is not None:
            self._record_body(self.flow.response)
            yield HttpResponseHook(self.flow)
        else:
            self._record(why)
            yield HttpErrorHook(self.flow)
        yield from self._drop()

    def _record(self, message: str) -> None:
        if self.flow.response is not None:
            self._record_body(self.flow.response)
        if self.flow.error is None:
            self.flow.error = mitmflow.Error(self._hide(message.encode()).decode())

    def _record_body(self, response: http.Response) -> None:
        """What came, except for the key: some providers quote it in their errors."""
        body = b"".join(self._body)
        response.data.content = self._hide(body)
        with suppress(BadEncoding, TooLarge, UnknownEncoding):
            plain = decode(body, response.headers.get("content-encoding", ""), limit=READ_FOR_KEYS)
            if self._hide(plain) != plain:
                response.headers.pop("content-encoding", None)
                response.data.content = self._hide(plain)

    def _hide(self, text: bytes) -> bytes:
        credential = self._attempt.credential
        secret = credential.secret.get_secret_value().encode() if credential is not None else b""
        return text.replace(secret, HIDDEN.encode()) if len(secret) >= SECRET else text

    def _serves_once(self) -> bool:
        """mitmproxy makes a connection of its own for each call of an HTTP/2 client to an HTTP/1 server."""
        connection, client = self.connection, self.context.client
        is_open = connection is not None and connection.connected and client.state is not ConnectionState.CLOSED
        return is_open and client.alpn == b"h2" and connection is not None and connection.alpn != b"h2"

    def _stopped(self) -> bool:
        return self.flow.error is not None and self.flow.error.msg == mitmflow.Error.KILLED_MESSAGE

    def _post(self, message: events.Event) -> None:
        if self._drained is None:
            self._board.post(self._client_id, message)

    def _drop(self) -> layer.CommandGenerator[None]:
        self._over = True
        self.flow.live = False
        self.give_back_turn()
        self._board.attempt_over(self.stream_id)
        if self._serves_once() and self.connection is not None:
            yield SendHttp(request_cancelled(self.stream_id, "mitmproxy will not use it again"), self.connection)
        yield DropStream(self.stream_id)


def _headers(response: http.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
