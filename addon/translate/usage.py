"""How many tokens an answer cost: what its provider told of it, and an estimate of what it did not tell.

Agents decide by these numbers when a conversation has to be shortened, so zeros would lead them past the model's limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from addon.translate.estimate import text_weight, tokens_of_weight
from addon.translate.notes import Notes
from addon.wire.chat import Totals


class TokenCount:
    """Counts along with an answer.

    Args:
        prompt_estimate: about how many tokens the request has; asked only when it is needed. None: no estimates.
        notes: told what is estimated.
    """

    def __init__(self, prompt_estimate: Callable[[], int] | None, notes: Notes) -> None:
        self._prompt_estimate = prompt_estimate
        self._notes = notes
        self._told: Totals | None = None
        self._text = 0
        self._reasoning = 0

    def told(self, usage: Totals) -> None:
        """What the provider says, the last word on each number: some repeat all in each chunk, some only a part."""
        self._told = usage if self._told is None else _over(self._told, usage)

    def text(self, said: str) -> None:
        """Text or arguments of a call."""
        self._text += text_weight(said)

    def reasoning(self, thought: str) -> None:
        self._reasoning += text_weight(thought)

    @property
    def so_far(self) -> Totals | None:
        """What the provider has told."""
        return self._told

    @cached_property
    def prompt(self) -> int:
        """About how many tokens the request has; 0 where nobody can say."""
        return self._prompt_estimate() if self._prompt_estimate is not None else 0

    def totals(self) -> Totals | None:
        """The cost of the whole answer."""
        told = self._told
        if self._prompt_estimate is None or (told is not None and _tells_all(told)):
            return told
        if told is None:
            self._notes.add("usage", "estimated, the provider told none")
            reasoning = tokens_of_weight(self._reasoning)
            return Totals(prompt=self.prompt, completion=self._written(), reasoning=reasoning)
        self._notes.add("usage", "partly estimated, the provider told not all of it")
        return replace(
            told, prompt=told.prompt or self.prompt, completion=told.completion or self._written(), total=None
        )

    def _written(self) -> int:
        return tokens_of_weight(self._text + self._reasoning)


def _tells_all(totals: Totals) -> bool:
    """No request is without tokens, so a zero there was not counted."""
    parts = (totals.prompt or None, totals.completion, totals.total or None)
    return sum(part is not None for part in parts) >= 2


def _over(before: Totals, later: Totals) -> Totals:
    return Totals(
        prompt=_either(later.prompt, before.prompt),
        completion=_either(later.completion, before.completion),
        total=_either(later.total, before.total),
        cached=later.cached or before.cached,
        cache_write=later.cache_write or before.cache_write,
        reasoning=later.reasoning or before.reasoning,
    )


def _either(later: int | None, before: int | None) -> int | None:
    return before if later is None else later
