"""What a response that is made in the background tells, on its way into the store: many events at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from addon.store.errors import StoreError
from addon.store.interface import Leases, Responses
from addon.store.records import StoredEvent
from addon.wire.responses import ResponseObject

logger = logging.getLogger("responses_bridge")

BATCH_S: Final = 0.2
"""How long an event may wait for others to be written with."""

BATCH_EVENTS: Final = 64
"""How many events wait at most."""

LEASE_S: Final = 30.0
"""How long a process that says nothing counts as alive."""

RENEWAL_S: Final = 10.0
"""How often a process says that it is alive."""

LOOK_S: Final = 2.0
"""How often a response that tells nothing is looked for: it may have been cancelled by way of another process."""

RETRY_S: Final = 1.0
"""How long a store that could not be written to is left alone."""


class Lease:
    """Says in a store that this process is alive, as long as somebody asks it to.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(self, leases: Leases, process: str, clock: Callable[[], float]) -> None:
        self._leases = leases
        self._process = process
        self._clock = clock
        self._renewal = clock()

    def hold(self) -> None:
        """Raises: StoreError."""
        if self._clock() >= self._renewal:
            self._leases.hold(self._process, LEASE_S)
            self._renewal = self._clock() + RENEWAL_S


class Writer:
    """Keeps the store up to date with one running response. What it cannot write now, it writes later.

    Args:
        lease: of this process, which works on the response.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, responses: Responses, lease: Lease, owner: str, response_id: str, clock: Callable[[], float]
    ) -> None:
        self._responses = responses
        self._lease = lease
        self._owner = owner
        self._id = response_id
        self._clock = clock
        self._events: list[StoredEvent] = []
        self._response: ResponseObject | None = None
        self._troubled = False
        self.due = clock() + LOOK_S
        """When `tick` is to be called, at the latest."""
        self.lost = False
        """The response is not running any more: it was cancelled or deleted, or has ended otherwise."""

    @property
    def settled(self) -> bool:
        """Nothing is left to be written."""
        return self._response is None and not self._events

    def add(self, events: Sequence[StoredEvent]) -> None:
        """Write these before long."""
        if not self._events and not self._troubled:
            self.due = min(self.due, self._clock() + BATCH_S)
        self._events.extend(events)
        if len(self._events) >= BATCH_EVENTS and not self._troubled:
            self.write()

    def put(self, response: ResponseObject) -> None:
        """Write what has become of the response now, with the events that are waiting."""
        self._response = response
        self.write()

    def drop(self) -> None:
        """Write nothing more: there is nothing to keep it in."""
        self.lost = True
        self._settle()

    def tick(self) -> None:
        """Time has passed."""
        with suppress(StoreError):  # it will be tried again long before the lease ends
            self._lease.hold()
        if self._clock() >= self.due:
            self.write()

    def write(self) -> None:
        """Write all that waits. If nothing does, see whether the response is still running."""
        if self.lost:
            return
        try:
            self.lost = not self._write()
        except StoreError as error:
            self._trouble(error)
        else:
            self._settle()

    def _write(self) -> bool:
        if self._response is not None:
            return self._responses.update(self._owner, self._response, self._events)
        return self._responses.append_events(self._owner, self._id, self._events)

    def _settle(self) -> None:
        self._events, self._response = [], None
        self._troubled = False
        self.due = self._clock() + LOOK_S

    def _trouble(self, error: StoreError) -> None:
        if not self._troubled:
            logger.warning("The response %s could not be stored, and will be tried again: %s", self._id, error)
        self._troubled = True
        self.due = self._clock() + RETRY_S
