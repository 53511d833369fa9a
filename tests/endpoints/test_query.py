"""Queries in each way that clients write them."""

from __future__ import annotations

import pytest

from addon.endpoints.query import Query
from addon.store.paging import Paging


@pytest.mark.parametrize(
    "text",
    ["include=a&include=b", "include[]=a&include[]=b", "include%5B%5D=a&include%5B%5D=b", "include[0]=a&include[1]=b",
     "include=a,b"],
)  # fmt: skip
def test_what_is_to_be_included(text: str) -> None:
    assert Query.of(text).include == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "paging"),
    [
        ("", Paging(limit=20, after=None, newest_first=True)),
        ("limit=100&order=asc&after=msg_1", Paging(limit=100, after="msg_1", newest_first=False)),
        ("limit=&order=&after=&beta=true", Paging()),
    ],
)
def test_which_page(text: str, paging: Paging) -> None:
    assert Query.of(text).paging == paging


@pytest.mark.parametrize(
    ("text", "stream", "after"),
    [
        ("", False, -1),
        ("stream=true", True, -1),
        ("stream=True&starting_after=0", True, 0),
        ("stream=false", False, -1),
    ],
)
def test_which_events(text: str, stream: bool, after: int) -> None:
    query = Query.of(text)
    assert (query.stream, query.starting_after) == (stream, after)
