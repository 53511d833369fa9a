"""BridgeLayer and BridgeStream: HTTP on an intercepted connection, answered by the bridge.

mitmproxy's own stream knows one request and one server. Ours plans the call instead of connecting to the original host,
and lets one or several attempts (`attempt.py`) run beside it, each a stream of its own with its own id. Streams never
call each other: they post messages, which the layer delivers when the current event has been dealt with. So no
connection is entered again while it is at work, and a stream that waits (for a hook, a connection) holds up no other.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Address, Connection, Server
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpConnection,
    HttpErrorHook,
    HttpLayer,
    HTTPMode,
    HttpResponseHeadersHook,
    HttpStream,
    RegisterHttpConnection,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)

from addon.actions import Action, Answer, Attempt, Cancel, Data, End, Head
from addon.exchange import ClientCall, Exchange
from addon.proxy.attempt import AttemptStream
from addon.proxy.connections import Connections
from addon.proxy.flows import OwnFlows
from addon.proxy.heads import Http1ServerWithLimit
from addon.proxy.messages import (
    AttemptBegins,
    AttemptCancelled,
    AttemptUnwanted,
    FromAttempt,
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
from addon.proxy.reading import Pace, Reading
from addon.proxy.switchboard import Switchboard
from addon.proxy.traffic import Traffic, stopping
from addon.proxy.upgrade import Http2ServerWithConnect
from addon.proxy.versions import response_cut
from addon.service import Forward, Plan, Service, lower_case, printable
from addon.translate.errors import ApiError

logger = logging.getLogger("responses_bridge")

FIRST_ATTEMPT_ID = 1 << 32
"""Stream ids of clients have 31 bits; attempts are numbered beyond them."""

LEFTOVER_S = 5.0
"""How long the end of an answer is waited for that nobody needs, to keep its connection."""

LOOK_S = 5.0
"""How often a call is looked after, at the least: whether its client reads, whether the bridge is to stop."""

NEXT_LOOK_S = 1.0
"""The same while its client does not read."""

NEW_PATIENCE = (UpstreamBegins, UpstreamConnected, UpstreamHead, UpstreamAlive)
"""After these the provider may be silent for another time than before."""


class BridgeLayer(HttpLayer):
    """All that happens on one intercepted client connection, once its TLS is established."""

    def __init__(
        self, context: Context, service: Service, own_flows: OwnFlows, traffic: Traffic, connections: Connections
    ) -> None:
        super().__init__(context, HTTPMode.transparent)
        self.service = service
        self.traffic = traffic
        self._own_flows = own_flows
        self._sockets = connections
        self._reading = Reading(service.limits.unread_s)
        self._mail: deque[tuple[int, events.Event]] = deque()
        self._ids = itertools.count(FIRST_ATTEMPT_ID)
        self._attempts: dict[int, AttemptStream] = {}
        self._unwanted: set[int] = set()
        self._alarms: dict[int, float] = {}
        self._wakeups: dict[commands.RequestWakeup, float] = {}
        self._http2: set[Address] = set()
        self._dead: set[Connection] = set()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            self.connections[self.context.client] = self._client_connection()
        if isinstance(event, events.Wakeup) and event.command in self._wakeups:
            del self._wakeups[event.command]
            self._ring()
        else:
            yield from super()._handle_event(event)
        if isinstance(event, events.ConnectionClosed):
            self._dead |= self._sharing(event.connection)
        while self._mail:
            stream_id, message = self._mail.popleft()
            if isinstance(message, (AttemptCancelled, AttemptUnwanted)):
                yield from self._release(stream_id)
            if stream_id in self.streams:
                yield from self.event_to_child(self.streams[stream_id], message)
        self._bury()
        yield from self._wind()

    def _client_connection(self) -> HttpConnection:
        if self.context.client.alpn == b"h2":
            return Http2ServerWithConnect(self.context.fork())
        return Http1ServerWithLimit(self.context.fork(), self.service.limits.header_bytes, self.service.head_too_large)

    # --- time

    def _ring(self) -> None:
        now = self.service.clock()
        for stream_id in [each for each, at in self._alarms.items() if at <= now]:
            del self._alarms[stream_id]
            self.post(stream_id, Tick())

    def _wind(self) -> layer.CommandGenerator[None]:
        """Be woken in time for the earliest alarm. A wake-up cannot be taken back; one too early does no harm."""
        earliest = min(self._alarms.values(), default=math.inf)
        if earliest < min(self._wakeups.values(), default=math.inf):
            wakeup = commands.RequestWakeup(max(0.0, earliest - self.service.clock()))
            self._wakeups[wakeup] = earliest
            yield wakeup

    # --- connections to providers

    def offers_http2(self, address: Address | None) -> bool:
        """Whether a provider at this address may speak HTTP/2."""
        return address in self._http2

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        """mitmproxy remembers that a server could not be reached, as long as its client is there. It may be by now."""
        for connection in self.connections:
            if event.connection_spec_matches(connection) and connection not in self.waiting_for_establishment:
                connection.error = None
        yield from super().get_connection(event, reuse=reuse)

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        """Of one that never stood mitmproxy will not say that it has been closed."""
        if command.err:
            shared = self._sharing(command.connection)
            if all(isinstance(each, Server) and each.timestamp_tcp_setup is None for each in shared):
                self._dead |= shared
        yield from super().register_connection(command)

    def _sharing(self, connection: Connection) -> set[Connection]:
        """A connection to a provider, and the one to the proxy that it goes through; none if it is a client's."""
        layers = self.connections
        return {
            each
            for each, its_layer in layers.items()
            if isinstance(each, Server) and connection in layers and its_layer is layers[connection]
        }

    def _bury(self) -> None:
        """mitmproxy keeps all that it knows of a closed connection as long as its client is there."""
        in_use = {attempt.connection for attempt in self._attempts.values()}
        for connection in self._dead - in_use - self.waiting_for_establishment.keys():
            self.connections.pop(connection, None)
        self._dead &= self.connections.keys()

    def _release(self, stream_id: int) -> layer.CommandGenerator[None]:
        """An attempt is given up. One that waits, for its turn or for a connection, cannot see to that itself."""
        attempt = self._attempts.get(stream_id)
        if attempt is None:
            return
        attempt.give_back_turn()
        for connection, waiting in self.waiting_for_establishment.items():
            if all(self.command_sources.get(command) is attempt for command in waiting):
                for each in self._sharing(connection):
                    yield commands.CloseConnection(each)

    # --- streams

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        stream = self.streams[stream_id] = self._new_stream(stream_id)
        yield from self.event_to_child(stream, events.Start())

    def _new_stream(self, stream_id: int) -> HttpStream:
        return BridgeStream(self.context.fork(), stream_id, self, self._own_flows)

    # --- Switchboard

    def post(self, stream_id: int, message: events.Event) -> None:
        if isinstance(message, AttemptUnwanted) and stream_id in self._attempts:
            self._unwanted.add(stream_id)
            self.set_alarm(stream_id, self.service.clock() + LEFTOVER_S)
        self._mail.append((stream_id, message))

    def set_alarm(self, stream_id: int, at: float | None) -> None:
        if at is None:
            self._alarms.pop(stream_id, None)
        else:
            self._alarms[stream_id] = at

    def wake(self, stream_id: int) -> None:
        if stream_id in self.streams:
            self.set_alarm(stream_id, self.service.clock())
            for wakeup in self._wakeups:
                self._sockets.wake(wakeup)
                break

    def open_attempt(self, attempt: Attempt, client_id: int, *, again: bool) -> int:
        # A connection that still carries the rest of an answer would be offered for reuse.
        for leftover in self._unwanted:
            self.post(leftover, AttemptCancelled("the next call needs the connection"))
        self._unwanted.clear()
        stream_id = next(self._ids)
        stream = AttemptStream(self.context.fork(), stream_id, attempt, client_id, self, again=again)
        self._own_flows.add(stream.flow)
        self._attempts[stream_id] = stream
        if attempt.way.http2 and stream.flow.server_conn.address is not None:
            self._http2.add(stream.flow.server_conn.address)
        # The layer keys all streams by id, of whatever class they are.
        self.streams[stream_id] = cast(HttpStream, stream)
        self.post(stream_id, AttemptBegins())
        return stream_id

    def unsent(self, stream_id: int) -> int:
        connection = self.connections[self.context.client]
        if not isinstance(connection, Http2ServerWithConnect):
            return 0
        return sum(len(portion.data) for portion in connection.h2_conn.stream_buffers.get(stream_id, ()))

    def look_at_client(self) -> Pace:
        return self._reading.look(self._sockets.unsent(self.context.client), self.service.clock())

    def drop_client(self, why: str) -> None:
        logger.warning("A client has been dropped: %s.", why)
        self._sockets.abort(self.context.client)

    def attempt_over(self, stream_id: int) -> None:
        self._attempts.pop(stream_id, None)
        self._alarms.pop(stream_id, None)
        self._unwanted.discard(stream_id)


class BridgeStream(HttpStream):
    """One call of the client. mitmproxy's stream reads it and fires its hooks; from there on it is ours."""

    def __init__(self, context: Context, stream_id: int, board: Switchboard, own_flows: OwnFlows) -> None:
        super().__init__(context, stream_id)
        self._board = board
        self._own_flows = own_flows
        self._exchange: Exchange | None = None
        self._attempt: int | None = None
        self._attempts = 0
        self._sent: list[bytes] = []
        self._answered = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        match event:
            case FromAttempt():
                if self._exchange is not None and event.attempt == self._attempt:
                    yield from self._act(self._told(self._exchange, event))
                    if isinstance(event, NEW_PATIENCE):
                        self._set_alarm()
            case Tick():
                if self._exchange is not None and not self._answered:
                    yield from self._look_after(self._exchange)
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
        if len(self.request_body_buf) <= self._board.service.limits.body_bytes:
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
        plan = self._plan()
        match plan:
            case Forward():
                return (yield from super().make_server_connection())
            case Answer():
                yield from self._answer(plan)
            case Exchange():
                self._exchange = plan
                self._board.traffic.enter(self)
                plan.listen(partial(self._board.wake, self.stream_id))
                self.flow.comment = f"bridge: {printable(plan.record.model)} -> {plan.record.target}"
                yield from self._act(self._unless_it_fails(plan, plan.begin))
                self._set_alarm()
        return False

    def _plan(self) -> Plan:
        service, traffic = self._board.service, self._board.traffic
        if traffic.closing:
            return traffic.refusal()
        if _head_size(self.flow.request) > service.limits.header_bytes:
            return service.head_too_large()
        return service.plan(_client_call(self.flow.request))

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        """While an exchange is under way only the client can fail here."""
        if self._exchange is None or self._answered:
            yield from super().handle_protocol_error(event)
        else:
            yield from self._lose_client(event.message)

    def _lose_client(self, why: str) -> layer.CommandGenerator[None]:
        self._be_done()
        self._board.traffic.leave(self)
        if self._exchange is not None:
            self._exchange.client_gone()
            self._board.service.report(self._exchange)
        self._stop_attempt(AttemptCancelled("the client has gone"))
        self.client_state = self.server_state = self.state_errored
        self.flow.error = mitmflow.Error(why)
        self._record_body()
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    # --- the exchange

    def _look_after(self, exchange: Exchange) -> layer.CommandGenerator[None]:
        now = self._board.service.clock()
        if now >= self._board.traffic.closes_at:
            yield from self._act(self._given_up(exchange, stopping()))
            return
        match self._board.look_at_client():
            case Pace.STEADY:
                yield from self._act(self._unless_it_fails(exchange, exchange.tick))
                self._set_alarm()
            case Pace.SLOW:
                self._board.set_alarm(self.stream_id, now + NEXT_LOOK_S)
            case Pace.STOPPED:
                self._board.drop_client("it has not read its answer for a long time (limits.unread_s)")

    def _set_alarm(self) -> None:
        if self._exchange is not None and not self._answered:
            look = self._board.service.clock() + LOOK_S
            at = min(self._exchange.alarm, look, self._board.traffic.closes_at)
            self._board.set_alarm(self.stream_id, at)

    def _be_done(self) -> None:
        self._answered = True
        self._board.set_alarm(self.stream_id, None)

    def _told(self, exchange: Exchange, event: FromAttempt) -> list[Action]:
        match event:
            case UpstreamQueued():
                exchange.upstream_queued()
            case UpstreamBegins():
                exchange.upstream_begins()
            case UpstreamConnected():
                exchange.upstream_connected()
            case UpstreamBusy():
                return self._unless_it_fails(exchange, exchange.upstream_busy)
            case UpstreamAlive():
                exchange.upstream_alive()
            case UpstreamHead():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_head(event.status, event.headers))
            case UpstreamData():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_data(event.data))
            case UpstreamEnd():
                return self._unless_it_fails(exchange, exchange.upstream_end)
            case UpstreamLost():
                return self._unless_it_fails(exchange, lambda: exchange.upstream_lost(event.message))
        return []

    def _unless_it_fails(self, exchange: Exchange, step: Callable[[], list[Action]]) -> list[Action]:
        """A bug in the conversion is answered too: an exception in a layer would leave the client waiting."""
        try:
            return step()
        except Exception:
            logger.exception("A call could not be served to its end; the client was told so.")
            return exchange.crashed(begun=self.flow.response is not None)

    def _given_up(self, exchange: Exchange, error: ApiError) -> list[Action]:
        begun = self.flow.response is not None
        return [Cancel(error.message), *self._unless_it_fails(exchange, lambda: exchange.give_up(error, begun=begun))]

    # --- the answer

    def _act(self, actions: Sequence[Action]) -> layer.CommandGenerator[None]:
        for action in actions:
            if self._answered:
                return
            match action:
                case Attempt():
                    self._stop_attempt(AttemptUnwanted())
                    self._attempts += 1
                    self._attempt = self._board.open_attempt(action, self.stream_id, again=self._attempts > 1)
                    self._set_alarm()
                case Cancel():
                    self._stop_attempt(AttemptCancelled(action.why))
                case Head():
                    yield from self._begin(action)
                case Data():
                    yield from self._send(action.data)
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

    def _send(self, data: bytes) -> layer.CommandGenerator[None]:
        if self._board.unsent(self.stream_id) > self._board.service.limits.unsent_bytes:
            yield from self._cut("the client does not take its answer (limits.unsent_bytes)")
            return
        self._sent.append(data)
        yield SendHttp(ResponseData(self.stream_id, data), self.context.client)

    def _cut(self, why: str) -> layer.CommandGenerator[None]:
        """Nobody gets the rest; over HTTP/2 the client's other calls go on."""
        logger.warning("An answer has been cut off: %s.", why)
        yield SendHttp(response_cut(self.stream_id, why), self.context.client)
        yield from self._lose_client(why)

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
        self._be_done()
        if self._exchange is not None:
            self._board.service.report(self._exchange)
        yield from self.send_response(already_streamed=already_streamed)
        self._board.traffic.leave(self)  # only now: the end itself waits for a hook

    def _stop(self, why: str) -> None:
        """The flow was killed: nothing more goes out."""
        self._be_done()
        self._board.traffic.leave(self)
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


def _head_size(request: http.Request) -> int:
    return sum(len(name) + len(value) + 4 for name, value in request.headers.fields) + len(request.path)


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
