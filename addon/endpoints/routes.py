"""Which function answers a call about what is remembered."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import unquote

from addon.actions import Answer
from addon.endpoints import conversations, responses
from addon.endpoints.inquiry import Inquiry
from addon.exchange import Exchange

_ID: Final = "([^/]+)"

_ROUTES: Final[tuple[tuple[str, str, Callable[..., Answer | Exchange]], ...]] = (
    ("GET", f"/responses/{_ID}", responses.retrieve),
    ("DELETE", f"/responses/{_ID}", responses.delete),
    ("POST", f"/responses/{_ID}/cancel", responses.cancel),
    ("GET", f"/responses/{_ID}/input_items", responses.input_items),
    ("POST", "/conversations", conversations.create),
    ("GET", f"/conversations/{_ID}", conversations.retrieve),
    ("POST", f"/conversations/{_ID}", conversations.update),
    ("DELETE", f"/conversations/{_ID}", conversations.delete),
    ("POST", f"/conversations/{_ID}/items", conversations.add_items),
    ("GET", f"/conversations/{_ID}/items", conversations.list_items),
    ("GET", f"/conversations/{_ID}/items/{_ID}", conversations.retrieve_item),
    ("DELETE", f"/conversations/{_ID}/items/{_ID}", conversations.delete_item),
)
"""Method, path below the base path, and what takes the inquiry and the ids in the path."""


def find(method: str, path: str) -> Callable[[Inquiry], Answer | Exchange] | None:
    """What answers; None: this is no such call."""
    method = "GET" if method == "HEAD" else method
    for served, pattern, answer in _ROUTES:
        found = re.fullmatch(pattern, path)
        if served == method and found is not None:
            ids = [unquote(each) for each in found.groups()]
            return partial(_answered, answer, ids)
    return None


def _answered(answer: Callable[..., Answer | Exchange], ids: list[str], inquiry: Inquiry) -> Answer | Exchange:
    return answer(inquiry, *ids)
