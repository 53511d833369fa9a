"""JSON that is nearly what is expected: recorded values with something in them replaced, lost, doubled or added."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.wire.test_json import JSON_VALUES

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
"""Look for hours, not seconds: `HYPOTHESIS_PROFILE=deep pytest tests/fuzz`."""

TIMES_DEEPER = 100

T = TypeVar("T")

ODD = JSON_VALUES | st.sampled_from(
    [None, "", " ", "\0", "\ud800", "null", "{}", "[]", 0, -1, 2**63, 1e308, True, False, {}, [], [None], {"": None}]
)
"""Any value, often one of those that break programs."""


def fuzzed(examples: int) -> Callable[[T], T]:
    """How often a test is run: so many times, or many more."""
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    times = examples * TIMES_DEEPER if DEEP else examples
    return settings(max_examples=times, deadline=None, suppress_health_check=unhurried)


@st.composite
def mutated(draw: st.DrawFn, values: st.SearchStrategy[Any], words: Sequence[str] = ()) -> Any:
    """One of the values, with up to four changes. `words`: what new keys and texts are taken from, besides any."""
    value = copy.deepcopy(draw(values))
    for _ in range(draw(st.integers(0, 4))):
        value = _changed(draw, value, words)
    return value


def words_of(*values: Any) -> list[str]:
    """The keys and the short texts in them: what a program may look for."""
    found = {word for value in values for word in _words(value)}
    return sorted(found)


def cut(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The same bytes in portions."""
    ends = sorted(each % (len(body) + 1) for each in cuts)
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


CUTS = st.lists(st.integers(0, 100_000), max_size=5)


@st.composite
def damaged(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of which some are lost, doubled or replaced."""
    body = draw(bodies)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 40)))
        body = body[:start] + draw(st.binary(max_size=8) | st.just(body[start:end] * 2)) + body[end:]
    return body


def _changed(draw: st.DrawFn, value: Any, words: Sequence[str]) -> Any:
    places = list(_places(value))
    if not places:
        return _odd(draw)
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "reword", "remove", "double", "wrap", "add", "move"])):
        case "replace":
            holder[key] = _odd(draw)
        case "reword" if words:
            holder[key] = draw(st.sampled_from(words))
        case "remove":
            del holder[key]
        case "double" if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case "wrap":
            holder[key] = [holder[key]]
        case "add" if isinstance(holder, dict):
            holder[draw(st.sampled_from(words) if words else st.text(max_size=5))] = _odd(draw)
        case "move":
            other, place = draw(st.sampled_from(places))
            other[place] = copy.deepcopy(holder[key])
        case _:
            holder[key] = _odd(draw)
    return value


def _odd(draw: st.DrawFn) -> Any:
    """A value of its own: it may be changed in its turn."""
    return copy.deepcopy(draw(ODD))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key at which something is."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(entries):
        yield value, key
        yield from _places(inner)


def _words(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                yield key
                yield from _words(inner)
        case list():
            for inner in value:
                yield from _words(inner)
        case str() if len(value) < 40:
            yield value
