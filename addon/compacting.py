"""Compaction: calls whose answer is a summary of the conversation, written by a model.

That is what a `compaction_trigger` item and POST /v1/responses/compact ask for. A summary that is only written before
the call itself (`context_management`) is a `PrecedingCall`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from addon.actions import Action
from addon.client_answer import ClientAnswer
from addon.exchange import CallContext, Record
from addon.preceding import Said, UnheardAnswer, UnheardExchange
from addon.translate.compaction import Summary, summary_of
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.tries import ReadCall, Tries
from addon.wire.json import JsonObject
from addon.wire.responses import Event, Usage


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
    """A call whose whole answer is a summary. The client hears nothing of it until there is one, or an error.

    Args:
        shown: makes the client's answer of a summary: an object, or the events of the client's response.
    """

    def __init__(
        self,
        tries: Tries[ReadCall],
        record: Record,
        context: CallContext,
        client: ClientAnswer,
        *,
        new_answer: Callable[[ReadCall], UnheardAnswer],
        shown: Callable[[Written, Notes], JsonObject | Sequence[Event]],
    ) -> None:
        super().__init__(tries, record, context, client, new_answer=new_answer)
        self._shown = shown

    def _answered(self, result: Said | ApiError) -> list[Action]:
        summary = written(result, self._call.target.provider)
        if isinstance(summary, ApiError):
            return self._refused(summary)
        self.record.enter(summary.usage)
        shown = self._shown(summary, self._call.notes)
        if isinstance(shown, dict):
            actions = self._client.tell_whole(shown, self._ok)
        else:
            actions = self._client.tell(shown, self._ok)
        self._close(status=200, outcome="compacted")
        return actions

    def _refused(self, error: ApiError) -> list[Action]:
        if not self._client.begun:
            return [self._answer_error(error)]
        self._client.builder.fail(error)
        actions = self._client.tell(self._client.builder.take(), self._ok)
        self._close(outcome=f"failed {error.code}")
        return actions
