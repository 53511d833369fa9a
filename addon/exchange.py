"""The life of one client call: what is asked of a provider, what it says → what the client hears. No I/O, no clock.

An `Exchange` takes in what happens upstream and returns `Action`s, in the manner of h11: the proxy layer carries them
out. One exchange may make several attempts, one after the other; each is an `Attempt`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal
from urllib.parse import urlsplit

from addon.actions import Action, Answer, Attempt, Cancel, End, Head
from addon.client_answer import ClientAnswer
from addon.translate.errors import ApiError, busy, from_response, shortened, to_headers
from addon.translate.notes import Notes, header_value
from addon.translate.output import ResponseBuilder
from addon.tries import AnswerReader, CallT, ProviderCall, ReadCall, Tries
from addon.watch import Watch
from addon.wire.encoding import BadEncoding, Decoder, TooLarge, UnknownEncoding
from addon.wire.json import dump_bytes
from addon.wire.responses import Event, Usage

MAX_ERROR_BYTES = 256 * 1024
"""As much of a provider's error page as is read."""


@dataclass(frozen=True, slots=True)
class ClientCall:
    """What a client sent. Header names in lower case."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: bytes
    """As it was on the wire: perhaps compressed."""

    @property
    def bearer(self) -> str | None:
        """The key the client presents as its OpenAI key; clients of Azure have a header of its own for it."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            return key.strip()
        return self.headers.get("api-key", "").strip() or None


@dataclass
class Record:
    """What is worth a line in the log."""

    endpoint: str
    model: str
    target: str
    tried: list[str] = field(default_factory=list)
    """What was tried before: provider/model, and the code of the error that came of it."""
    status: int = 0
    outcome: str = ""
    cache: Literal["", "hit", "miss"] = ""
    """What came of looking for the answer in the cache; empty: it was not looked for there."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    first_event_s: float | None = None
    """Seconds from the call to the first byte of the answer."""
    total_s: float | None = None
    notes: Notes = field(default_factory=Notes)

    def enter(self, usage: Usage | None) -> None:
        """Put down the tokens of an answer, if its provider has told them."""
        if usage is not None:
            self.input_tokens = usage["input_tokens"]
            self.output_tokens = usage["output_tokens"]


class Exchange(ABC):
    """One call of a client while it is served.

    The methods return the actions that follow, in order; after an `End` or an `Answer` there are none.
    """

    record: Record
    """What is told of the call itself."""

    @property
    def records(self) -> Sequence[Record]:
        """What is told of each provider's call that was made for it, in their order."""
        return (self.record,)

    @property
    @abstractmethod
    def over(self) -> bool:
        """The client has all of its answer, or has gone."""

    def listen(self, wake: Callable[[], None]) -> None:  # noqa: B027  (to most nothing happens elsewhere)
        """Told before it begins: `wake` has `tick` called soon, for what happens elsewhere and not upstream."""

    @abstractmethod
    def begin(self) -> list[Action]:
        """The first attempt."""

    @property
    @abstractmethod
    def alarm(self) -> float:
        """When `tick` is to be called, on the clock of the call. Asked anew after each tick and each new attempt."""

    @abstractmethod
    def tick(self) -> list[Action]:
        """Time has passed."""

    @abstractmethod
    def upstream_queued(self) -> None:
        """The attempt has to wait for others to end: the provider cannot be blamed for that time."""

    @abstractmethod
    def upstream_begins(self) -> None:
        """The attempt had been queued, and now has its turn."""

    @abstractmethod
    def upstream_busy(self) -> list[Action]:
        """The attempt was not made: too many wait already."""

    @abstractmethod
    def upstream_connected(self) -> None:
        """The attempt has a connection, and the request is on its way."""

    @abstractmethod
    def upstream_alive(self) -> None:
        """Something has come of an answer that is handed on when it is whole."""

    @abstractmethod
    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        """The provider's status line and headers."""

    @abstractmethod
    def upstream_data(self, data: bytes) -> list[Action]:
        """A portion of the provider's body."""

    @abstractmethod
    def upstream_end(self) -> list[Action]:
        """The provider's body is complete."""

    @abstractmethod
    def upstream_lost(self, message: str) -> list[Action]:
        """The provider could not be reached, or the connection to it broke."""

    @abstractmethod
    def client_gone(self) -> None:
        """Nobody listens any more."""

    @abstractmethod
    def give_up(self, error: ApiError, *, begun: bool) -> list[Action]:
        """The bridge cannot go on with this call. `begun`: the client has the beginning of an answer."""

    def crashed(self, *, begun: bool) -> list[Action]:
        """The bridge itself has failed over this call."""
        message = "The bridge failed while it served this call; its log says why. This is a bug of the bridge."
        return self.give_up(ApiError.bridge(message, code="bridge_error"), begun=begun)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the exchanges of one client call share."""

    request_id: str
    clock: Callable[[], float]
    """Seconds that only ever grow: for what took how long, and for waiting."""
    hide: Callable[[str], str]
    """Takes the keys out of a text."""
    answer_bytes: int = 64 * 1024 * 1024
    """The most that is read of one answer, decoded."""


class SingleExchange(Exchange, Generic[CallT]):
    """An exchange that ends with one provider's answer. Subclasses say what that answer means to the client."""

    def __init__(self, tries: Tries[CallT], record: Record, context: CallContext) -> None:
        self._tries = tries
        self._context = context
        self._call = tries.first
        self._began = context.clock()
        self._decoder: Decoder | None = None
        self._failure: tuple[int, Mapping[str, str]] | None = None
        self._failure_body = bytearray()
        self._provider_headers: dict[str, str] = {}
        self._over = False
        self._gives_up = False
        self._watch = Watch(self._call.target.profile, self._began, self._began)
        self.record = record

    @property
    def over(self) -> bool:
        return self._over

    def begin(self) -> list[Action]:
        return self._try(self._call)

    @property
    def alarm(self) -> float:
        return min(self._watch.patience()[0], self._waiting_alarm)

    def tick(self) -> list[Action]:
        if self._over:
            return []
        until, problem = self._watch.patience()
        if self._context.clock() < until:
            return self._wait()
        message = f"The provider {self._call.target.provider} {problem}."
        return [Cancel(problem), *self._lost(ApiError.upstream(message, code="upstream_timeout", status=504))]

    def upstream_queued(self) -> None:
        self._watch.attempt_began = None

    def upstream_begins(self) -> None:
        self._watch.attempt_began = self._context.clock()

    def upstream_busy(self) -> list[Action]:
        return [] if self._over else self._lost(busy(self._call.target.provider))

    def upstream_connected(self) -> None:
        self._watch.connected = self._context.clock()

    def upstream_alive(self) -> None:
        self._watch.heard = self._context.clock()

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        if self._over:
            return []
        self._watch.heard = self._context.clock()
        self._provider_headers = to_headers(headers)
        if not 200 <= status < 300:
            self._failure = (status, headers)
        try:
            limit = self._context.answer_bytes if self._failure is None else MAX_ERROR_BYTES
            self._decoder = Decoder(headers.get("content-encoding", ""), limit=limit)
        except UnknownEncoding as error:
            return self._lost(self._broken(f"used an encoding that nobody asked for: {error}"))
        return []

    def upstream_data(self, data: bytes) -> list[Action]:
        self._watch.heard = self._context.clock()
        if self._over or self._decoder is None:
            return []
        try:
            if self._failure is not None:
                self._failure_body += self._decoder.beginning(data)
                return []
            plain = self._decoder.feed(data)
        except BadEncoding as error:
            return self._lost(self._broken(f"sent a body that cannot be decoded: {error}"))
        except TooLarge as error:
            return self._lost(self._broken(f"sent too long an answer, {error} (limits.answer_bytes)"))
        return self._feed(plain) if plain else []

    def upstream_end(self) -> list[Action]:
        if self._over:
            return []
        if self._failure is not None:
            status, headers = self._failure
            target, body = self._call.target, bytes(self._failure_body)
            return self._lost(from_response(status, headers, body, provider=target.provider, profile=target.profile))
        return self._finish()

    def upstream_lost(self, message: str) -> list[Action]:
        if self._over:
            return []
        target = self._call.target
        where = urlsplit(self._call.url).netloc.rpartition("@")[2]
        if target.way.proxy is not None:
            where += f", by way of the proxy {target.way.proxy.host}:{target.way.proxy.port}"
        what = f"The connection to the provider {target.provider} ({where}) failed: {_plainly(message)}."
        return self._lost(ApiError.upstream(f"{what} Is it running, and is its base_url right?"))

    def client_gone(self) -> None:
        if not self._over:
            self._close(outcome="client gone")

    def give_up(self, error: ApiError, *, begun: bool) -> list[Action]:
        if self._over:
            return []
        self._gives_up = True
        if not begun:
            return [self._answer_error(error)]
        try:
            return self._fail(error)
        except Exception:  # what is broken is what would tell it
            self._close(outcome=f"error {error.code}")
            return [End()]

    # --- for subclasses

    @property
    @abstractmethod
    def _waiting_alarm(self) -> float:
        """When the client should hear something though the provider says nothing."""

    @abstractmethod
    def _wait(self) -> list[Action]:
        """What the client hears while the provider says nothing."""

    @abstractmethod
    def _prepare(self, call: CallT) -> None:
        """`call` is about to be made; whatever an earlier one has said is forgotten."""

    @abstractmethod
    def _feed(self, data: bytes) -> list[Action]:
        """A portion of a successful answer, decoded."""

    @abstractmethod
    def _finish(self) -> list[Action]:
        """A successful answer is complete."""

    @abstractmethod
    def _fail(self, error: ApiError) -> list[Action]:
        """There is no answer, or no more of it."""

    def _try(self, call: CallT) -> list[Action]:
        self._call = call
        self._decoder = None
        self._failure = None
        self._failure_body.clear()
        self._provider_headers = {}
        self._watch = Watch(call.target.profile, self._began, self._context.clock())
        self.record.target = call.label
        self.record.notes = call.notes
        self._tries.begins(call)
        self._prepare(call)
        return [_attempt(call)]

    def _another(self, error: ApiError) -> list[Action] | None:
        """The next try after one that failed, if there is any. Only asked while the client has heard nothing."""
        too_late = self._gives_up or self._watch.too_late(self._context.clock())
        call = None if too_late else self._tries.after(self._call, error)
        if call is None:
            return None
        self.record.tried.append(f"{self._call.label} {error.code}")
        return self._try(call)

    def _lost(self, error: ApiError) -> list[Action]:
        return self._fail(error.saying(self._context.hide(error.message)))

    def _broken(self, what: str) -> ApiError:
        return ApiError.upstream(f"The provider {self._call.target.provider} {what}.", code="upstream_invalid")

    def _headers(self) -> dict[str, str]:
        """What every answer to the client carries."""
        headers = {"x-request-id": self._context.request_id, "x-bridge-target": header_value(self.record.target)}
        if self.record.notes:
            headers["x-bridge-notes"] = self.record.notes.header()
        if self.record.cache:
            headers["x-bridge-cache"] = self.record.cache
        if self.record.tried:
            headers["x-bridge-tried"] = header_value(", ".join(self.record.tried))
        return headers | self._provider_headers

    def _head(self, status: int, content_type: str) -> Head:
        self.record.status = status
        self.record.first_event_s = self._context.clock() - self._began
        return Head(status, {"content-type": content_type, "cache-control": "no-cache", **self._headers()})

    def _answer_error(self, error: ApiError) -> Answer:
        self._close(status=error.status, outcome=f"error {error.code}")
        return Answer.error(self._tries.final(error), self._headers())

    def _close(self, *, outcome: str, status: int | None = None) -> None:
        self._over = True
        self.record.status = status if status is not None else self.record.status
        self.record.outcome = outcome
        self.record.total_s = self._context.clock() - self._began
        if self.record.first_event_s is None:
            self.record.first_event_s = self.record.total_s


def _attempt(call: ProviderCall) -> Attempt:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if call.stream else "application/json",
        "accept-encoding": "identity",
        "user-agent": "responses-bridge",
        **call.target.headers,
    }
    return Attempt(
        url=call.url,
        headers=headers,
        body=dump_bytes(call.body),
        credential=call.target.credential,
        stream=call.stream,
        label=call.label,
        provider=call.target.provider,
        way=call.target.way,
    )


_PLAIN = (
    (re.compile(r"connect call failed|connection refused|errno 111", re.I), "it was refused"),
    (re.compile(r"name or service not known|getaddrinfo|nodename", re.I), "the host's name is not known"),
    (re.compile(r"timed? ?out", re.I), "there was no answer in time"),
)


def _plainly(message: str) -> str:
    """The usual troubles in words, not as the operating system numbers them."""
    message = shortened(message.rstrip("."))
    return next((plain for pattern, plain in _PLAIN if pattern.search(message)), message)


class AnsweringExchange(SingleExchange[ReadCall]):
    """A call of a provider for a client that waits for a Responses answer."""

    def __init__(self, tries: Tries[ReadCall], record: Record, context: CallContext, client: ClientAnswer) -> None:
        super().__init__(tries, record, context)
        self._client = client

    @property
    def _waiting_alarm(self) -> float:
        return self._client.alarm

    def _wait(self) -> list[Action]:
        return self._client.tick(self._ok)

    def _ok(self, content_type: str) -> Head:
        return self._head(200, content_type)


class ResponsesExchange(AnsweringExchange):
    """POST /v1/responses.

    Args:
        remember: told of the answer once it is complete, before the client hears its end. False: it could not be kept,
            and the client must not be told that it was.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        client: ClientAnswer,
        *,
        remember: Callable[[ResponseBuilder, ReadCall], bool],
    ) -> None:
        super().__init__(tries, record, context, client)
        self._builder = client.builder
        self._reader: AnswerReader
        self._remember = remember
        self._answered = False

    def _prepare(self, call: ReadCall) -> None:
        self._answered = False
        self._client.retract()
        self._builder.seal_with(call.seal)
        self._reader = call.reader(self._builder)

    def _feed(self, data: bytes) -> list[Action]:
        return self._tell(self._reader.feed(data))

    def _finish(self) -> list[Action]:
        return self._tell(self._reader.end())

    def _fail(self, error: ApiError) -> list[Action]:
        return self._tell(self._reader.fail(error))

    def _tell(self, events: Sequence[Event]) -> list[Action]:
        error = self._builder.error
        if error is not None and not self._client.bound:
            another = self._another(error)
            if another is not None:
                return another
        if not self._answered and error is None and (self._builder.has_output or self._builder.ended):
            self._answered = True
            self._tries.answered(self._call)
        if self._builder.ended:
            self._note_outcome()
        if error is not None and not self._client.begun and not (self._client.stream and self._builder.has_output):
            return [self._answer_error(error)]
        if self._builder.ended and not self._remember(self._builder, self._call):
            events = self._builder.not_stored(events)
        actions = self._client.tell(events, self._ok)
        if self._builder.ended:
            self._close(status=200, outcome=self.record.outcome)
        return actions

    def _note_outcome(self) -> None:
        response = self._builder.response
        usage, error = response["usage"], response["error"]
        ended = "cached" if self.record.cache == "hit" else response["status"]
        self.record.outcome = f"failed {error['code']}" if error is not None else ended
        self.record.enter(usage)
