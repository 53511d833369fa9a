"""Which of a route's targets serves a call: the one that knows the conversation, then in the configured order; first
those that are well. The keys of one provider take turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Protocol
from urllib.parse import urlsplit

from addon.health import Health
from addon.routing import Route, Target
from addon.translate.errors import BUSY, ApiError

MOST_CONVERSATIONS = 10_000

_KEY_TROUBLE = frozenset({401, 402, 403, 429})
_ELSEWHERE = frozenset({401, 402, 403, 404, 408, 409, 425, 429})
"""Statuses that another target may not answer with; so may all from 500 on."""
_THE_SAME_ELSEWHERE = frozenset({"context_length_exceeded", "content_filter"})
"""What is wrong with the request and not with the target, whatever the status."""


class Elsewhere(Protocol):
    """Who serves the conversations that are not known here, as other bridges tell."""

    def get(self, conversation: str) -> str | None: ...

    def put(self, conversation: str, target: str) -> None:
        """Tell the others."""


class _Alone:
    """There are no other bridges."""

    def get(self, conversation: str) -> str | None:
        return None

    def put(self, conversation: str, target: str) -> None:
        pass


class Selection:
    """Orders targets, and learns from what comes of the calls.

    Args:
        draw: a number in [0, 1) by chance, for weighted routes.
    """

    def __init__(self, health: Health, draw: Callable[[], float]) -> None:
        self.health = health
        self.elsewhere: Elsewhere = _Alone()
        self._draw = draw
        self._served: OrderedDict[str, str] = OrderedDict()
        self._used: dict[str, int] = {}
        """The number of the last call that each key was used for."""
        self._uses = 0
        self._rivals: set[str] = set()
        """Keys that others may be taken in place of: which of them serves a conversation matters to all bridges."""

    def candidates(self, route: Route, conversation: str | None) -> list[Target]:
        """The targets to try, best first. While none is well it is only the one whose rest ends first: clients try
        again themselves, and calls that fail are not to be multiplied by the number of targets."""
        ordered = list(self._drawn(route) if route.balance == "weighted" else self._in_turn(route.targets))
        if len(ordered) > 1:
            self._rivals.update(target.key_name for target in ordered)
        sticky = self._serving(conversation) if conversation and len(ordered) > 1 else None
        ordered.sort(key=lambda target: _label(target) != sticky)
        well = [target for target in ordered if self.is_well(target)]
        return well or [min(ordered, key=self._rest)]

    def _serving(self, conversation: str) -> str | None:
        """Who serves a conversation, of several."""
        if conversation not in self._served:
            found = self.elsewhere.get(conversation)
            if found is not None:
                self._follow(conversation, found)
        return self._served.get(conversation)

    def _follow(self, conversation: str, label: str) -> None:
        self._served[conversation] = label
        self._served.move_to_end(conversation)
        if len(self._served) > MOST_CONVERSATIONS:
            self._served.popitem(last=False)

    def is_well(self, target: Target) -> bool:
        return self.health.is_well(_names(target))

    def begins(self, target: Target) -> None:
        """A call of this target begins."""
        self.health.begin(_names(target))
        self._uses += 1
        self._used[target.key_name] = self._uses

    def served(self, target: Target, *conversations: str) -> None:
        """The target has answered, and is the one to go on with in the conversation that has these names."""
        self.health.succeeded(_names(target))
        for conversation in conversations:
            self._follow(conversation, _label(target))
            if target.key_name in self._rivals:
                self.elsewhere.put(conversation, _label(target))

    def failed(self, target: Target, error: ApiError) -> bool:
        """A call of the target has failed. Whether another target might do better.

        What counts is the status that the client would get: providers tell of an empty account, or of a model that
        they do not have, with any status.
        """
        if error.code == BUSY:  # it was not even asked
            return True
        status = error.status
        if error.code in _THE_SAME_ELSEWHERE or (status not in _ELSEWHERE and status < 500):
            self.health.succeeded(_names(target))  # it did answer
            return False
        server, model, key = _names(target)
        failing = server if error.said is None else key if status in _KEY_TROUBLE else model
        self.health.failed(failing, _asked_rest(error), _why(error))
        return True

    def rest(self, targets: Sequence[Target]) -> float:
        """Seconds until one of them may be tried."""
        return min(map(self._rest, targets), default=0)

    def _rest(self, target: Target) -> float:
        return max(map(self.health.rest, _names(target)))

    def _in_turn(self, targets: Sequence[Target]) -> Iterator[Target]:
        """The targets in their order, but of those that differ in the key alone the one used longest ago first."""
        for _, keys in groupby(targets, key=lambda target: target.label):
            yield from sorted(keys, key=lambda target: self._used.get(target.key_name, 0))

    def _drawn(self, route: Route) -> Iterator[Target]:
        """All targets in an order by chance, in which heavier ones tend to come first."""
        left = [(target, weight) for target, weight in zip(route.targets, route.weights, strict=True)]
        while left:
            mark = self._draw() * sum(weight for _, weight in left)
            for chosen in left:
                mark -= chosen[1]
                if mark < 0:
                    break
            else:
                chosen = left[0]
            left.remove(chosen)
            yield chosen[0]


def _names(target: Target) -> tuple[str, str, str]:
    """What the health of a target depends on: its server, its model, its key."""
    return urlsplit(target.url).netloc.rpartition("@")[2], target.label, target.key_name


def _label(target: Target) -> str:
    return f"{target.label} {target.key_name}"


def _why(error: ApiError) -> str:
    return error.code if error.said is None else f"{error.said.status} {error.code}"


def _asked_rest(error: ApiError) -> float | None:
    """What the provider itself has asked for; the bridge tells clients a time of its own where it named none."""
    try:
        return float(error.said.retry_after) if error.said is not None else None
    except ValueError:
        return None
