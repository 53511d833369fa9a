"""How the streams of one client connection reach each other and the bridge."""

from __future__ import annotations

from typing import Protocol

from mitmproxy.proxy import events

from addon.exchange import Attempt
from addon.service import Service


class Switchboard(Protocol):
    """What `BridgeLayer` does for its streams."""

    service: Service

    def post(self, stream_id: int, message: events.Event) -> None:
        """Hand a message to a stream, after all that is going on now has been done."""

    def open_attempt(self, attempt: Attempt, client_id: int) -> int:
        """Begin a call of a provider on behalf of a client's stream; its stream id."""

    def attempt_over(self, stream_id: int) -> None:
        """An attempt says that its connection is free, or closed."""
