"""BackgroundExchange: a call that goes on without its client, until it has its answer or nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from addon.actions import Action, Cancel, End
from addon.background.job import Job, UnattendedAnswer
from addon.exchange import Exchange, Record
from addon.translate.errors import ApiError

STOPPED_IN_PROXY: Final = ApiError.bridge("The call was stopped in the proxy.", code="server_error")

AT_ONCE: Final = 0.0
"""A time that any clock has passed."""


class BackgroundExchange(Exchange):
    """
    Args:
        client: what is told of the answer.
        call: the call itself, which tells it.
    """

    def __init__(self, job: Job, client: UnattendedAnswer, call: Exchange) -> None:
        self._job = job
        self._client = client
        self._call = call
        self.record = call.record

    @property
    def records(self) -> Sequence[Record]:
        return self._call.records

    @property
    def over(self) -> bool:
        return self._call.over

    def listen(self, wake: Callable[[], None]) -> None:
        self._job.on_stop(wake)

    def begin(self) -> list[Action]:
        actions = self._client.begin()
        self._job.begin()
        return [*actions, *(self._stop() if self._job.stopped else self._call.begin())]

    @property
    def alarm(self) -> float:
        return AT_ONCE if self._job.stopped else min(self._call.alarm, self._job.writer.due)

    def tick(self) -> list[Action]:
        self._job.tick()
        return [] if self._call.over else self._unless_stopped(self._call.tick())

    def upstream_queued(self) -> None:
        self._call.upstream_queued()

    def upstream_begins(self) -> None:
        self._call.upstream_begins()

    def upstream_busy(self) -> list[Action]:
        return self._unless_stopped(self._call.upstream_busy())

    def upstream_connected(self) -> None:
        self._call.upstream_connected()

    def upstream_alive(self) -> None:
        self._call.upstream_alive()

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        return self._unless_stopped(self._call.upstream_head(status, headers))

    def upstream_data(self, data: bytes) -> list[Action]:
        return self._unless_stopped(self._call.upstream_data(data))

    def upstream_end(self) -> list[Action]:
        return self._unless_stopped(self._call.upstream_end())

    def upstream_lost(self, message: str) -> list[Action]:
        return self._unless_stopped(self._call.upstream_lost(message))

    def client_gone(self) -> None:
        """There is no client: somebody has killed the flow."""
        self._call.client_gone()
        self._job.fail(STOPPED_IN_PROXY)

    def give_up(self, error: ApiError, *, begun: bool) -> list[Action]:
        actions = self._call.give_up(error, begun=begun)
        self._job.fail(error)
        return actions

    def _unless_stopped(self, actions: list[Action]) -> list[Action]:
        return self._stop() if self._job.stopped and not self._call.over else actions

    def _stop(self) -> list[Action]:
        self._call.client_gone()
        self._call.record.outcome = "cancelled"
        return [Cancel("the response was cancelled"), End()]
