"""Ids of calls as the provider wants them: unique in the history, of the length and characters it accepts."""

from __future__ import annotations

import re
from hashlib import sha256
from string import ascii_letters, digits

from addon.providers.profile import ToolIdRule

_ALPHABET = ascii_letters + digits + "_-"
_HASHED_LENGTH = 32
_ATTEMPTS = 1000
"""Enough for any rule under which unique ids exist at all."""


class CallIds:
    """Gives each call of one history its id, in order of appearance.

    An id depends on what came before it and on nothing else: a history that grows keeps the ids it had.
    """

    def __init__(self, rule: ToolIdRule) -> None:
        self._rule = rule
        self._fits = re.compile(f"(?:{rule.charset})+")
        self._alphabet = "".join(char for char in _ALPHABET if self._fits.fullmatch(char)) or ascii_letters
        self._taken: set[str] = set()
        self._count = 0
        self._next_number: dict[str, int] = {}

    def assign(self, wanted: str) -> str:
        """`wanted` itself where it fits and is free; else one made from it."""
        self._count += 1
        unique = self._free(wanted or f"call_{self._count}")
        self._taken.add(unique)
        return unique

    def _free(self, wanted: str) -> str:
        candidate = wanted
        first = self._next_number.get(wanted, 1)
        for number in range(first, first + _ATTEMPTS):
            self._next_number[wanted] = number + 1
            numbered = wanted if number == 1 else f"{wanted}_{number}"
            candidate = numbered if self._accepted(numbered) else self._hashed(numbered)
            if candidate not in self._taken:
                break
        return candidate

    def _accepted(self, value: str) -> bool:
        rule = self._rule
        right_length = len(value) == rule.exact_len if rule.exact_len else len(value) <= rule.max_len
        return right_length and self._fits.fullmatch(value) is not None

    def _hashed(self, value: str) -> str:
        length = self._rule.exact_len or min(self._rule.max_len, _HASHED_LENGTH)
        chars: list[str] = []
        block = value.encode("utf-8", "surrogatepass")
        while len(chars) < length:
            block = sha256(block).digest()
            chars += [self._alphabet[byte % len(self._alphabet)] for byte in block]
        return "".join(chars[:length])
