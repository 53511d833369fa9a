"""How the streams of one client connection reach each other and the bridge."""

from __future__ import annotations

from typing import Protocol

from mitmproxy.proxy import events

from addon.actions import Attempt
from addon.proxy.reading import Pace
from addon.proxy.traffic import Traffic
from addon.service import Service


class Switchboard(Protocol):
    """What `BridgeLayer` does for its streams."""

    service: Service
    traffic: Traffic

    def post(self, stream_id: int, message: events.Event) -> None:
        """Hand a message to a stream, after all that is going on now has been done."""

    def set_alarm(self, stream_id: int, at: float | None) -> None:
        """Have a `Tick` posted to a stream at a time of the service's clock, not an earlier one; None: never."""

    def wake(self, stream_id: int) -> None:
        """Have a `Tick` posted to a stream soon. May be asked for at any time, and from anywhere."""

    def open_attempt(self, attempt: Attempt, client_id: int, *, again: bool) -> int:
        """Begin a call of a provider on behalf of a client's stream, `again` if it is not its first; its stream id."""

    def unsent(self, stream_id: int) -> int:
        """Bytes of a stream that an HTTP/2 client has not let through yet."""

    def look_at_client(self) -> Pace:
        """Whether the client reads."""

    def drop_client(self, why: str) -> None:
        """Close the client's connection, and forget what was not sent."""

    def attempt_over(self, stream_id: int) -> None:
        """An attempt says that its connection is free, or closed."""
