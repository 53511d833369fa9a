"""What a store can do, whatever it keeps things in.

Everything belongs to an owner, an opaque text without a colon that stands for the client's credential; what belongs to
one is not there for another. Ids are text that UTF-8 can carry. All methods wait for the store, may be called from any
thread, and raise `StoreError`, or `StoreUnavailable` if trying again later may help. What a method says it did has
reached the store when it returns, and outlives the end of the process, however it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from addon.store.paging import Page, Paging
from addon.store.records import Conversation, OwnedResponse, Stats, StoredEvent, StoredResponse, Summary
from addon.wire.json import JsonObject
from addon.wire.responses import ResponseObject


class Responses(Protocol):
    """Responses, and the chains they make by continuing each other.

    A response whose status is final does not change any more: who comes second, be it the end of the answer or its
    cancellation, is told so by a `False`.
    """

    def add(self, owner: str, stored: StoredResponse) -> None:
        """Keep a new response, running or ended. One that is kept already stays as it is, so this may be repeated.

        Raises:
            PredecessorGone: its parent is not there to be continued any more.
        """
        ...

    def update(self, owner: str, response: ResponseObject, events: Sequence[StoredEvent] = ()) -> bool:
        """Replace a running response by what has become of it, and keep the events that tell of it, both or neither.

        False: it has ended otherwise, or has been deleted.
        """
        ...

    def get(self, owner: str, response_id: str) -> StoredResponse | None: ...

    def delete(self, owner: str, response_id: str) -> bool:
        """Forget a response; True if there was one. Those that continue it keep their history, with its items in it.

        Its items are erased with the last response that continues it; nobody can ask for them until then.
        """
        ...

    def history(self, owner: str, response_id: str) -> list[JsonObject] | None:
        """Input and output of all that it continues and of itself, oldest first; None if it is not known."""
        ...

    def find_item(self, owner: str, item_id: str) -> JsonObject | None:
        """The item that this owner sent or got under this id, in a response or a conversation: the latest one."""
        ...

    def append_events(self, owner: str, response_id: str, events: Sequence[StoredEvent]) -> bool:
        """Keep events of a running response, their numbers without a gap. False: it is not running any more.

        Many at a time cost little more than one. Those beyond `Limits.max_event_bytes` are not kept, and none after
        them.
        """
        ...

    def events(self, owner: str, response_id: str, after: int = -1) -> list[StoredEvent]:
        """Those with higher numbers than `after`, in order."""
        ...


class Conversations(Protocol):
    """Lists of items that clients and responses add to. A list holds an id once: a second item with it replaces it."""

    def create(self, owner: str, conversation: Conversation, items: Sequence[JsonObject] = ()) -> None: ...

    def get(self, owner: str, conversation_id: str) -> Conversation | None: ...

    def set_metadata(self, owner: str, conversation_id: str, metadata: JsonObject) -> Conversation | None:
        """The conversation as it is now; None if it is not known."""
        ...

    def delete(self, owner: str, conversation_id: str) -> bool:
        """Forget it and its items. Responses that were made in it stay."""
        ...

    def add_items(self, owner: str, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        """Append all of them or, if the conversation is not known, none."""
        ...

    def items(self, owner: str, conversation_id: str) -> list[JsonObject] | None:
        """All items, oldest first; None if the conversation is not known."""
        ...

    def page(self, owner: str, conversation_id: str, paging: Paging) -> Page | None:
        """Some of them.

        Raises:
            UnknownCursor: `paging.after` is none of them.
        """
        ...

    def item(self, owner: str, conversation_id: str, item_id: str) -> JsonObject | None: ...

    def delete_item(self, owner: str, conversation_id: str, item_id: str) -> bool: ...


class Values(Protocol):
    """Small things under a kind and a key, which any process may lose and make again. They belong to no owner."""

    def get(self, kind: str, key: str) -> bytes | None: ...

    def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, in place of an older one. A kind has no colon in it."""
        ...

    def delete(self, kind: str, key: str) -> None: ...

    def settle(self, kind: str, key: str, value: bytes) -> bytes:
        """What is under this key for good: the value, or the one that was there first. Of several all get the same."""
        ...


class Leases(Protocol):
    """Which processes are alive, so that what a dead one was working on does not run forever."""

    def hold(self, process: str, seconds: float) -> None:
        """Say that this process is alive and will say so again within that time."""
        ...

    def release(self, process: str) -> None:
        """Say that it ends."""
        ...

    def abandoned(self, process: str) -> list[OwnedResponse]:
        """Hand this process the running responses of those that are gone: each to one process only.

        It has to bring them to their end. What it does not come to is abandoned again when it ends itself.
        """
        ...


class Inspection(Protocol):
    """For who operates the bridge: what is there, of all owners."""

    def summaries(self) -> Iterator[Summary]:
        """All responses that can be retrieved, in no certain order."""
        ...

    def find(self, response_id: str) -> list[OwnedResponse]:
        """Responses with this id, whosever they are."""
        ...

    def stats(self) -> Stats: ...

    def vacuum(self) -> None:
        """Give the space of what is no longer kept back to the system. Others may have to wait meanwhile."""
        ...


class ResponseStore(Protocol):
    """All of it, in one place."""

    @property
    def responses(self) -> Responses: ...

    @property
    def conversations(self) -> Conversations: ...

    @property
    def values(self) -> Values: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def inspection(self) -> Inspection: ...

    def close(self) -> None: ...
