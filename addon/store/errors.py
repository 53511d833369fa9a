"""What can go wrong with the store, in words for who operates the bridge."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do what was asked. The message names the place, what is wrong there, and the remedy."""


class StoreUnavailable(StoreError):
    """It cannot do so now; later it may: the disk is full, another process holds the file, the server is away."""


class PredecessorGone(StoreError):
    """The response that was continued is no longer kept: it has been deleted, has expired or made room for others."""

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"{response_id} is no longer kept, so what continues it cannot be kept either: its history has a gap."
        )
