"""The store that the configuration names: opened when it is named, and tried again if that failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, time
from typing import Final, Protocol

from addon.config.model import MIB, StoreLimits
from addon.store.errors import StoreError, StoreUnavailable
from addon.store.interface import ResponseStore
from addon.store.opening import Clocks, open_store
from addon.store.records import DAY, Limits
from addon.translate.errors import ApiError

RETRY_AFTER_S: Final = 5.0
"""How long a store that could not be opened is left alone."""


class OpenStore(Protocol):
    def __call__(self, where: str, limits: Limits, /) -> ResponseStore | None:
        """The store of that name; None: nothing is to be kept. Raises StoreError if it cannot be opened."""


def stores_in(directory: Path) -> OpenStore:
    """Opens stores for a bridge that runs: those that are a file in this directory, by the system's clocks."""

    def opened(where: str, limits: Limits, /) -> ResponseStore | None:
        return open_store(where, directory=directory, limits=limits, clocks=Clocks(now=time, monotonic=monotonic))

    return opened


def nothing_kept(where: str, limits: Limits, /) -> None:
    """For bridges that keep nothing, whatever is configured."""


def limits_of(configured: StoreLimits) -> Limits:
    """What the configuration says, as stores want it."""
    return Limits(
        ttl=configured.days * DAY,
        max_responses=configured.responses,
        max_bytes=configured.megabytes * MIB,
    )


class Storage:
    """
    Args:
        open_store: opens what the configuration names.
        clock: seconds that only ever grow.
    """

    def __init__(self, open_store: OpenStore, clock: Callable[[], float]) -> None:
        self._open_store = open_store
        self._clock = clock
        self._named: tuple[str, Limits] | None = None
        self._store: ResponseStore | None = None
        self._trouble: StoreError | None = None
        self._tried = 0.0

    @property
    def trouble(self) -> str | None:
        """Why the store cannot be used; None if it can, and if there is none."""
        return None if self._trouble is None else str(self._trouble)

    @property
    def is_off(self) -> bool:
        """Nothing is to be kept, and nothing is wrong with that."""
        return self._store is None and self._trouble is None

    def use(self, where: str, limits: Limits) -> None:
        """Use this store from now on. One that was used before stays as it is, for the calls that are under way."""
        if self._named != (where, limits):
            self._named = where, limits
            self._open()

    def find(self) -> ResponseStore | None:
        """The store, if it can be used at this moment."""
        if self._trouble is not None and self._clock() >= self._tried + RETRY_AFTER_S:
            self._open()
        return self._store

    def require(self) -> ResponseStore:
        """
        Raises:
            ApiError: there is no store.
            StoreError: there should be one.
        """
        store = self.find()
        if store is not None:
            return store
        if self._trouble is not None:
            raise self._trouble
        message = "This bridge keeps no responses and no conversations: `store` is `off` in its configuration."
        raise ApiError(404, message, "store_off")

    def _open(self) -> None:
        if self._named is None:
            return
        self._tried = self._clock()
        self._store, self._trouble = None, None
        try:
            self._store = self._open_store(*self._named)
        except StoreError as error:
            self._trouble = error


def store_trouble(error: StoreError) -> ApiError:
    """What a client is told that asked for something in a store that cannot be used."""
    message = f"The bridge's store cannot be used. {error}"
    if isinstance(error, StoreUnavailable):
        return ApiError(503, message, "store_unavailable", type="bridge_error")
    return ApiError.bridge(message, code="store_unavailable", status=503)
