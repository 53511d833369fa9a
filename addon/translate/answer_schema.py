"""The form that a client wants of an answer → a check of what a model wrote.

Providers that only tell the model of a schema do not hold it to it. The check is a help, not a gate: where a schema
cannot be checked within bounds, or the text is too long, there is no objection.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from addon.translate.schemas.validation import BoundedValidator, validator_of
from addon.wire.json import Json, JsonError, dumps, loads
from addon.wire.responses import TextFormat

_MAX_SCHEMA = 50_000
_MAX_TEXT = 100_000
"""In characters, as the length of the schema: objections repeat parts of both."""


class AnswerCheck:
    """Checks texts against one form. None as `validator`: any JSON object fits."""

    def __init__(self, validator: BoundedValidator | None) -> None:
        self._validator = validator

    def problem(self, text: str) -> str | None:
        """What is wrong with the text of an answer, in a sentence for the model. None: nothing, as far as one knows."""
        if len(text) > _MAX_TEXT:
            return None
        try:
            value = loads(text)
        except JsonError as error:
            return f"The answer is not a JSON document: {error}"
        violations = self._violations(value)
        return f"The answer does not fit the JSON Schema: {'; '.join(violations)}" if violations else None

    def repaired(self, text: str) -> str | None:
        """The document that fits, out of a fence or other words around it. None: there is none, or more than one."""
        if len(text) > _MAX_TEXT:
            return None
        fitting = {found for found in _wrapped(text) if self.problem(found) is None}
        return fitting.pop() if len(fitting) == 1 else None

    def _violations(self, value: Json) -> list[str]:
        if self._validator is not None:
            return self._validator.violations(value)
        return [] if isinstance(value, dict) else ["at $: it is not an object"]


def compile_answer(form: TextFormat | None) -> AnswerCheck | None:
    """The check that a `text.format` asks for. None: it asks for none, or its schema cannot be checked here."""
    if form is None or form.type not in ("json_object", "json_schema"):
        return None
    if form.type == "json_object" or not form.schema_:
        return AnswerCheck(None)
    validator = _compiled(dumps(form.schema_))
    return AnswerCheck(validator) if validator is not None else None


@lru_cache(maxsize=64)
def _compiled(schema: str) -> BoundedValidator | None:
    """Clients send the same schema with every request of an application."""
    document = loads(schema) if len(schema) <= _MAX_SCHEMA else None
    return validator_of(document) if isinstance(document, dict) else None


def _wrapped(text: str) -> Iterator[str]:
    """What may be the document: the inside of each fence, and what is from the first bracket to the last."""
    for fence in text.split("```")[1:-1:2]:
        language, line, inside = fence.partition("\n")
        yield (inside if line and language.strip().isalnum() else fence).strip()
    begin = min((place for place in map(text.find, "{[") if place >= 0), default=0)
    end = max(map(text.rfind, "}]")) + 1
    if end > begin:
        yield text[begin:end]
