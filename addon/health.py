"""Which servers, models and keys have failed lately, and when they are to be tried again.

Everything has a name ("deepseek/deepseek-chat", "deepseek#2") and is well until it fails. Then it rests: longer each
time, or as long as it said itself. After the rest one call may probe it; the others wait for what comes of that.
Failures during a rest are of calls that had begun before, and make it no longer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

FIRST_REST_S = 5.0
LONGEST_REST_S = 300.0
LONGEST_ASKED_REST_S = 3600.0
"""A provider may ask for more than the bridge would give it by itself, and not for ever."""
PROBE_S = 60.0
"""A probe that has said nothing for so long does not hold up the next one."""
FORGOTTEN_AFTER_S = 3600.0
"""What failed once and was then not asked for so long begins anew."""
MOST_ILL = 10_000
"""Names of models may come from clients, so there is no end to those that can fail; the oldest are forgotten."""

Tell: TypeAlias = Callable[[int, str], None]
"""Told of what people should know, with a level of `logging`."""


def _tell_nobody(level: int, message: str) -> None:
    pass


@dataclass(slots=True)
class Illness:
    """What is known of something that has failed."""

    failures: int
    """One after the other."""
    until: float
    """When it may be tried again; seconds since the epoch, so that several machines understand it."""
    probed: float | None = None
    """When the last probe began."""


class Health:
    """Keeps count of failures.

    Args:
        now: seconds since the epoch.
        tell: hears of each rest that begins, and of all that is well again.
    """

    def __init__(self, now: Callable[[], float], tell: Tell = _tell_nobody) -> None:
        self._now = now
        self._tell = tell
        self._ill: dict[str, Illness] = {}

    def failed(self, name: str, asked_rest: float | None = None, why: str = "") -> None:
        """A call has failed because of it.

        Args:
            asked_rest: the seconds its provider wants to be left alone.
            why: for people.
        """
        now = self._now()
        asked = None if asked_rest is None else max(0.0, min(asked_rest, LONGEST_ASKED_REST_S))
        before = self._ill.pop(name, None)
        if before is not None and now < before.until:
            self._ill[name] = Illness(before.failures, max(before.until, now + (asked or 0)))
            return
        failures = before.failures + 1 if before and now - before.until < FORGOTTEN_AFTER_S else 1
        rest = min(FIRST_REST_S * 2 ** min(failures - 1, 16), LONGEST_REST_S) if asked is None else asked
        self._ill[name] = Illness(failures, now + rest)
        if len(self._ill) > MOST_ILL:
            del self._ill[next(iter(self._ill))]
        self._tell(logging.WARNING, f"{name} rests for {rest:.0f} s{f' ({why})' if why else ''}")

    def succeeded(self, names: Iterable[str]) -> None:
        """A call was answered; whatever had failed of this is well again."""
        for name in names:
            if self._ill.pop(name, None) is not None:
                self._tell(logging.INFO, f"{name} is well again")

    def forget(self) -> None:
        """Whatever has failed may have been mended: all counts as well until it fails anew."""
        self._ill.clear()

    def is_well(self, names: Iterable[str]) -> bool:
        """Whether a call may go there: nothing of it rests, or the rest is over and nobody else probes it now."""
        return all(self.rest(name) == 0 for name in names)

    def rest(self, name: str) -> float:
        """Seconds until it may be tried; 0 if at once."""
        illness = self._ill.get(name)
        if illness is None:
            return 0
        now = self._now()
        probing = illness.probed + PROBE_S - now if illness.probed is not None else 0
        return max(0.0, illness.until - now, probing)

    def begin(self, names: Iterable[str]) -> None:
        """A call goes there. Of what has failed before, this is the probe."""
        for name in names:
            illness = self._ill.get(name)
            if illness is not None:
                illness.probed = self._now()

    def ill(self) -> dict[str, Illness]:
        """All that has failed and not succeeded since."""
        return dict(self._ill)

    def learn(self, name: str, illness: Illness) -> None:
        """What another bridge knows, if that is newer."""
        mine = self._ill.get(name)
        if mine is not None and (illness.until, illness.failures) <= (mine.until, mine.failures):
            return
        self._ill[name] = illness
        rest = illness.until - self._now()
        if rest > 0:
            self._tell(logging.WARNING, f"{name} rests for {rest:.0f} s (another bridge says so)")
