"""What is kept: responses with what they were made of, the events of their streams, conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from addon.wire.json import JsonObject
from addon.wire.responses import ResponseObject

DAY: Final = 24 * 60 * 60.0

RUNNING: Final = frozenset({"queued", "in_progress"})
"""What a response's status may be while somebody still works on it. Any other is final."""

CONTINUABLE: Final = frozenset({"completed", "incomplete"})
"""With these statuses a response adds to the conversation it was made in."""


def is_running(response: ResponseObject) -> bool:
    return response["status"] in RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response and what it was made of."""

    response: ResponseObject
    """With its output. The items may say more than the client has asked to be included, as the history needs it."""
    input: Sequence[JsonObject]
    """The request's own items, each with an `id`; not those of the responses before it."""
    parent: str | None = None
    """The stored response that this one continues: what that one's history is comes before `input`."""
    conversation: str | None = None
    """The conversation that gets `input` and the output when the response is completed or incomplete."""
    runner: str | None = None
    """The process that works on it, while it is running: see `Leases`."""

    def __post_init__(self) -> None:
        if is_running(self.response) and self.runner is None:
            raise ValueError("a running response needs a runner: else nobody would notice that it has been abandoned")


@dataclass(frozen=True, slots=True)
class OwnedResponse:
    owner: str
    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of a response's stream."""

    number: int
    """Its `sequence_number`."""
    data: bytes
    """Its JSON, on one line."""


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    created_at: int
    """Seconds since the epoch."""
    metadata: JsonObject


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept, and for how long.

    What is continued stays whole: the responses of a chain, with all its branches, go together, and the chain that has
    not been continued for longest goes first.
    """

    ttl: float = 30 * DAY
    """Seconds for which a response can be retrieved and continued, and a conversation after its last change."""
    max_responses: int = 100_000
    max_bytes: int = 1024**3
    max_event_bytes: int = 16 * 1024**2
    """Of the events of one response, as they are kept. Later ones are not kept; the response itself is."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A line in the list of what is kept."""

    owner: str
    id: str
    status: str
    model: str
    created_at: int
    conversation: str | None
    size: int
    """Bytes that it takes up."""


@dataclass(frozen=True, slots=True)
class Stats:
    place: str
    """Where everything is: a path, a server."""
    responses: int
    conversations: int
    values: int
    size: int
    """Bytes that everything takes up."""


def id_of(item: JsonObject) -> str:
    """Under what an item is found again.

    Raises:
        ValueError: it has no id. Who stores items gives them ids first, the same that the client is told.
    """
    item_id = item.get("id")
    if not isinstance(item_id, str):
        raise ValueError("an item needs an id before it is stored")
    return item_id
