"""BridgeLayer and BridgeStream: HTTP on an intercepted connection, answered by the bridge.

mitmproxy's own stream knows one request and one server. Ours plans the call instead of connecting to the original host,
and lets one or several attempts (`attempt.py`) run beside it, each a stream of its own with its own id. Streams never
call each other: they post messages, which the layer delivers when the current event has been dealt with. So no
connection is entered again while it is at work, and a stream that waits (for a hook, a connection) holds up no other.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    HttpErrorHook,
    HttpLayer,
    HTTPMode,
    HttpResponseHeadersHook,
    HttpStream,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)

from addon.exchange import Action, Answer, Attempt, ClientCall, Data, End, Exchange, Head
from addon.proxy.attempt import AttemptStream
from addon.proxy.flows import OwnFlows
from addon.proxy.messages import (
    AttemptBegins,
    AttemptCancelled,
    AttemptUnwanted,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from addon.proxy.switchboard import Switchboard
from addon.proxy.upgrade import Http2ServerWithConnect
from addon.service import Forward, Service, lower_case, printable

logger = logging.getLogger("responses_bridge")

FIRST_ATTEMPT_ID = 1 << 32
"""Stream ids of clients have 31 bits; attempts are numbered beyond them."""


class BridgeLayer(HttpLayer):
    """All that happens on one intercepted client connection, once its TLS is established."""

    def __init__(self, context: Context, service: Service, own_flows: OwnFlows) -> None:
        super().__init__(context, HTTPMode.transparent)
        self.service = service
        self._own_flows = own_flows
        self._mail: deque[tuple[int, events.Event]] = deque()
        self._ids = itertools.count(FIRST_ATTEMPT_ID)
        self._attempts: set[int] = set()
        self._unwanted: set[int] = set()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start) and self.context.client.alpn == b"h2":
            self.connections[self.context.client] = Http2ServerWithConnect(self.context.fork())
        yield from super()._handle_event(event)
        while self._mail:
            stream_id, message = self._mail.popleft()
            if stream_id in self.streams:
                yield from self.event_to_child(self.streams[stream_id], message)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        stream = BridgeStream(self.context.fork(), stream_id, self, self._own_flows)
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    # --- Switchboard

    def post(self, stream_id: int, message: events.Event) -> None:
        if isinstance(message, AttemptUnwanted):
            self._unwanted.add(stream_id)
        self._mail.append((stream_id, message))

    def open_attempt(self, attempt: Attempt, client_id: int) -> int:
        # A connection that still carries the rest of an answer would be offered for reuse.
        for leftover in self._unwanted & self._attempts:
            self.post(leftover, AttemptCancelled("the next call needs the connection"))
        self._unwanted.clear()
        stream_id = next(self._ids)
        stream = AttemptStream(self.context.fork(), stream_id, attempt, client_id, self)
        self._own_flows.add(stream.flow)
        self._attempts.add(stream_id)
        # The layer keys all streams by id, of whatever class they are.
        self.streams[stream_id] = cast(HttpStream, stream)
        self.post(stream_id, AttemptBegins())
        return stream_id

    def attempt_over(self, stream_id: int) -> None:
        self._attempts.discard(stream_id)
        self._unwanted.discard(stream_id)


class BridgeStream(HttpStream):
    """One call of the client. mitmproxy's stream reads it and fires its hooks; from there on it is ours."""

    def __init__(self, context: Context, stream_id: int, board: Switchboard, own_flows: OwnFlows) -> None:
        super().__init__(context, stream_id)
        self._board = board
        self._own_flows = own_flows
        self._exchange: Exchange | None = None
        self._attempt: int | None = None
        self._sent: list[bytes] = []
        self._answered = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        match event:
            case UpstreamHead() | UpstreamData() | UpstreamEnd() | UpstreamLost():
                if self._exchange is not None and event.attempt == self._attempt:
                    yield from self._act(self._told(self._exchange, event))
            case _:
                yield from super()._handle_event(event)

    # --- mitmproxy's stream, bent where it would turn to the original host

    def state_wait_for_request_headers(self, event: events.Event) -> layer.CommandGenerator[None]:
        for command in super().state_wait_for_request_headers(event):
            self._own_flows.add(self.flow)
            yield command

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """An addon or an option wants the body streamed to the original host. It is read as any other."""
        self.flow.request.stream = False
        self.client_state = self.state_consume_request_body
        yield from ()

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """The bridge has a limit of its own; mitmproxy's would stream large requests to the original host."""
        if not request:
            return (yield from super().check_body_size(request))
        if len(self.request_body_buf) <= self._board.service.body_limit:
            return False
        self.request_body_buf.clear()
        self.client_state = self._discard_request_body
        yield from self._answer(self._board.service.too_large())
        return True

    def _discard_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """The answer is out, and the client still sends. Many read an answer only when all was sent: let them end."""
        if isinstance(event, RequestEndOfMessage):
            self.client_state = self.state_done
            yield from self.flow_done()

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """The request is complete and nobody has answered it: decide what becomes of it."""
        plan = self._board.service.plan(_client_call(self.flow.request))
        match plan:
            case Forward():
                return (yield from super().make_server_connection())
            case Answer():
                yield from self._answer(plan)
            case Exchange():
                self._exchange = plan
                self.flow.comment = f"bridge: {printable(plan.record.model)} -> {plan.record.target}"
                yield from self._act(self._unless_it_fails(plan, plan.begin))
        return False

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        """While an exchange is under way only the client can fail here."""
        if self._exchange is None or self._answered:
            yield from super().handle_protocol_error(event)
            return
        self._answered = True
        self._exchange.client_gone()
        self._stop_attempt(AttemptCancelled("the client has gone"))
        self._board.service.report(self._exchange)
        self.client_state = self.server_state = self.state_errored
        self.flow.error = mitmflow.Error(event.message)
        self._record_body()
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    # --- the exchange

    def _told(
        self, exchange: Exchange, event: UpstreamHead | UpstreamData | UpstreamEnd | UpstreamLost
    ) -> list[Action]:
        match event:
            case UpstreamHead():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_head(event.status, event.headers))
            case UpstreamData():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_data(event.data))
            case UpstreamEnd():
                return self._unless_it_fails(exchange, exchange.upstream_end)
            case UpstreamLost():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_lost(event.message))

    def _unless_it_fails(self, exchange: Exchange, step: Callable[[], list[Action]]) -> list[Action]:
        """A bug in the conversion is answered too: an exception in a layer would leave the client waiting."""
        try:
            return step()
        except Exception:
            logger.exception("A call could not be served to its end; the client was told so.")
            return exchange.crashed(begun=self.flow.response is not None)

    # --- the answer

    def _act(self, actions: Sequence[Action]) -> layer.CommandGenerator[None]:
        for action in actions:
            if self._answered:
                return
            match action:
                case Attempt():
                    self._stop_attempt(AttemptUnwanted())
                    self._attempt = self._board.open_attempt(action, self.stream_id)
                case Head():
                    yield from self._begin(action)
                case Data():
                    self._sent.append(action.data)
                    yield SendHttp(ResponseData(self.stream_id, action.data), self.context.client)
                case End():
                    yield from self._end()
                case Answer():
                    yield from self._answer(action)

    def _begin(self, head: Head) -> layer.CommandGenerator[None]:
        response = self.flow.response = _response(head.status, head.headers, None)
        response.stream = True
        if self.flow.request.http_version == "HTTP/1.1":
            response.headers["transfer-encoding"] = "chunked"
        elif self.flow.request.http_version == "HTTP/1.0":
            response.headers["connection"] = "close"
        response.timestamp_start = time.time()
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            self._stop("killed in the proxy")
            return
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), self.context.client)

    def _end(self) -> layer.CommandGenerator[None]:
        self._stop_attempt(AttemptUnwanted())
        self._record_body()
        yield from self._finish(already_streamed=True)

    def _answer(self, answer: Answer) -> layer.CommandGenerator[None]:
        self._stop_attempt(AttemptUnwanted())
        body = b"" if self.flow.request.method == "HEAD" else answer.body
        self.flow.response = _response(answer.status, answer.headers, body)
        self.flow.response.timestamp_start = time.time()
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            self._stop("killed in the proxy")
            return
        yield from self._finish(already_streamed=False)

    def _finish(self, *, already_streamed: bool) -> layer.CommandGenerator[None]:
        self._answered = True
        if self._exchange is not None:
            self._board.service.report(self._exchange)
        yield from self.send_response(already_streamed=already_streamed)

    def _stop(self, why: str) -> None:
        """The flow was killed: nothing more goes out."""
        self._answered = True
        if self._exchange is not None:
            self._exchange.client_gone()
        self._stop_attempt(AttemptCancelled(why))

    def _stop_attempt(self, message: AttemptCancelled | AttemptUnwanted) -> None:
        if self._attempt is not None:
            self._board.post(self._attempt, message)
            self._attempt = None

    def _record_body(self) -> None:
        """What the client heard, for those who look at the flow."""
        if self.flow.response is not None and self._sent:
            self.flow.response.data.content = b"".join(self._sent)


def _client_call(request: http.Request) -> ClientCall:
    return ClientCall(
        method=request.method,
        path=request.path,
        headers=lower_case(dict(request.headers.items())),
        body=request.raw_content or b"",
    )


def _response(status: int, headers: Mapping[str, str], body: bytes | None) -> http.Response:
    """A response of the bridge; `body` None for one that is streamed."""
    fields = http.Headers([(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()])
    if body is not None and status != 204:
        fields["content-length"] = str(len(body))
    reason = status_codes.RESPONSES.get(status, "")
    return http.Response(b"HTTP/1.1", status, reason.encode(), fields, body, None, time.time(), None)
