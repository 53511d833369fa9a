"""A circuit breaker: what has just failed is left alone for a while, so that nobody waits for it in vain."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from addon.store.errors import StoreUnavailable


class Breaker:
    """
    Args:
        now: a clock in seconds; which one does not matter.
        pause: seconds between a failure and the next attempt.
    """

    def __init__(self, now: Callable[[], float], pause: float) -> None:
        self._now = now
        self._pause = pause
        self._lock = Lock()
        self._reason: str | None = None
        self._next_attempt = 0.0

    def check(self) -> None:
        """Pass if an attempt is in order. After a pause one caller makes it, and the others go on waiting for that.

        Raises:
            StoreUnavailable: it is not.
        """
        with self._lock:
            if self._reason is None:
                return
            remaining = self._next_attempt - self._now()
            if remaining > 0:
                raise StoreUnavailable(f"{self._reason} It is left alone for another {remaining:.1f} s.")
            self._next_attempt = self._now() + self._pause

    def failed(self, reason: str) -> None:
        with self._lock:
            self._reason = reason
            self._next_attempt = self._now() + self._pause

    def succeeded(self) -> None:
        with self._lock:
            self._reason = None
