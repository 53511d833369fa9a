"""FollowExchange: the events that another call brings about, from any of them on, for a client that comes later.

The events are those of the first stream, with their numbers. So signs of life, which have none, are comments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from addon.actions import Action, Answer, Data, End, Head
from addon.background.log import EventSource, type_of
from addon.exchange import Exchange, Record
from addon.state import store_trouble
from addon.store.errors import StoreError
from addon.store.records import StoredEvent
from addon.translate.errors import ApiError

PORTION: Final = 256 * 1024
"""Bytes that are sent before it is looked whether the client takes them."""

SIGN_OF_LIFE: Final = b": keep-alive\n\n"


class FollowExchange(Exchange):
    """No provider is called for it.

    Args:
        after: the number of the last event that the client knows.
        every: seconds of silence until a sign of life is sent.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        source: EventSource,
        record: Record,
        headers: Mapping[str, str],
        *,
        after: int,
        every: float,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._headers = headers
        self._last = after
        self._every = every
        self._clock = clock
        self._began = self._spoke = self._looked = clock()
        self._unsent: deque[StoredEvent] = deque()
        self._complete = False
        self._over = False
        self._wake: Callable[[], None] = _nothing
        self._woken = False
        self.record = record

    @property
    def over(self) -> bool:
        return self._over

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._source.listen(self._there_is_more)

    def begin(self) -> list[Action]:
        try:
            self._look()
        except StoreError as error:
            trouble = store_trouble(error)
            self._close(trouble.status, f"error {trouble.code}")
            return [Answer.error(trouble, self._headers)]
        self.record.status, self.record.first_event_s = 200, self._clock() - self._began
        head = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **self._headers}
        return [Head(200, head), *self._say()]

    @property
    def alarm(self) -> float:
        if self._unsent or self._woken:
            return self._clock()
        return min(self._looked + self._source.poll_s, self._spoke + self._every)

    def tick(self) -> list[Action]:
        if self._over:
            return []
        self._woken = False
        self._try_to_look()
        said = self._say()
        return said if said or self._clock() < self._spoke + self._every else [self._data(SIGN_OF_LIFE)]

    def client_gone(self) -> None:
        if not self._over:
            self._close(self.record.status, "client gone")

    def give_up(self, error: ApiError, *, begun: bool) -> list[Action]:
        """The client has what is there. It may ask for the rest elsewhere, or later."""
        if self._over:
            return []
        self._close(200 if begun else error.status, f"error {error.code}")
        return [End()] if begun else [Answer.error(error, self._headers)]

    # --- what is not told apart: there is no provider

    def upstream_queued(self) -> None: ...

    def upstream_begins(self) -> None: ...

    def upstream_busy(self) -> list[Action]:
        return []

    def upstream_connected(self) -> None: ...

    def upstream_alive(self) -> None: ...

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        return []

    def upstream_data(self, data: bytes) -> list[Action]:
        return []

    def upstream_end(self) -> list[Action]:
        return []

    def upstream_lost(self, message: str) -> list[Action]:
        return []

    # --- events

    def _there_is_more(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()

    def _try_to_look(self) -> None:
        """A store that cannot be read now may be so the next time."""
        try:
            self._look()
        except StoreError:
            self._looked = self._clock()

    def _look(self) -> None:
        self._looked = self._clock()
        if not self._unsent and not self._complete:
            batch = self._source.read(self._last)
            self._unsent.extend(batch.events)
            self._complete = batch.ended

    def _say(self) -> list[Action]:
        """The next portion, and the end behind the last one."""
        portion = bytearray()
        while self._unsent and len(portion) < PORTION:
            event = self._unsent.popleft()
            portion += b"event: %s\ndata: %s\n\n" % (type_of(event).encode(), event.data)
            self._last = event.number
        actions: list[Action] = [self._data(bytes(portion))] if portion else []
        if self._complete and not self._unsent:
            self._close(200, "followed")
            actions.append(End())
        return actions

    def _data(self, data: bytes) -> Data:
        self._spoke = self._clock()
        return Data(data)

    def _close(self, status: int, outcome: str) -> None:
        self._over = True
        self._source.leave(self._there_is_more)
        self.record.status, self.record.outcome = status, outcome
        self.record.total_s = self._clock() - self._began
        if self.record.first_event_s is None:
            self.record.first_event_s = self.record.total_s


def _nothing() -> None:
    pass
