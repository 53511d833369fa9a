"""Answers given again: what a provider said to a request is kept for a while, for requests that are the same.

Kept are the bytes that the provider sent. They are read again by the same reader into a new response, so that a client
cannot tell an answer from the cache from another one, whatever form it wants it in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from addon.actions import Action
from addon.exchange import ResponsesExchange
from addon.state.storage import Storage
from addon.store.errors import StoreError
from addon.tries import ReadCall
from addon.wire.json import Json, dump_bytes

MAX_ANSWER_BYTES = 1024 * 1024
"""Longer answers are not kept."""

_KIND = "answer"
_FORM = frozenset({"stream", "stream_options"})
"""What says how an answer is sent, and not what it is."""


@dataclass(frozen=True, slots=True)
class AnswerCache:
    """The answers that one caller may get again. A store that cannot be used makes every request a new one."""

    storage: Storage
    owner: str
    """Whose requests they answer; empty: everybody's."""
    ttl: float
    """Seconds for which an answer is kept."""

    def find(self, call: ReadCall) -> bytes | None:
        """What a provider has sent in answer to the same call."""
        try:
            store = self.storage.find()
            return None if store is None else store.values.get(_KIND, self._key(call))
        except StoreError:
            return None

    def add(self, call: ReadCall, answer: bytes) -> None:
        """Keep what the provider has sent."""
        if len(answer) > MAX_ANSWER_BYTES:
            return
        try:
            store = self.storage.find()
            if store is not None:
                store.values.put(_KIND, self._key(call), answer, self.ttl)
        except StoreError:
            return

    def _key(self, call: ReadCall) -> str:
        """What the provider gets, from whom, and who is to read it. The order of keys in it makes no difference."""
        body = {name: value for name, value in call.body.items() if name not in _FORM}
        return hashlib.sha256(dump_bytes(_sorted([self.owner, call.url, call.origin, body]))).hexdigest()


def _sorted(value: Json) -> Json:
    match value:
        case dict():
            return {name: _sorted(value[name]) for name in sorted(value)}
        case list():
            return [_sorted(each) for each in value]
        case _:
            return value


class RecordingExchange(ResponsesExchange):
    """An exchange whose answer is kept once it is complete."""

    def keep_in(self, cache: AnswerCache) -> None:
        """Say where it is kept."""
        self._cache = cache

    def _prepare(self, call: ReadCall) -> None:
        super()._prepare(call)
        self._received = bytearray()

    def _feed(self, data: bytes) -> list[Action]:
        if len(self._received) <= MAX_ANSWER_BYTES:
            self._received += data
        return super()._feed(data)

    def _note_outcome(self) -> None:
        super()._note_outcome()
        if self._builder.response["status"] == "completed":
            self._cache.add(self._call, bytes(self._received))
