"""Reading a provider's answer, of whichever of its APIs: the frame that the readers of all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Protocol

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output import CalledTool, ResponseBuilder
from addon.translate.usage import TokenCount
from addon.wire.answer_body import AnswerBody
from addon.wire.responses import Event
from addon.wire.sse import MAX_EVENT_CHARS, SSE, LineTooLong


class ToolNames(Protocol):
    """The way back from the name that a tool has at the provider to the client's tool."""

    def called(self, chat_name: str) -> CalledTool: ...


class BodyReader(ABC):
    """One answer of one provider. Feed it the body as it comes; it drives the builder.

    `feed`, `end` and `fail` return the events that came of it; after the terminal event there are none. Whether the
    body is a stream or one whole answer shows in its first byte, whatever was asked for.

    Args:
        tools: the tools that the provider knows as functions.
        provider: what it is called in errors.
        logprobs: the client wants the probabilities of tokens.
        hide: takes keys out of what the client will read.
        prompt_estimate: about how many tokens the request has, for providers that do not tell. None: nobody knows.
        event_chars: the largest event that is read.
    """

    def __init__(
        self,
        builder: ResponseBuilder,
        profile: Profile,
        tools: ToolNames,
        *,
        provider: str,
        notes: Notes,
        logprobs: bool = False,
        hide: Callable[[str], str] = str,
        prompt_estimate: Callable[[], int] | None = None,
        event_chars: int = MAX_EVENT_CHARS,
    ) -> None:
        self._builder = builder
        self._profile = profile
        self._tools = tools
        self._provider = provider
        self._notes = notes
        self._logprobs = logprobs
        self._hide = hide
        self._body = AnswerBody(event_chars)
        self._tokens = TokenCount(prompt_estimate, notes)
        self._said_done = False
        self._set_up()

    def feed(self, data: bytes) -> list[Event]:
        """A portion of the provider's body, decoded of its Content-Encoding."""
        if not self._builder.ended:
            self._read(self._body.feed(data))
        return self._builder.take()

    def end(self) -> list[Event]:
        """The provider's body came to its end."""
        if not self._builder.ended:
            self._read(self._body.flush())
        if not self._builder.ended:
            if self._body.is_stream:
                self._conclude()
            else:
                self._answer(self._body.whole)
        return self._builder.take()

    def fail(self, error: ApiError) -> list[Event]:
        """The answer broke off: connection lost, time run out, more than is allowed."""
        if not self._builder.ended:
            if self._all_was_said:
                self._conclude()
            else:
                self._end_with(error)
        return self._builder.take()

    def _read(self, events: Iterator[SSE]) -> None:
        try:
            for event in events:
                if not self._builder.ended:
                    self._event(event)
        except LineTooLong as error:
            self._fail(f"sent too much: {error}", "upstream_invalid")

    def _event(self, event: SSE) -> None:
        data = event.data.strip()
        if data == "[DONE]":
            self._said_done = True
            self._conclude()
        else:
            self._said(event.event, data)

    def _fail(self, what: str, code: str) -> None:
        self._end_with(ApiError.upstream(f"The provider {self._provider} {what}.", code=code))

    def _end_with(self, error: ApiError) -> None:
        self._builder.fail(error.saying(self._hide(error.message)), self._tokens.so_far)

    # --- for subclasses

    @abstractmethod
    def _set_up(self) -> None:
        """Before anything is read."""

    @property
    def _all_was_said(self) -> bool:
        """Only the end of the body is missing: some servers neither end their stream nor close it well."""
        return False

    @abstractmethod
    def _said(self, event: str, data: str) -> None:
        """One event of a stream: what it is called, and what it says."""

    @abstractmethod
    def _answer(self, body: bytes) -> None:
        """A whole answer at once."""

    @abstractmethod
    def _conclude(self) -> None:
        """The stream is over. How it ended follows from what was said."""
