"""The calls of providers that are made for one call of a client, until one of them is answered."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import JsonValue

from addon.routing import Target
from addon.selection import Selection
from addon.store.learned import Learned
from addon.translate.chat_fold import ChatFold
from addon.translate.errors import ApiError, UpstreamError
from addon.translate.healing import Remedy, bent, remedy
from addon.translate.items import Seal
from addon.translate.native_healing import native_remedy
from addon.translate.native_request import native_origin
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.wire.json import JsonObject
from addon.wire.responses import Event

MOST_REMEDIES = 3
"""How often one call is sent again with something changed: providers name their objections one at a time."""


class AnswerReader(Protocol):
    """Reads a provider's answer and drives a `ResponseBuilder` with it."""

    def feed(self, data: bytes) -> list[Event]:
        """A portion of the body, decoded of its Content-Encoding."""

    def end(self) -> list[Event]:
        """The body is complete."""

    def fail(self, error: ApiError) -> list[Event]:
        """The answer broke off."""


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One call of a provider, ready to be sent."""

    target: Target
    body: JsonObject
    stream: bool
    """The provider is asked for a stream."""
    notes: Notes
    """What the provider gets differently from what the client asked."""

    @property
    def label(self) -> str:
        """provider/model, for people."""
        return self.target.label

    @property
    def url(self) -> str:
        """The endpoint that is called."""
        return self.target.url

    def remedy(self, error: UpstreamError) -> Remedy | None:
        """What may make the provider take the request, which it has refused."""
        return remedy(error, self.target.profile, self.body)


@dataclass(frozen=True, slots=True)
class ChatCall(ProviderCall):
    """A call whose answer goes to a client that speaks chat itself."""

    fold: Callable[[], ChatFold] | None = None
    """Makes one answer of the provider's stream, for a client that has asked for none."""


@dataclass(frozen=True, slots=True)
class ReadCall(ProviderCall):
    """A call whose answer is read into a `ResponseBuilder`."""

    reader: Callable[[ResponseBuilder], AnswerReader]
    seal: Seal
    """Makes the `encrypted_content` of reasoning items: the reasoning is this model's."""

    @property
    def origin(self) -> str:
        """Whose reasoning it is that the answer holds."""
        return self.label


@dataclass(frozen=True, slots=True)
class NativeCall(ReadCall):
    """A call of a provider's own Responses endpoint."""

    @property
    def url(self) -> str:
        return self.target.responses_url

    @property
    def origin(self) -> str:
        return native_origin(self.label)

    def remedy(self, error: UpstreamError) -> Remedy | None:
        may_leave = self.target.mode == "auto"
        return native_remedy(error, self.target.profile, self.body, may_leave=may_leave)


CallT = TypeVar("CallT", bound=ProviderCall)


@dataclass(frozen=True, slots=True)
class Budget:
    """How far one call of a client goes. Clients try again themselves, so it is small."""

    attempts: int = 3
    """Targets that are tried, at most."""
    seconds: float = 60
    """After these no other target is tried."""


@dataclass(frozen=True, slots=True)
class Experience:
    """What earlier calls have taught.

    Args:
        clock: seconds that only ever grow.
    """

    learned: Learned
    selection: Selection
    clock: Callable[[], float]


class Tries(ABC, Generic[CallT]):
    """The calls that may be made for one client call, one after the other."""

    first: CallT

    @abstractmethod
    def after(self, call: CallT, error: ApiError) -> CallT | None:
        """What is tried once `call` has failed before the client was told anything; None: it is told the error."""

    @abstractmethod
    def begins(self, call: CallT) -> None:
        """`call` is being made."""

    @abstractmethod
    def answered(self, call: CallT) -> None:
        """The model has begun to answer `call`."""

    @abstractmethod
    def final(self, error: ApiError) -> ApiError:
        """The error as the client gets it, when there is no further try."""


class OneTry(Tries[CallT]):
    """One call, come what may."""

    def __init__(self, call: CallT) -> None:
        self.first = call

    def after(self, call: CallT, error: ApiError) -> CallT | None:
        return None

    def begins(self, call: CallT) -> None:
        pass

    def answered(self, call: CallT) -> None:
        pass

    def final(self, error: ApiError) -> ApiError:
        return error


class ChangingTries(Tries[CallT]):
    """Calls of one target after another, and of the same one again with a request that is changed to its liking.

    A provider that refuses a request in a known way gets it once more, changed (`translate.healing`); what has helped
    is kept for later calls. One that fails makes way for the next.

    Args:
        targets: where the call may be served, best first.
        make: converts the client's request for a target. Raises ApiError where it cannot be served there.
        conversations: names of the conversation, which is to stay with the target that serves it now.

    Raises:
        ApiError: the first call cannot be made.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        make: Callable[[Target], CallT],
        experience: Experience,
        budget: Budget,
        conversations: Sequence[str] = (),
    ) -> None:
        self._make = make
        self._experience = experience
        self._budget = budget
        self._conversations = conversations
        self._targets = list(targets)
        self._remedies: list[Remedy] = []
        self._until = experience.clock() + budget.seconds
        self._all = tuple(targets)
        self._failed = 0
        self.first = self._first()

    def _first(self) -> CallT:
        """The call of the first target that can serve the request. The error is that of the one that should have."""
        refused: list[ApiError] = []
        while self._targets:
            try:
                return self._call(self._targets.pop(0))
            except ApiError as error:
                refused.append(error)
        raise refused[0]

    def after(self, call: CallT, error: ApiError) -> CallT | None:
        return self._changed(call, error) or self._next(call, error)

    def answered(self, call: CallT) -> None:
        target = call.target
        for found in self._remedies:
            self._experience.learned.learn(place_of(target), target.model, found.overrides, found.what, found.why)
        self._remedies.clear()
        self._experience.selection.served(target, *self._conversations)

    def final(self, error: ApiError) -> ApiError:
        """Of several targets that have failed: when one of them may be asked again."""
        if self._failed < 2:
            return error
        rest = max(1, math.ceil(self._experience.selection.rest(self._all)))
        theirs = {name: value for name, value in error.headers.items() if name != "retry-after-ms"}
        return replace(error, headers={**theirs, "retry-after": str(rest)})

    def begins(self, call: CallT) -> None:
        self._experience.selection.begins(call.target)

    def _call(self, target: Target) -> CallT:
        overrides = self._experience.learned.overrides(place_of(target), target.model)
        return self._make(with_overrides(target, overrides) if overrides else target)

    def _changed(self, call: CallT, error: ApiError) -> CallT | None:
        profile = call.target.profile
        if error.said is None or not profile.learn_on_400 or len(self._remedies) == MOST_REMEDIES:
            return None
        found = call.remedy(error.said)
        if found is None:
            return None
        try:
            changed = self._make(with_overrides(call.target, found.overrides))
        except ApiError:
            return None
        if changed.body == call.body:  # what is to be changed is the client's own and stays
            return None
        self._remedies.append(found)
        for each in self._remedies:
            changed.notes.add(each.what, each.why)
        return changed

    def _next(self, call: CallT, error: ApiError) -> CallT | None:
        self._remedies.clear()
        self._failed += 1
        selection = self._experience.selection
        if not selection.failed(call.target, error) or self._failed >= self._budget.attempts:
            return None
        while self._targets and self._experience.clock() < self._until:
            target = self._targets.pop(0)
            if not selection.is_well(target):
                continue
            with suppress(ApiError):  # it cannot be served there
                return self._call(target)
        return None


def with_overrides(target: Target, overrides: Mapping[str, JsonValue]) -> Target:
    """The target with some fields of its profile replaced."""
    return replace(target, profile=bent(target.profile, overrides))


def place_of(target: Target) -> str:
    """The server that a target is at: what is learned of one holds for all providers configured there."""
    url = urlsplit(target.url)
    return f"{url.netloc.rpartition('@')[2]}{url.path}"
