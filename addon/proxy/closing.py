"""The end of the bridge: what is under way may come to its end, what comes now is refused, and then mitmproxy stops."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from mitmproxy import ctx

from addon.proxy.connections import Connections
from addon.proxy.layer import LOOK_S
from addon.proxy.traffic import Traffic

logger = logging.getLogger("responses_bridge")

SECONDS_BETWEEN_LOOKS = 0.02

GOODBYE_S = 2.0
"""How long connections of clients may take to close once all calls have ended."""


class Closing:
    """Takes the signals that end mitmproxy. The first one lets calls end; a second one ends it at once.

    Args:
        grace: the time, on the clock of the calls, and how many seconds they are given.
    """

    def __init__(self, traffic: Traffic, connections: Connections, grace: Callable[[], tuple[float, float]]) -> None:
        self._traffic = traffic
        self._connections = connections
        self._grace = grace
        self._task: asyncio.Task[None] | None = None

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the place of mitmproxy's own handlers. Ctrl-C in its console asks whether it is meant: that stays."""
        asks_itself = hasattr(ctx.master, "prompt_for_exit")
        for number in (signal.SIGTERM,) if asks_itself else (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self._told_to_stop)
            except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not in the main thread
                return

    def _told_to_stop(self) -> None:
        if self._traffic.closing:
            ctx.master.shutdown()
            return
        now, seconds = self._grace()
        self._traffic.close(now + seconds)
        self._task = asyncio.get_running_loop().create_task(self._close(seconds))

    async def _close(self, seconds: float) -> None:
        calls = self._traffic.under_way
        if calls:
            logger.warning("Stopping: %d calls have %g s to end. A second signal ends them at once.", calls, seconds)
        # Calls look at the clock every LOOK_S seconds; after that the process ends, whatever they do.
        await _until(lambda: not self._traffic.under_way and not self._connections.unsent_in_all(), seconds + LOOK_S)
        if self._traffic.under_way:
            logger.warning("Stopping: %d calls did not come to an end.", self._traffic.under_way)
        self._connections.close_all()
        await _until(lambda: not self._connections.clients, GOODBYE_S)
        ctx.master.shutdown()


async def _until(done: Callable[[], bool], most_s: float) -> None:
    """Wait for it, but no longer than `most_s`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + most_s
    while not done() and loop.time() < end:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
