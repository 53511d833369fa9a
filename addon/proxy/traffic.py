"""What the connections of one bridge have in common: the calls under way, whose turn it is, and the end of it all."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import http
from mitmproxy.proxy.layer import Layer

from addon.actions import Answer
from addon.background import Jobs
from addon.config import Config
from addon.proxy.turns import Turn, Turns
from addon.translate.errors import ApiError


class Traffic:
    """The calls under way in this process. It outlives a reload of the script, as open connections do."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.closes_at = math.inf
        """When calls that are still under way are ended, on the clock of the service; infinite: not at all."""
        self.jobs: WeakSet[Jobs] = WeakSet()
        """What is made in the background: by this bridge, and by those of earlier loads that are not done yet."""
        self._under_way: set[Layer] = set()
        self._waiting: WeakKeyDictionary[http.HTTPFlow, Turn] = WeakKeyDictionary()

    def configure(self, config: Config) -> None:
        """Take up the limits of a configuration."""
        self.turns.most_running = config.limits.concurrent_calls
        self.turns.most_waiting = config.limits.queued_calls

    @property
    def under_way(self) -> int:
        """Client calls that wait for a provider's answer, or are getting it."""
        return len(self._under_way)

    def enter(self, stream: Layer) -> None:
        """A client's call has begun to be served by a provider."""
        self._under_way.add(stream)

    def leave(self, stream: Layer) -> None:
        """It is over. May be said more than once."""
        self._under_way.discard(stream)

    # --- the line

    def will_wait(self, flow: http.HTTPFlow, turn: Turn) -> None:
        """The attempt of this flow is to wait for its turn in its first hook."""
        self._waiting[flow] = turn

    async def wait_for_turn(self, flow: http.HTTPFlow) -> None:
        """Returns when it is the turn of the flow, or it is given up."""
        turn = self._waiting.pop(flow, None)
        if turn is not None:
            await turn.gone.wait()

    def look_after_jobs(self) -> None:
        """To be called every second or so."""
        for jobs in list(self.jobs):
            jobs.look_after()

    # --- the end

    def close(self, at: float) -> None:
        """Refuse what comes now and what still waits to be made; end what is under way at a time of the clock."""
        self.closes_at = at
        for jobs in list(self.jobs):
            jobs.stop(stopping())

    @property
    def closing(self) -> bool:
        """Whether calls are refused, because the bridge is about to stop."""
        return self.closes_at != math.inf

    def refusal(self) -> Answer:
        """For a call that comes too late."""
        error = stopping()
        return Answer.error(error, {"connection": "close"})


def stopping() -> ApiError:
    """The bridge ends: another one, or this one started anew, may serve the call."""
    message = "The bridge is being stopped. Try again when it, or another one, runs."
    return ApiError(503, message, "bridge_stopping", "bridge_error", headers={"retry-after": "5"})
