"""Which responses could not be stored, so that who asks for one later is told why it is not there."""

from __future__ import annotations

from collections import OrderedDict


class Losses:
    """Reasons by owner and response, in memory; the oldest go first.

    Args:
        max_entries: what it holds at most.
    """

    def __init__(self, *, max_entries: int = 10_000) -> None:
        self._reasons: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._max_entries = max_entries

    def add(self, owner: str, response_id: str, reason: str) -> None:
        self._reasons[owner, response_id] = reason
        while len(self._reasons) > self._max_entries:
            self._reasons.popitem(last=False)

    def reason(self, owner: str, response_id: str) -> str | None:
        """Why this response was not stored; None if nothing is known of it here."""
        return self._reasons.get((owner, response_id))
