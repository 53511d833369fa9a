"""Whether a client takes what it is sent, or has stopped to read."""

from __future__ import annotations

from enum import Enum, auto

KEPT = 16 * 1024
"""Unsent bytes below which nobody is slow: so far mitmproxy empties a full buffer before it goes on to read."""


class Pace(Enum):
    """How a client reads."""

    STEADY = auto()
    SLOW = auto()
    """It has not taken all. What its provider says is not read meanwhile, so its silence means nothing."""
    STOPPED = auto()
    """It has taken nothing for so long that it never will."""


class Reading:
    """Looks from time to time at how much waits to be sent to a client.

    Args:
        most_s: seconds in which it must have taken something.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._least = 0
        self._since: float | None = None

    def look(self, unsent: int, now: float) -> Pace:
        """Also slow is one that has just caught up: what its provider has said meanwhile is still to be read."""
        if unsent <= KEPT:
            caught_up, self._since = self._since is not None, None
            return Pace.SLOW if caught_up else Pace.STEADY
        if self._since is None or unsent < self._least:
            self._since = now
        self._least = unsent
        return Pace.STOPPED if now - self._since >= self._most_s else Pace.SLOW
