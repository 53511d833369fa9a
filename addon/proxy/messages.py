"""What the streams of one client connection tell each other, by way of the layer's mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mitmproxy.proxy import events


@dataclass
class AttemptBegins(events.Event):
    """To an attempt: call the provider now."""


@dataclass
class AttemptCancelled(events.Event):
    """To an attempt: nobody wants the answer any more."""

    why: str


@dataclass
class AttemptUnwanted(events.Event):
    """To an attempt: the client has its answer; what little is left may be read so that the connection stays usable."""


@dataclass
class Tick(events.Event):
    """To a stream: the time has come that it asked to be told of."""


@dataclass
class FromAttempt(events.Event):
    """To the client's stream: something happened upstream."""

    attempt: int
    """Stream id of the attempt; what comes of one that has been given up counts no more."""


@dataclass
class UpstreamQueued(FromAttempt):
    """Too many others run: it waits for its turn."""


@dataclass
class UpstreamBegins(FromAttempt):
    """It has waited, and now begins."""


@dataclass
class UpstreamBusy(FromAttempt):
    """Too many others wait: it is not made."""


@dataclass
class UpstreamConnected(FromAttempt):
    """The request is on its way on a connection that stands."""


@dataclass
class UpstreamAlive(FromAttempt):
    """A portion has come of an answer that is handed on when it is whole."""


@dataclass
class UpstreamHead(FromAttempt):
    """The provider's status and headers."""

    status: int
    headers: Mapping[str, str]


@dataclass
class UpstreamData(FromAttempt):
    """A portion of the provider's body."""

    data: bytes


@dataclass
class UpstreamEnd(FromAttempt):
    """The provider's body is complete."""


@dataclass
class UpstreamLost(FromAttempt):
    """There is no (more) answer."""

    message: str
