"""Calls of providers that are made first, and whose answers no client hears: a summary, the description of an image.

A `PrecedingCall` ends with the text that a model wrote, or with the error in its place, and with the exchange that
follows. A `PrecededExchange` goes from one to the next until it has come to the call itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from addon.actions import Action
from addon.client_answer import ClientAnswer
from addon.exchange import AnsweringExchange, CallContext, Exchange, Record
from addon.translate.errors import ApiError
from addon.translate.output import ResponseBuilder
from addon.tries import AnswerReader, ReadCall, Tries
from addon.wire.responses import OutputItem, Usage


@dataclass(frozen=True, slots=True)
class Said:
    """The text of a model's answer, and the tokens it cost."""

    text: str
    usage: Usage | None


class UnheardAnswer:
    """One answer of a model that no client hears. Feed it the provider's body; it ends with a text or an error."""

    def __init__(self, builder: ResponseBuilder, reader: AnswerReader) -> None:
        self._builder = builder
        self._reader = reader

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    def end(self) -> None:
        self._reader.end()

    def fail(self, error: ApiError) -> None:
        self._reader.fail(error)

    @property
    def ended(self) -> bool:
        return self._builder.ended

    def result(self) -> Said | ApiError:
        """What came of it, once it has ended."""
        if self._builder.error is not None:
            return self._builder.error
        response = self._builder.response
        return Said(_text(response["output"]), response["usage"])


def _text(output: Sequence[OutputItem]) -> str:
    texts = [
        part["text"]
        for item in output
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == "output_text"
    ]
    return "\n".join(texts)


AnswerT = TypeVar("AnswerT", bound=UnheardAnswer)


class UnheardExchange(AnsweringExchange, Generic[AnswerT]):
    """A call whose answer goes through the bridge first: the client hears of it only what `_answered` makes of it.

    Args:
        new_answer: takes in what the model says in one try.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        client: ClientAnswer,
        *,
        new_answer: Callable[[ReadCall], AnswerT],
    ) -> None:
        super().__init__(tries, record, context, client)
        self._new_answer = new_answer
        self._answer: AnswerT

    def _prepare(self, call: ReadCall) -> None:
        self._answer = self._new_answer(call)

    def _feed(self, data: bytes) -> list[Action]:
        self._answer.feed(data)
        return self._go_on()

    def _finish(self) -> list[Action]:
        self._answer.end()
        return self._go_on()

    def _fail(self, error: ApiError) -> list[Action]:
        self._answer.fail(error)
        return self._go_on()

    def _go_on(self) -> list[Action]:
        if not self._answer.ended:
            return []
        result = self._answer.result()
        if isinstance(result, ApiError):
            return self._another(result) or self._answered(result)
        self._tries.answered(self._call)
        return self._answered(result)

    @abstractmethod
    def _answered(self, result: Said | ApiError) -> list[Action]:
        """The answer is complete, or there is none."""


class PrecedingCall(UnheardExchange[AnswerT]):
    """A call made before another one. The client hears nothing of it.

    Args:
        outcome: what the log says of its success, in a word.
        follow: makes what comes next, of the answer and the call that it answers. An error is no reason to stop: the
            answer may be done without.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        client: ClientAnswer,
        *,
        new_answer: Callable[[ReadCall], AnswerT],
        outcome: str,
        follow: Callable[[AnswerT, ReadCall], Exchange],
    ) -> None:
        super().__init__(tries, record, context, client, new_answer=new_answer)
        self._outcome = outcome
        self._follow = follow
        self.next: Exchange | None = None
        """What comes after it, once it is known."""

    def _answered(self, result: Said | ApiError) -> list[Action]:
        if isinstance(result, ApiError):
            self._close(status=result.status, outcome=f"error {result.code}")
        else:
            self.record.enter(result.usage)
            self._close(status=200, outcome=self._outcome)
        self.next = self._follow(self._answer, self._call)
        return []


class PrecededExchange(Exchange):
    """A call that has others made first, one after the other.

    Args:
        first: the first of them.
        record: what is known of the call itself, until it is made.
    """

    def __init__(self, first: PrecedingCall[Any], record: Record) -> None:
        self._current: Exchange = first
        self._past: list[Record] = []
        self.record = record

    @property
    def records(self) -> Sequence[Record]:
        return (*self._past, *self._current.records)

    @property
    def over(self) -> bool:
        return self._current.over

    def begin(self) -> list[Action]:
        return self._current.begin()

    @property
    def alarm(self) -> float:
        return self._current.alarm

    def tick(self) -> list[Action]:
        return self._then(self._current.tick())

    def upstream_queued(self) -> None:
        self._current.upstream_queued()

    def upstream_begins(self) -> None:
        self._current.upstream_begins()

    def upstream_busy(self) -> list[Action]:
        return self._then(self._current.upstream_busy())

    def upstream_connected(self) -> None:
        self._current.upstream_connected()

    def upstream_alive(self) -> None:
        self._current.upstream_alive()

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        return self._then(self._current.upstream_head(status, headers))

    def upstream_data(self, data: bytes) -> list[Action]:
        return self._then(self._current.upstream_data(data))

    def upstream_end(self) -> list[Action]:
        return self._then(self._current.upstream_end())

    def upstream_lost(self, message: str) -> list[Action]:
        return self._then(self._current.upstream_lost(message))

    def client_gone(self) -> None:
        self._current.client_gone()

    def give_up(self, error: ApiError, *, begun: bool) -> list[Action]:
        return self._current.give_up(error, begun=begun)

    def _then(self, actions: list[Action]) -> list[Action]:
        """The next call begins as soon as the one before it is done."""
        if isinstance(self._current, PrecedingCall) and self._current.next is not None:
            self._past.append(self._current.record)
            self._current = self._current.next
            actions = [*actions, *self._current.begin()]
        if not isinstance(self._current, PrecedingCall):
            self.record = self._current.record
        return actions
