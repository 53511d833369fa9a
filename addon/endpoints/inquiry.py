"""A call about what is remembered, as the functions that answer it get it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from addon.background import Jobs
from addon.endpoints.query import Query
from addon.state import State
from addon.store.interface import ResponseStore
from addon.store.paging import Page, UnknownCursor
from addon.translate.errors import ApiError
from addon.wire.json import JsonObject


@dataclass(frozen=True, slots=True)
class Inquiry:
    """
    Args:
        caller: whose responses and conversations it may be about.
        read_body: the JSON object in the body; raises ApiError.
        jobs: what is made in the background.
        ids, now: sources of new ids and of the time (seconds since the epoch).
    """

    caller: str
    query: Query
    read_body: Callable[[], JsonObject]
    state: State
    jobs: Jobs
    ids: Callable[[str], str]
    now: Callable[[], float]

    @property
    def store(self) -> ResponseStore:
        """Raises: ApiError, StoreError."""
        return self.state.storage.require()


def listed(page: Page, shown: Sequence[JsonObject]) -> JsonObject:
    """A page as OpenAI's lists are. `shown`: its items as the client gets them, which may be fewer.

    The ids are those of the page all the same: one asks for the next page by them.
    """
    return {
        "object": "list",
        "data": [*shown],
        "first_id": page.items[0]["id"] if page.items else None,
        "last_id": page.items[-1]["id"] if page.items else None,
        "has_more": page.has_more,
    }


def unknown_cursor(error: UnknownCursor) -> ApiError:
    return ApiError.bad_request(f"Invalid value for 'after': no item of this list has the id '{error}'.", param="after")
