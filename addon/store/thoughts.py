"""The reasoning of recent turns, for clients that send their history back without it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from addon.wire.json import Json, JsonObject, dumps, loads


@dataclass(frozen=True, slots=True)
class _Record:
    places: Sequence[tuple[str, str]]
    """The caller, and each key it is found by."""
    text: str
    at: float

    @property
    def size(self) -> int:
        return len(self.text) + sum(len(caller) + len(key) for caller, key in self.places)


class Thoughts:
    """Records by caller and key, in memory; the least recently used go first, and each after `max_age` seconds.

    Args:
        now: the time in seconds.
        max_records, max_chars: what it holds at most, in all (characters of JSON, keys included).
        max_age: seconds after which a record that nobody has asked for is forgotten.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        max_records: int = 20_000,
        max_chars: int = 64 * 1024 * 1024,
        max_age: float = 24 * 3600,
    ) -> None:
        self._now = now
        self._max_records = max_records
        self._max_chars = max_chars
        self._max_age = max_age
        self._numbers = count()
        self._records: OrderedDict[int, _Record] = OrderedDict()
        self._found: dict[tuple[str, str], int] = {}
        self._chars = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, caller: str, keys: Sequence[str], record: JsonObject) -> None:
        """Remember a record under each of the keys; what was there before is forgotten."""
        for key in keys:
            self._forget(self._found.get((caller, key)))
        self._put(_Record([(caller, key) for key in dict.fromkeys(keys)], dumps(record), self._now()))
        self._shrink()

    def get(self, caller: str, key: str) -> Json:
        """What this caller's record under the key holds; None if there is none, or none any more."""
        number = self._found.get((caller, key))
        if number is None:
            return None
        record = self._records[number]
        self._forget(number)
        if self._is_old(record):
            return None
        self._put(_Record(record.places, record.text, self._now()))
        return loads(record.text)

    def _put(self, record: _Record) -> None:
        number = next(self._numbers)
        self._records[number] = record
        self._found.update((place, number) for place in record.places)
        self._chars += record.size

    def _shrink(self) -> None:
        """Records are in the order of their use, so the old ones are at the beginning."""
        while self._records:
            number, oldest = next(iter(self._records.items()))
            too_much = len(self._records) > self._max_records or self._chars > self._max_chars
            if not too_much and not self._is_old(oldest):
                return
            self._forget(number)

    def _is_old(self, record: _Record) -> bool:
        return self._now() - record.at > self._max_age

    def _forget(self, number: int | None) -> None:
        record = None if number is None else self._records.pop(number, None)
        if record is None:
            return
        self._chars -= record.size
        for place in record.places:
            if self._found.get(place) == number:
                del self._found[place]
