"""How many calls of providers run at once, in all and of each; the others wait in line, and the line has an end."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(eq=False)
class Turn:
    """The place of one call: in the line first, then among those that run."""

    provider: str
    most: int | None
    """Calls of the provider that may run at once."""
    waits: bool = True
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it waits no longer."""


class Turns:
    """Gives out turns, first come, first served. A provider that has no room holds up nobody who goes elsewhere."""

    def __init__(self) -> None:
        self.most_running = 1024
        self.most_waiting = 256
        self._running: Counter[str] = Counter()
        self._waiting: deque[Turn] = deque()

    @property
    def running(self) -> int:
        """Calls under way."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Calls in the line."""
        return len(self._waiting)

    def ask(self, provider: str, most: int | None, *, again: bool = False) -> Turn | None:
        """A turn that runs, or waits; None if the line is full.

        Args:
            most: calls of the provider that may run at once.
            again: the call has had a turn that came to nothing: it goes to the head of the line, however long that is.
        """
        turn = Turn(provider, most)
        if self._may_run(turn):
            self._run(turn)
        elif again:
            self._waiting.appendleft(turn)
        elif len(self._waiting) < self.most_waiting:
            self._waiting.append(turn)
        else:
            return None
        return turn

    def give_back(self, turn: Turn) -> None:
        """The call is over, or is wanted no more."""
        if turn.waits:
            self._waiting.remove(turn)
            turn.waits = False
            turn.gone.set()
        else:
            self._running[turn.provider] -= 1
            self._running += Counter()  # forgets those that have come to 0
        for each in list(self._waiting):
            if self._may_run(each):
                self._waiting.remove(each)
                self._run(each)

    def _may_run(self, turn: Turn) -> bool:
        if self.running >= self.most_running:
            return False
        return turn.most is None or self._running[turn.provider] < turn.most

    def _run(self, turn: Turn) -> None:
        self._running[turn.provider] += 1
        turn.waits = False
        turn.gone.set()
