"""A Responses answer as its client hears it: streamed event by event, or whole at its end, and kept alive meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from addon.actions import Action, Answer, Data, End, Head
from addon.translate.output import ResponseBuilder
from addon.wire.json import dump_bytes, dumps
from addon.wire.responses import Event
from addon.wire.sse import encode

BINDING_NOTHING = frozenset({"response.created", "response.queued", "response.in_progress", "keepalive"})
"""Events after which any provider may still be the one that answers."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a client hears something though its provider is silent. All in seconds."""

    early_headers_after: float = 15
    """A stream is opened, with `response.created`, this long after the call began."""
    json_after: float = 240
    """A whole answer is begun with blanks: clients on Node give up 300 s after their request without any headers."""
    every: float = 15
    """Silence in an answer that was begun: Codex gives up after 300 s without an event, proxies often after 60."""


class ClientAnswer:
    """What the client has heard so far of one response. The builder outlives the tries that feed it.

    Args:
        stream: the client wants a stream.
        clock: seconds that only ever grow.

    `head`, wherever it is asked for, makes the head of an answer of a content type: status 200, and the headers that
    are known by then.
    """

    def __init__(self, builder: ResponseBuilder, *, stream: bool, pace: Pace, clock: Callable[[], float]) -> None:
        self.builder = builder
        self.stream = stream
        self.begun = False
        """The client has the beginning of an answer: its status can no longer be anything but 200."""
        self.bound = False
        """The client has heard of an output item: only the provider that it came from can go on."""
        self._pace = pace
        self._clock = clock
        self._spoke = clock()
        self._events = 0

    def retract(self) -> None:
        """Another try: what the last one said, and the client has not heard, is forgotten."""
        self.builder.retract(self._events)

    def tell(self, events: Sequence[Event], head: Callable[[str], Head]) -> list[Action]:
        """What the client hears of these events, and of the end if the response has ended."""
        if self.stream:
            return self._tell_stream(events, head) if events else []
        return self.tell_whole(self.builder.response, head) if self.builder.ended else []

    def tell_whole(self, value: object, head: Callable[[str], Head]) -> list[Action]:
        """The answer at once, for a client that wants no stream."""
        if self.begun:
            return [self._said(dump_bytes(value)), End()]
        self.begun = True
        return [Answer(200, head("application/json").headers, dump_bytes(value))]

    @property
    def alarm(self) -> float:
        """When `tick` has something to say, if nothing else is said until then."""
        if self.begun:
            return self._spoke + self._pace.every
        return self._spoke + (self._pace.early_headers_after if self.stream else self._pace.json_after)

    def tick(self, head: Callable[[str], Head]) -> list[Action]:
        """A sign of life, if it is time for one."""
        if self._clock() < self.alarm or self.builder.ended:
            return []
        if self.stream:
            if self.begun:
                self.builder.keep_alive()
            else:
                self.builder.start()
            return self._tell_stream(self.builder.take(), head)
        return [*self._begin("application/json", head), self._said(b"\n")]

    def _tell_stream(self, events: Sequence[Event], head: Callable[[str], Head]) -> list[Action]:
        actions = self._begin("text/event-stream; charset=utf-8", head)
        self._events += len(events)
        self.bound = self.bound or any(event.type not in BINDING_NOTHING for event in events)
        actions.append(self._said(encoded(events)))
        if self.builder.ended:
            actions.append(End())
        return actions

    def _begin(self, content_type: str, head: Callable[[str], Head]) -> list[Action]:
        if self.begun:
            return []
        self.begun = True
        return [head(content_type)]

    def _said(self, data: bytes) -> Data:
        self._spoke = self._clock()
        return Data(data)


def encoded(events: Iterable[Event]) -> bytes:
    """Events as a client reads them."""
    return b"".join(encode(event.type, dumps(event.payload())) for event in events)
