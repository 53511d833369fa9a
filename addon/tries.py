"""The calls of providers that are made for one call of a client, until one of them is answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from addon.routing import Target
from addon.translate.errors import ApiError
from addon.translate.items import Seal
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.wire.json import JsonObject
from addon.wire.responses import Event


class AnswerReader(Protocol):
    """Reads a provider's answer and drives a `ResponseBuilder` with it."""

    def feed(self, data: bytes) -> list[Event]:
        """A portion of the body, decoded of its Content-Encoding."""

    def end(self) -> list[Event]:
        """The body is complete."""

    def fail(self, error: ApiError) -> list[Event]:
        """The answer broke off."""


class ChatNames(Protocol):
    """Knows the names that tools have at the provider."""

    def chat_name(self, kind: Literal["function", "custom"], name: str, namespace: str | None) -> str: ...


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
        return f"{self.target.provider}/{self.target.model}"


@dataclass(frozen=True, slots=True)
class ReadCall(ProviderCall):
    """A call whose answer is read into a `ResponseBuilder`."""

    reader: Callable[[ResponseBuilder], AnswerReader]
    seal: Seal
    """Makes the `encrypted_content` of reasoning items: the reasoning is this model's."""
    names: ChatNames


CallT = TypeVar("CallT", bound=ProviderCall)


class Tries(ABC, Generic[CallT]):
    """The calls that may be made for one client call, one after the other."""

    first: CallT

    @abstractmethod
    def after(self, call: CallT, error: ApiError) -> CallT | None:
        """What is tried once `call` has failed before the client was told anything; None: it is told the error."""

    @abstractmethod
    def answered(self, call: CallT) -> None:
        """The model has begun to answer `call`."""


class OneTry(Tries[CallT]):
    """One call, come what may."""

    def __init__(self, call: CallT) -> None:
        self.first = call

    def after(self, call: CallT, error: ApiError) -> CallT | None:
        return None

    def answered(self, call: CallT) -> None:
        pass
