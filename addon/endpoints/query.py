"""What the query of a URL asks for, as the SDKs write it: `include=a`, `include[]=a`, `include[0]=a`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from addon.store.paging import Paging
from addon.translate.errors import ApiError

MOST_ITEMS = 100
"""Of one page."""

_INDEX = re.compile(r"\[\d*\]$")


@dataclass(frozen=True, slots=True)
class Query:
    """Values by name; parameters that nobody knows are left alone."""

    values: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, text: str) -> Query:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text):
            values.setdefault(_INDEX.sub("", name), []).append(value)
        return cls(values)

    @property
    def include(self) -> frozenset[str]:
        """What is to be told beside the usual."""
        return frozenset(what for value in self.values.get("include", ()) for what in value.split(","))

    @property
    def stream(self) -> bool:
        return self._last("stream") in ("true", "True", "1")

    @property
    def starting_after(self) -> int:
        """The number of the last event that is known already; -1: none is."""
        return self._number("starting_after", -1, 0, None)

    @property
    def paging(self) -> Paging:
        order = self._last("order") or "desc"
        if order not in ("asc", "desc"):
            raise ApiError.bad_request("Invalid value for 'order': expected 'asc' or 'desc'.", param="order")
        return Paging(
            limit=self._number("limit", 20, 1, MOST_ITEMS),
            after=self._last("after") or None,
            newest_first=order == "desc",
        )

    def _last(self, name: str) -> str:
        return self.values.get(name, ("",))[-1]

    def _number(self, name: str, default: int, least: int, most: int | None) -> int:
        text = self._last(name)
        if not text:
            return default
        if re.fullmatch(r"[0-9]{1,18}", text) and least <= int(text) and (most is None or int(text) <= most):
            return int(text)
        limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise ApiError.bad_request(f"Invalid value for '{name}': expected a number {limits}.", param=name)
