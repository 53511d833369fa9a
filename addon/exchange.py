"""The life of one client call: what is asked of a provider, what it says → what the client hears. No I/O, no clock.

An `Exchange` takes in what happens upstream and returns `Action`s, in the manner of h11: the proxy layer carries them
out. One exchange may make several attempts, one after the other; each is an `Attempt`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias
from urllib.parse import urlsplit

from addon.routing import Credential
from addon.translate.errors import ApiError, from_response, to_headers
from addon.translate.items import Seal
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.tries import AnswerReader, CallT, ProviderCall, ReadCall, Tries
from addon.wire.encoding import BadEncoding, Decoder, UnknownEncoding
from addon.wire.json import dump_bytes, dumps
from addon.wire.responses import Event, Usage
from addon.wire.sse import encode

MAX_ERROR_BYTES = 256 * 1024
"""As much of a provider's error page as is read."""

PREAMBLE = 2
"""Events (created, in_progress) that a client may have heard without being bound to any provider's answer."""


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
        """The key the client presents as its OpenAI key."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" and key.strip() else None


# --- actions: what the proxy layer is to do ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call a provider. `headers` are for all to see; the credential goes on the wire and nowhere else."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    credential: Credential | None
    stream: bool
    """Whether the answer is wanted as it comes."""
    label: str
    """provider/model, for people."""


@dataclass(frozen=True, slots=True)
class Head:
    """Begin the answer to the client."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """Go on with the answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The answer is complete. What still comes from the provider interests nobody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer at once."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str = ""
    """The code of the error that this is, for the log."""

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        return cls(status, {"content-type": "application/json", **(headers or {})}, dump_bytes(value))

    @classmethod
    def error(cls, error: ApiError, headers: Mapping[str, str] | None = None) -> Answer:
        answer = cls.json(error.envelope(), status=error.status, headers={**(headers or {}), **error.headers})
        return replace(answer, code=error.code)


Action: TypeAlias = Attempt | Head | Data | End | Answer


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

    @abstractmethod
    def begin(self) -> list[Action]:
        """The first attempt."""

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
    def crashed(self, *, begun: bool) -> list[Action]:
        """The bridge itself has failed over this call. `begun`: the client has the beginning of an answer."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the exchanges of one client call share."""

    request_id: str
    now: Callable[[], float]
    """Seconds since the epoch."""
    hide: Callable[[str], str]
    """Takes the keys out of a text."""


class SingleExchange(Exchange, Generic[CallT]):
    """An exchange that ends with one provider's answer. Subclasses say what that answer means to the client."""

    def __init__(self, tries: Tries[CallT], record: Record, context: CallContext) -> None:
        self._tries = tries
        self._context = context
        self._call = tries.first
        self._began = context.now()
        self._decoder: Decoder | None = None
        self._failure: tuple[int, Mapping[str, str]] | None = None
        self._failure_body = bytearray()
        self._provider_headers: dict[str, str] = {}
        self._over = False
        self.record = record

    @property
    def over(self) -> bool:
        return self._over

    def begin(self) -> list[Action]:
        return self._try(self._call)

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        self._provider_headers = to_headers(headers)
        if not 200 <= status < 300:
            self._failure = (status, headers)
        try:
            self._decoder = Decoder(headers.get("content-encoding", ""))
        except UnknownEncoding as error:
            return self._lost(self._broken(f"used an encoding that nobody asked for: {error}"))
        return []

    def upstream_data(self, data: bytes) -> list[Action]:
        if self._over or self._decoder is None:
            return []
        try:
            plain = self._decoder.feed(data)
        except BadEncoding as error:
            return self._lost(self._broken(f"sent a body that cannot be decoded: {error}"))
        if self._failure is not None:
            self._failure_body += plain[: MAX_ERROR_BYTES - len(self._failure_body)]
            return []
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
        host = urlsplit(target.url).netloc.rpartition("@")[2]
        what = f"The connection to the provider {target.provider} ({host}) failed: {_plainly(message)}."
        return self._lost(ApiError.upstream(f"{what} Is it running, and is its base_url right?"))

    def client_gone(self) -> None:
        if not self._over:
            self._close(outcome="client gone")

    def crashed(self, *, begun: bool) -> list[Action]:
        message = "The bridge failed while it served this call; its log says why. This is a bug of the bridge."
        error = ApiError.bridge(message, code="bridge_error")
        if not begun:
            return [self._answer_error(error)]
        try:
            return self._fail(error)
        except Exception:  # what is broken is what would tell it
            self._close(outcome=f"error {error.code}")
            return [End()]

    # --- for subclasses

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
        self.record.target = call.label
        self.record.notes = call.notes
        self._prepare(call)
        return [_attempt(call)]

    def _another(self, error: ApiError) -> list[Action] | None:
        """The next try after one that failed, if there is any. Only asked while the client has heard nothing."""
        call = self._tries.after(self._call, error)
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
        headers = {"x-request-id": self._context.request_id, "x-bridge-target": self.record.target}
        if self.record.notes:
            headers["x-bridge-notes"] = self.record.notes.header()
        return headers | self._provider_headers

    def _head(self, status: int, content_type: str) -> Head:
        self.record.status = status
        self.record.first_event_s = self._context.now() - self._began
        return Head(status, {"content-type": content_type, "cache-control": "no-cache", **self._headers()})

    def _answer_json(self, value: object) -> Answer:
        self._close(status=200, outcome=self.record.outcome or "completed")
        return Answer.json(value, headers=self._headers())

    def _answer_error(self, error: ApiError) -> Answer:
        self._close(status=error.status, outcome=f"error {error.code}")
        return Answer.error(error, self._headers())

    def _close(self, *, outcome: str, status: int | None = None) -> None:
        self._over = True
        self.record.status = status if status is not None else self.record.status
        self.record.outcome = outcome
        self.record.total_s = self._context.now() - self._began
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
        url=call.target.url,
        headers=headers,
        body=dump_bytes(call.body),
        credential=call.target.credential,
        stream=call.stream,
        label=call.label,
    )


_PLAIN = (
    (re.compile(r"connect call failed|connection refused|errno 111", re.I), "it was refused"),
    (re.compile(r"name or service not known|getaddrinfo|nodename", re.I), "the host's name is not known"),
    (re.compile(r"timed? ?out", re.I), "there was no answer in time"),
)


def _plainly(message: str) -> str:
    """The usual troubles in words, not as the operating system numbers them."""
    return next((plain for pattern, plain in _PLAIN if pattern.search(message)), message.rstrip("."))


def told(events: Iterable[Event]) -> Data:
    """Events as a client reads them."""
    return Data(b"".join(encode(event.type, dumps(event.payload())) for event in events))


class ResponsesExchange(SingleExchange[ReadCall]):
    """POST /v1/responses.

    Args:
        client_stream: the client wants a stream.
        new_builder: makes the builder of the answer, which seals reasoning by the function it is given.
        remember: told of the answer once it is complete.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        *,
        client_stream: bool,
        new_builder: Callable[[Seal], ResponseBuilder],
        remember: Callable[[ResponseBuilder, ReadCall], None],
    ) -> None:
        super().__init__(tries, record, context)
        self._client_stream = client_stream
        self._builder = new_builder(lambda *said: self._call.seal(*said))
        self._reader: AnswerReader
        self._remember = remember
        self._told = 0
        self._answered = False

    def _prepare(self, call: ReadCall) -> None:
        self._builder.retract(self._told)
        self._reader = call.reader(self._builder)

    def _feed(self, data: bytes) -> list[Action]:
        return self._tell(self._reader.feed(data))

    def _finish(self) -> list[Action]:
        return self._tell(self._reader.end())

    def _fail(self, error: ApiError) -> list[Action]:
        return self._tell(self._reader.fail(error))

    def _tell(self, events: Sequence[Event]) -> list[Action]:
        error = self._builder.error
        if error is not None and self._told <= PREAMBLE:
            another = self._another(error)
            if another is not None:
                return another
        if error is None and self._builder.has_output and not self._answered:
            self._answered = True
            self._tries.answered(self._call)
        if self._builder.ended:
            self._note_outcome()
        if error is not None and not self._told and not (self._client_stream and self._builder.response["output"]):
            return [self._answer_error(error)]
        if self._client_stream:
            return self._tell_stream(events)
        return [self._answer_json(self._builder.response)] if self._builder.ended else []

    def _tell_stream(self, events: Sequence[Event]) -> list[Action]:
        if not events:
            return []
        actions: list[Action] = []
        if not self._told:
            actions.append(self._head(200, "text/event-stream; charset=utf-8"))
        self._told += len(events)
        actions.append(told(events))
        if self._builder.ended:
            self._close(outcome=self.record.outcome)
            actions.append(End())
        return actions

    def _note_outcome(self) -> None:
        response = self._builder.response
        usage, error = response["usage"], response["error"]
        self.record.outcome = f"failed {error['code']}" if error is not None else response["status"]
        self.record.enter(usage)
        self._remember(self._builder, self._call)


class ChatExchange(SingleExchange[ProviderCall]):
    """POST /v1/chat/completions: the provider's answer goes to the client as it comes."""

    def __init__(self, tries: Tries[ProviderCall], record: Record, context: CallContext) -> None:
        super().__init__(tries, record, context)
        self._streaming = False

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        actions = super().upstream_head(status, headers)
        if actions or self._failure is not None:
            return actions
        self._streaming = True
        self._tries.answered(self._call)
        usual = "text/event-stream" if self._call.stream else "application/json"
        return [self._head(status, headers.get("content-type", usual))]

    def _prepare(self, call: ProviderCall) -> None:
        pass

    def _feed(self, data: bytes) -> list[Action]:
        return [Data(data)]

    def _finish(self) -> list[Action]:
        self._close(outcome="completed")
        return [End()]

    def _fail(self, error: ApiError) -> list[Action]:
        if not self._streaming:
            return self._another(error) or [self._answer_error(error)]
        self._close(outcome=f"failed {error.code}")
        return [Data(f"data: {dumps(error.envelope())}\n\n".encode()), End()]
