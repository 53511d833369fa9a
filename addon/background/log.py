"""The events of a response that is made in the background, as those who follow it read them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from addon.state.items import shown_response
from addon.store.interface import Responses
from addon.store.records import StoredEvent, is_running
from addon.translate.replay import replay
from addon.wire.json import dump_bytes
from addon.wire.responses import Event, ResponseObject

POLL_S: Final = 0.5
"""How often the store is asked for what another process has written there."""

_TYPE: Final = re.compile(rb'\{"type":"([a-z_.]+)"')
"""How the bridge begins an event."""

_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True)
class Batch:
    """What has come since the last time."""

    events: Sequence[StoredEvent]
    ended: bool
    """There will be no more."""


class EventSource(Protocol):
    """Where the events of one response are read."""

    poll_s: float
    """How often to look for more."""

    def read(self, after: int) -> Batch:
        """Those with higher numbers than `after`. Raises: StoreError."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when there is more, if that is known here."""

    def leave(self, wake: Callable[[], None]) -> None:
        """Do so no longer."""


class EventLog:
    """All that a response of this process has told, from its first event on, without a gap."""

    poll_s = math.inf

    def __init__(self) -> None:
        self._events: list[StoredEvent] = []
        self._listeners: list[Callable[[], None]] = []
        self.ended = False

    def add(self, events: Sequence[StoredEvent]) -> None:
        self._events.extend(events)
        self._tell()

    def end(self) -> None:
        """Nothing more will come, whether or not the last event says so."""
        self.ended = True
        self._tell()

    def read(self, after: int) -> Batch:
        return Batch(self._events[after + 1 :], self.ended)

    def listen(self, wake: Callable[[], None]) -> None:
        self._listeners.append(wake)

    def leave(self, wake: Callable[[], None]) -> None:
        if wake in self._listeners:
            self._listeners.remove(wake)

    def _tell(self) -> None:
        for wake in list(self._listeners):
            wake()


class KeptEvents:
    """The events that the store has of a response, whoever works on it."""

    poll_s = POLL_S

    def __init__(self, responses: Responses, owner: str, response_id: str) -> None:
        self._responses = responses
        self._owner = owner
        self._id = response_id

    def read(self, after: int) -> Batch:
        events = self._events(after)
        if events:
            return Batch(events, ends(events))
        found = self._responses.get(self._owner, self._id)
        if found is None:
            return Batch((), ended=True)
        if is_running(found.response):
            return Batch((), ended=False)
        events = self._events(after)  # the last ones came together with the end
        return Batch(events or self._left_out(found.response, after), ended=True)

    def listen(self, wake: Callable[[], None]) -> None:
        """The store tells nobody."""

    def leave(self, wake: Callable[[], None]) -> None:
        pass

    def _events(self, after: int) -> Sequence[StoredEvent]:
        return self._responses.events(self._owner, self._id, after)

    def _left_out(self, response: ResponseObject, after: int) -> Sequence[StoredEvent]:
        """Of a response that has told more than is kept, at least how it ended."""
        told = self._events(-1)
        ending = replay(shown_response(response, ()))[-1]
        if ends(told) or ending.type not in _ENDS:
            return ()
        number = max(after, told[-1].number if told else -1) + 1
        return [stored_event(replace(ending, sequence_number=number))]


def ends(events: Sequence[StoredEvent]) -> bool:
    """Whether the last of them ends the stream."""
    return bool(events) and type_of(events[-1]) in _ENDS


def type_of(event: StoredEvent) -> str:
    found = _TYPE.match(event.data)
    return found[1].decode() if found is not None else "message"


def stored_event(event: Event) -> StoredEvent:
    return StoredEvent(event.sequence_number, dump_bytes(event.payload()))
