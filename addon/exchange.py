"""The life of one client call: what is asked of a provider, what it says → what the client hears. No I/O, no clock.

An `Exchange` takes in what happens upstream and returns `Action`s, in the manner of h11: the proxy layer carries them
out. One exchange may make several attempts, one after the other; each is an `Attempt`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from addon.routing import Credential, Target
from addon.translate.errors import ApiError, from_response, to_headers
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.translate.stream import StreamConverter
from addon.wire.encoding import BadEncoding, Decoder, UnknownEncoding
from addon.wire.json import JsonObject, dump_bytes, dumps
from addon.wire.responses import Event, OutputItem, Usage
from addon.wire.sse import encode

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


class SingleExchange(Exchange):
    """An exchange of one provider's call. Subclasses say what that provider's success means to the client."""

    def __init__(
        self,
        target: Target,
        body: JsonObject,
        *,
        stream: bool,
        record: Record,
        request_id: str,
        now: Callable[[], float],
        hide: Callable[[str], str],
    ) -> None:
        self._target = target
        self._body = body
        self._stream_upstream = stream
        self._now = now
        self._hide = hide
        self._began = now()
        self._decoder: Decoder | None = None
        self._failure: tuple[int, Mapping[str, str]] | None = None
        self._failure_body = bytearray()
        self._over = False
        self._client_headers: dict[str, str] = {"x-request-id": request_id, "x-bridge-target": record.target}
        if record.notes:
            self._client_headers["x-bridge-notes"] = record.notes.header()
        self.record = record

    @property
    def over(self) -> bool:
        return self._over

    def begin(self) -> list[Action]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if self._stream_upstream else "application/json",
            "accept-encoding": "identity",
            "user-agent": "responses-bridge",
            **self._target.headers,
        }
        attempt = Attempt(
            url=self._target.url,
            headers=headers,
            body=dump_bytes(self._body),
            credential=self._target.credential,
            stream=self._stream_upstream,
            label=self.record.target,
        )
        return [attempt]

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        self._client_headers.update(to_headers(headers))
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
            body = bytes(self._failure_body)
            provider = self._target.provider
            return self._lost(from_response(status, headers, body, provider=provider, profile=self._target.profile))
        return self._finish()

    def upstream_lost(self, message: str) -> list[Action]:
        if self._over:
            return []
        host = urlsplit(self._target.url).netloc.rpartition("@")[2]
        what = f"The connection to the provider {self._target.provider} ({host}) failed: {_plainly(message)}."
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
    def _feed(self, data: bytes) -> list[Action]:
        """A portion of a successful answer, decoded."""

    @abstractmethod
    def _finish(self) -> list[Action]:
        """A successful answer is complete."""

    @abstractmethod
    def _fail(self, error: ApiError) -> list[Action]:
        """There is no answer, or no more of it."""

    def _lost(self, error: ApiError) -> list[Action]:
        return self._fail(error.saying(self._hide(error.message)))

    def _broken(self, what: str) -> ApiError:
        return ApiError.upstream(f"The provider {self._target.provider} {what}.", code="upstream_invalid")

    def _head(self, status: int, content_type: str) -> Head:
        self.record.status = status
        self.record.first_event_s = self._now() - self._began
        return Head(status, {"content-type": content_type, "cache-control": "no-cache", **self._client_headers})

    def _answer_json(self, value: object) -> Answer:
        self._close(status=200, outcome=self.record.outcome or "completed")
        return Answer.json(value, headers=self._client_headers)

    def _answer_error(self, error: ApiError) -> Answer:
        self._close(status=error.status, outcome=f"error {error.code}")
        return Answer.error(error, self._client_headers)

    def _close(self, *, outcome: str, status: int | None = None) -> None:
        self._over = True
        self.record.status = status if status is not None else self.record.status
        self.record.outcome = outcome
        self.record.total_s = self._now() - self._began
        if self.record.first_event_s is None:
            self.record.first_event_s = self.record.total_s


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


class ResponsesExchange(SingleExchange):
    """POST /v1/responses by way of chat/completions."""

    def __init__(
        self,
        target: Target,
        body: JsonObject,
        *,
        stream: bool,
        client_stream: bool,
        builder: ResponseBuilder,
        converter: StreamConverter,
        remember: Callable[[Sequence[OutputItem]], None],
        record: Record,
        request_id: str,
        now: Callable[[], float],
        hide: Callable[[str], str],
    ) -> None:
        super().__init__(target, body, stream=stream, record=record, request_id=request_id, now=now, hide=hide)
        self._client_stream = client_stream
        self._builder = builder
        self._converter = converter
        self._remember = remember
        self._streaming = False

    def _feed(self, data: bytes) -> list[Action]:
        return self._tell(self._converter.feed(data))

    def _finish(self) -> list[Action]:
        return self._tell(self._converter.end())

    def _fail(self, error: ApiError) -> list[Action]:
        return self._tell(self._converter.fail(error))

    def _tell(self, events: Sequence[Event]) -> list[Action]:
        if self._builder.ended:
            self._note_outcome()
        error = self._builder.error
        if error is not None and not self._streaming and not (self._client_stream and self._builder.response["output"]):
            return [self._answer_error(error)]
        if self._client_stream:
            return self._tell_stream(events)
        return [self._answer_json(self._builder.response)] if self._builder.ended else []

    def _tell_stream(self, events: Sequence[Event]) -> list[Action]:
        if not events:
            return []
        actions: list[Action] = []
        if not self._streaming:
            self._streaming = True
            actions.append(self._head(200, "text/event-stream; charset=utf-8"))
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
        self._remember(response["output"])


class ChatExchange(SingleExchange):
    """POST /v1/chat/completions: the provider's answer goes to the client as it comes."""

    def __init__(
        self,
        target: Target,
        body: JsonObject,
        *,
        stream: bool,
        record: Record,
        request_id: str,
        now: Callable[[], float],
        hide: Callable[[str], str],
    ) -> None:
        super().__init__(target, body, stream=stream, record=record, request_id=request_id, now=now, hide=hide)
        self._streaming = False

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        actions = super().upstream_head(status, headers)
        if actions or self._failure is not None:
            return actions
        self._streaming = True
        usual = "text/event-stream" if self._stream_upstream else "application/json"
        return [self._head(status, headers.get("content-type", usual))]

    def _feed(self, data: bytes) -> list[Action]:
        return [Data(data)]

    def _finish(self) -> list[Action]:
        self._close(outcome="completed")
        return [End()]

    def _fail(self, error: ApiError) -> list[Action]:
        if not self._streaming:
            return [self._answer_error(error)]
        self._close(outcome=f"failed {error.code}")
        return [Data(f"data: {dumps(error.envelope())}\n\n".encode()), End()]
