"""Pages of a list of items."""

from __future__ import annotations

import pytest

from addon.store.paging import Paging, UnknownCursor, page_of
from tests.store.builders import ids, message

ITEMS = [message(name) for name in "abcde"]


@pytest.mark.parametrize(
    ("paging", "expected", "has_more"),
    [
        (Paging(), "edcba", False),
        (Paging(limit=2), "ed", True),
        (Paging(limit=2, newest_first=False), "ab", True),
        (Paging(limit=2, after="d"), "cb", True),
        (Paging(limit=2, after="b", newest_first=False), "cd", True),
        (Paging(limit=3, after="b", newest_first=False), "cde", False),
        (Paging(after="a"), "", False),
    ],
)
def test_pages(paging: Paging, expected: str, has_more: bool) -> None:
    page = page_of(ITEMS, paging)
    assert ids(page.items) == list(expected)
    assert page.has_more == has_more


def test_a_page_begins_after_one_of_them() -> None:
    with pytest.raises(UnknownCursor, match="z"):
        page_of(ITEMS, Paging(after="z"))
