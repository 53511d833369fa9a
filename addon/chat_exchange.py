"""POST /v1/chat/completions: a provider's answer passes as it comes, or, of a model that only streams, put together."""

from __future__ import annotations

import math
from collections.abc import Mapping

from addon.actions import Action, Answer, Data, End, Head
from addon.client_answer import Pace
from addon.exchange import CallContext, Record, SingleExchange
from addon.translate.chat_fold import ChatFold
from addon.translate.errors import ApiError
from addon.tries import ChatCall, Tries
from addon.wire.json import dump_bytes, dumps


class ChatExchange(SingleExchange[ChatCall]):
    """One call of a client that speaks chat."""

    def __init__(self, tries: Tries[ChatCall], record: Record, context: CallContext, pace: Pace) -> None:
        super().__init__(tries, record, context)
        self._pace = pace
        self._fold: ChatFold | None = None
        self._begun = False
        self._between_events = True
        self._spoke = self._began

    @property
    def _waiting_alarm(self) -> float:
        if not self._call.stream:
            return math.inf
        first = self._pace.early_headers_after if self._fold is None else self._pace.json_after
        return self._spoke + (self._pace.every if self._begun else first)

    def _wait(self) -> list[Action]:
        """A comment, which all SDKs skip, or a blank before what is folded. A whole answer of the provider's is let
        through as it is, and has no place for a sign of life."""
        if self._context.clock() < self._waiting_alarm:
            return []
        content_type, sign = ("text/event-stream", b": keep-alive\n\n")
        if self._fold is not None:
            content_type, sign = ("application/json", b"\n")
        head: list[Action] = [] if self._begun else [self._begin(200, content_type)]
        self._spoke = self._context.clock()
        return [*head, Data(sign)] if self._between_events else head

    def upstream_head(self, status: int, headers: Mapping[str, str]) -> list[Action]:
        actions = super().upstream_head(status, headers)
        if actions or self._failure is not None or self._fold is not None:
            return actions
        self._tries.answered(self._call)
        usual = "text/event-stream" if self._call.stream else "application/json"
        return [] if self._begun else [self._begin(status, headers.get("content-type", usual))]

    def _begin(self, status: int, content_type: str) -> Head:
        self._begun = True
        return self._head(status, content_type)

    def _prepare(self, call: ChatCall) -> None:
        self._heard = False
        self._fold = call.fold() if call.fold is not None else None

    def _feed(self, data: bytes) -> list[Action]:
        if self._fold is not None:
            self._fold.feed(data)
            return self._lost(self._fold.error) if self._fold.error else []
        self._heard = True
        self._between_events = data.endswith((b"\n\n", b"\r\n\r\n"))
        self._spoke = self._context.clock()
        return [Data(data)]

    def _finish(self) -> list[Action]:
        if self._fold is not None:
            return self._tell_folded(self._fold)
        self._close(outcome="completed")
        return [End()]

    def _tell_folded(self, fold: ChatFold) -> list[Action]:
        completion = fold.end()
        if isinstance(completion, ApiError):
            return self._lost(completion)
        self._tries.answered(self._call)
        head = None if self._begun else self._begin(200, "application/json")
        self._close(status=200, outcome="completed")
        body = dump_bytes(completion)
        return [Data(body), End()] if head is None else [Answer(200, head.headers, body)]

    def _fail(self, error: ApiError) -> list[Action]:
        if self._fold is not None and self._fold.is_complete:  # all was said; only the stream did not end well
            return self._tell_folded(self._fold)
        if not self._heard:
            another = self._another(error)
            if another is not None:
                return another
        if not self._begun:
            return [self._answer_error(error)]
        self._close(outcome=f"failed {error.code}")
        if self._fold is not None:
            return [Data(error.body()), End()]
        return [Data(f"data: {dumps(error.envelope())}\n\n".encode()), End()]
