"""Compaction: calls whose answer is a summary of the conversation, written by a model.

That is what a `compaction_trigger` item and POST /v1/responses/compact ask for. A summary that is only written before
the call itself (`context_management`) is a `PrecedingCall`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from addon.exchange import Action, CallContext, End, Record, told
from addon.preceding import Said, UnheardAnswer, UnheardExchange
from addon.translate.compaction import Summary, summary_of
from addon.translate.errors import ApiError
from addon.translate.output import ResponseBuilder
from addon.tries import ReadCall, Tries
from addon.wire.json import JsonObject
from addon.wire.responses import Usage


@dataclass(frozen=True, slots=True)
class Written:
    """A summary, and the tokens it cost."""

    summary: Summary
    usage: Usage | None


def written(result: Said | ApiError, provider: str) -> Written | ApiError:
    """The summary in what a model said when it was asked for one."""
    if isinstance(result, ApiError):
        return result
    summary = summary_of(result.text)
    if summary is None:
        return ApiError.upstream(f"The model at the provider {provider} wrote no summary of the conversation.")
    return Written(summary, result.usage)


class SummaryExchange(UnheardExchange[UnheardAnswer]):
    """A call whose whole answer is a summary. The client hears nothing until there is one, or an error.

    Args:
        shown: makes the client's answer of a summary.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        *,
        new_answer: Callable[[ReadCall], UnheardAnswer],
        client_stream: bool,
        shown: Callable[[Written], JsonObject | ResponseBuilder],
    ) -> None:
        super().__init__(tries, record, context, new_answer=new_answer)
        self._client_stream = client_stream
        self._shown = shown

    def _answered(self, result: Said | ApiError) -> list[Action]:
        summary = written(result, self._call.target.provider)
        if isinstance(summary, ApiError):
            return [self._answer_error(summary)]
        self.record.enter(summary.usage)
        self.record.outcome = "compacted"
        answer = self._shown(summary)
        if not isinstance(answer, ResponseBuilder):
            return [self._answer_json(answer)]
        return self._streamed(answer) if self._client_stream else [self._answer_json(answer.response)]

    def _streamed(self, builder: ResponseBuilder) -> list[Action]:
        head = self._head(200, "text/event-stream; charset=utf-8")
        self._close(outcome="compacted")
        return [head, told(builder.take()), End()]
