"""What an answer cost, told or estimated. How it comes out in a response: test_stream.py."""

from __future__ import annotations

import pytest

from addon.translate.notes import Notes
from addon.translate.usage import TokenCount
from addon.wire.chat import Totals


class Estimate:
    """The estimate of a request that counts how often it is made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        return 5000


def test_a_request_is_not_estimated_while_nobody_asks() -> None:
    estimate = Estimate()
    count = TokenCount(estimate, Notes())
    count.text("Hello")
    count.told(Totals(prompt=9, completion=2))

    assert count.totals() == Totals(prompt=9, completion=2)
    assert estimate.made == 0


def test_a_request_is_estimated_once() -> None:
    estimate = Estimate()
    count = TokenCount(estimate, Notes())

    assert (count.prompt, count.prompt, count.totals()) == (5000, 5000, Totals(prompt=5000, completion=0))
    assert estimate.made == 1


def test_without_an_estimate_of_the_request_there_is_none_at_all() -> None:
    notes = Notes()
    count = TokenCount(None, notes)
    count.text("Hello")

    assert (count.totals(), count.prompt, len(notes)) == (None, 0, 0)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([Totals(prompt=5, completion=1), Totals(prompt=5, completion=3)], Totals(5, 3), id="growing"),
        pytest.param([Totals(prompt=5, cached=4), Totals(completion=3)], Totals(5, 3, cached=4), id="in parts"),
        pytest.param([Totals(total=5), Totals(prompt=4)], Totals(prompt=4, total=5), id="total first"),
    ],
)
def test_the_last_word_on_each_number_counts(told: list[Totals], expected: Totals) -> None:
    count = TokenCount(lambda: 5000, Notes())
    for totals in told:
        count.told(totals)

    assert count.so_far == count.totals() == expected
