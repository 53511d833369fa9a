"""What this process makes in the background: how much at once, who waits, and what others have left unfinished."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from addon.background.ending import abandon
from addon.background.exchange import BackgroundExchange
from addon.background.following import FollowExchange
from addon.background.job import Job, UnattendedAnswer
from addon.background.log import EventSource, KeptEvents
from addon.background.writer import Lease, Writer
from addon.client_answer import ClientAnswer
from addon.config.model import Background, Keepalive
from addon.exchange import Exchange, Record
from addon.state import Storage, Turn
from addon.store.errors import StoreError
from addon.store.interface import ResponseStore
from addon.store.records import StoredResponse, is_running
from addon.translate.errors import BUSY, ApiError
from addon.translate.output import ResponseBuilder
from addon.wire.responses import ResponseObject

logger = logging.getLogger("responses_bridge")

SWEEP_S: Final = 10.0
"""How often it is looked for what others have left unfinished."""

BUSY_RETRY_S: Final = "15"
"""When a client may try again that finds no place in the line."""


class Start(Protocol):
    def __call__(self, exchange: Exchange, response_id: str, /) -> None:
        """Have an exchange carried out that has no client. Returns before that has begun."""


_Key: TypeAlias = tuple[str, str]
"""Owner and id of a response."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A job in the line."""

    job: Job
    client: UnattendedAnswer
    make: Callable[[ClientAnswer], Exchange]


class Jobs:
    """
    Args:
        ids: makes an id that was never used, from a prefix.
        clock: seconds that only ever grow.
        start: None: nothing can be made in the background here.
    """

    def __init__(
        self, storage: Storage, *, ids: Callable[[str], str], clock: Callable[[], float], start: Start | None
    ) -> None:
        self._limits = Background()
        self._keepalive = Keepalive()
        self._storage = storage
        self._ids = ids
        self._clock = clock
        self._start = start
        self._process = ids("process")
        self._lease: tuple[ResponseStore, Lease] | None = None
        self._waiting: dict[_Key, _Place] = {}
        self._running: dict[_Key, Job] = {}
        self._unwritten: list[Writer] = []
        """Of those that have ended while the store could not be written to."""
        self._sweep = clock()

    def configure(self, limits: Background, keepalive: Keepalive) -> None:
        """Take up a configuration."""
        self._limits, self._keepalive = limits, keepalive

    # --- a new one

    def submit(
        self, turn: Turn, new_builder: Callable[[], ResponseBuilder], make: Callable[[ClientAnswer], Exchange]
    ) -> Job:
        """Store a response as queued, and have it made as soon as there is room.

        Args:
            make: the call that makes it; refuses what cannot be served.

        Raises:
            ApiError: it cannot be made in the background.
            StoreError: it cannot be kept, now or at all.
        """
        store = self._admit(turn)
        place = self._place(turn, store, new_builder(), make)
        if not self._is_full:
            call = make(place.client)
            self._enter(place, turn, store)
            self._run(replace(place, make=lambda _: call))
        else:
            make(self._place(turn, store, new_builder(), make).client)  # it is made again when its turn has come
            self._enter(place, turn, store)
            self._waiting[_key(place.job)] = place
            place.job.writer.write()
        return place.job

    def _place(
        self, turn: Turn, store: ResponseStore, builder: ResponseBuilder, make: Callable[[ClientAnswer], Exchange]
    ) -> _Place:
        writer = Writer(store.responses, self._lease_in(store), turn.caller, builder.id, self._clock)
        job = Job(turn.caller, builder, writer, self._over)
        return _Place(job, UnattendedAnswer(job, builder, self._clock), make)

    def _enter(self, place: _Place, turn: Turn, store: ResponseStore) -> None:
        builder = place.client.builder
        builder.wait()
        self._lease_in(store).hold()
        store.responses.add(turn.caller, turn.stored(builder.stored(), runner=self._process))
        place.client.wait()

    def _admit(self, turn: Turn) -> ResponseStore:
        if self._start is None:
            raise _refused("This bridge makes nothing in the background. Ask for a stream instead.")
        if turn.request.store is False:
            raise _refused("What is made in the background is retrieved later: it needs `store: true`.")
        if self._storage.is_off:
            raise _refused(
                "This bridge keeps no responses (`store` is `off` in its configuration), so none could be retrieved "
                "later. Ask for a stream instead."
            )
        if self._is_full and len(self._waiting) >= self._limits.queued:
            raise _busy()
        return self._storage.require()

    def _lease_in(self, store: ResponseStore) -> Lease:
        if self._lease is None or self._lease[0] is not store:
            self._lease = store, Lease(store.leases, self._process, self._clock)
        return self._lease[1]

    # --- one after the other

    def _run(self, place: _Place) -> None:
        assert self._start is not None, "nothing is admitted without it"
        self._running[_key(place.job)] = place.job
        try:
            call = place.make(place.client)
        except ApiError as error:
            place.job.fail(error)
        except Exception:
            logger.exception("A call in the background could not be planned; its response has failed.")
            place.job.fail(_broken())
        else:
            self._start(BackgroundExchange(place.job, place.client, call), place.job.id)

    @property
    def _is_full(self) -> bool:
        return len(self._running) >= self._limits.concurrent

    def _over(self, job: Job) -> None:
        self._waiting.pop(_key(job), None)
        self._running.pop(_key(job), None)
        if not job.writer.settled:
            self._unwritten.append(job.writer)
        while self._waiting and not self._is_full:
            self._run(self._waiting.pop(next(iter(self._waiting))))

    def stop(self, error: ApiError) -> None:
        """The process is about to end: what still waits fails now. What runs is ended by those who carry it out."""
        waiting, self._waiting = self._waiting, {}
        for place in waiting.values():
            place.job.fail(error)

    # --- what is asked of them

    def cancel(self, owner: str, response_id: str) -> StoredResponse | None:
        """End a response, wherever it is made, unless it has ended. Raises: ApiError, StoreError.

        Returns: what has become of it; None: there is no such response.
        """
        responses = self._storage.require().responses
        found = responses.get(owner, response_id)
        if found is None or not is_running(found.response):
            return found
        cancelled = found.response.copy()
        cancelled["status"] = "cancelled"
        job = self._find(owner, response_id)
        if job is not None:
            job.cancel(cancelled)
        else:
            responses.update(owner, cancelled)
        return responses.get(owner, response_id)

    def deleted(self, owner: str, response_id: str) -> None:
        """A response is no longer in the store."""
        job = self._find(owner, response_id)
        if job is not None:
            job.delete()

    def follow(self, owner: str, response: ResponseObject, after: int) -> Exchange:
        """A stream of the events of a response that was, or is, made in the background. Raises: ApiError, StoreError.

        Args:
            after: the number of the last event that the client knows; -1: none.
        """
        job = self._find(owner, response["id"])
        kept = self._storage.require().responses
        source: EventSource = KeptEvents(kept, owner, response["id"]) if job is None else job.log
        return FollowExchange(
            source,
            Record("responses/stream", response["model"], response["id"]),
            {"x-request-id": self._ids("req")},
            after=after,
            every=self._keepalive.every_s,
            clock=self._clock,
        )

    def _find(self, owner: str, response_id: str) -> Job | None:
        place = self._waiting.get((owner, response_id))
        return self._running.get((owner, response_id)) if place is None else place.job

    # --- time

    def look_after(self) -> None:
        """To be called every second or so, as long as the process lives."""
        for place in list(self._waiting.values()):
            place.job.tick()
        for job in list(self._running.values()):
            job.tick()
        for writer in self._unwritten:
            writer.tick()
        self._unwritten = [writer for writer in self._unwritten if not writer.settled]
        if self._clock() >= self._sweep:
            self._sweep = self._clock() + SWEEP_S
            self._end_abandoned()

    def _end_abandoned(self) -> None:
        """What is not come to now will be found again."""
        try:
            store = self._storage.find()
            if store is None:
                return
            for found in store.leases.abandoned(self._process):
                abandon(store.responses, found)
                logger.warning("The response %s was left unfinished; it has failed.", found.stored.response["id"])
        except StoreError as error:
            logger.debug("It could not be looked for unfinished responses: %s", error)


def _key(job: Job) -> _Key:
    return job.owner, job.id


def _refused(message: str) -> ApiError:
    return ApiError.bad_request(message, param="background", code="background_not_possible")


def _busy() -> ApiError:
    message = "The bridge has as many responses to make in the background as it takes (`background` in bridge.yaml)."
    headers = {"retry-after": BUSY_RETRY_S}
    return ApiError(429, f"{message} Try again in a minute.", BUSY, "rate_limit_error", headers=headers)


def _broken() -> ApiError:
    message = "The bridge failed while it prepared this call; its log says why. This is a bug of the bridge."
    return ApiError.bridge(message, code="bridge_error")
