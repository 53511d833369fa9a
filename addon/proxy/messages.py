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
class UpstreamHead(events.Event):
    """To the client's stream: the provider's status and headers."""

    status: int
    headers: Mapping[str, str]


@dataclass
class UpstreamData(events.Event):
    """To the client's stream: a portion of the provider's body."""

    data: bytes


@dataclass
class UpstreamEnd(events.Event):
    """To the client's stream: the provider's body is complete."""


@dataclass
class UpstreamLost(events.Event):
    """To the client's stream: there is no (more) answer."""

    message: str
