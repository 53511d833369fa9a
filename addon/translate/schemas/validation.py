"""A client's JSON Schema → a validator whose work is bounded, whatever is in the schema and in the value.

Nothing is ever fetched: a schema that refers to another document cannot be checked here. Neither can what is no schema,
nor one that names other dialects inside. Where a validator is at its limits, it has no objections.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from addon.translate.grammar import REGEX_ATOM
from addon.wire.json import Json, JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

_MAX_STEPS = 100_000
"""Keywords applied to values in one check: about half a second. References make a long task of a small schema."""
_MAX_UNIQUE = 1000
"""Items. Those of a longer array are not compared with each other."""
_MAX_REGEX_STEPS = 10_000_000
"""How often `re` may go back and try again: about 0.2 s."""
_MIN_NAME = 1000
"""Characters. Expressions for the names of properties must be quick at least for names of this length."""
_MAX_MESSAGE = 300
_MAX_VIOLATIONS = 3

Keyword: TypeAlias = Callable[["Validator", Json, Json, JsonObject], "Iterable[ValidationError] | None"]


class _TooMuchWork(Exception):
    """There is no end to it within bounds."""


class BoundedValidator:
    """Says what of a value does not fit a schema."""

    def __init__(self, schema: JsonObject, dialect: type[Validator]) -> None:
        from jsonschema import validators
        from referencing import Registry

        keywords = {
            **dialect.VALIDATORS,
            "pattern": _pattern,
            "uniqueItems": _unique(dialect.VALIDATORS["uniqueItems"]),
        }
        counted = {name: self._counted(keyword) for name, keyword in keywords.items()}
        extended: Callable[..., type[Validator]] = validators.extend
        self._steps = 0
        self._validator = extended(dialect, counted)(schema, registry=Registry())

    def violations(self, value: Json) -> list[str]:
        """The first few things that do not fit, in words for a model."""
        from referencing.exceptions import Unresolvable

        self._steps = 0
        try:
            return [_in_words(error) for error in islice(self._validator.iter_errors(value), _MAX_VIOLATIONS)]
        except (_TooMuchWork, Unresolvable, RecursionError, ValueError, ArithmeticError):
            return []

    def _counted(self, keyword: Keyword) -> Keyword:
        def check(validator: Validator, wanted: Json, value: Json, schema: JsonObject) -> Iterator[ValidationError]:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise _TooMuchWork
            yield from keyword(validator, wanted, value, schema) or ()

        return check


def validator_of(schema: JsonObject) -> BoundedValidator | None:
    """The validator of a schema. None: it cannot be checked here."""
    from jsonschema import Draft3Validator, Draft202012Validator
    from jsonschema.validators import validator_for

    dialect = validator_for(schema, default=Draft202012Validator)
    # What names its dialect is taken out of our hands by jsonschema wherever it comes upon it.
    schema = {name: value for name, value in schema.items() if name != "$schema"}
    if dialect is Draft3Validator or not _is_harmless(schema):
        return None
    try:
        is_schema = dialect(dialect.META_SCHEMA).is_valid(schema)
        return BoundedValidator(schema, dialect) if is_schema else None
    except (RecursionError, ValueError):
        return None


def _is_harmless(schema: JsonObject) -> bool:
    """Whether all of it is in our hands: its dialect, and the expressions for names of properties."""
    waiting: list[Json] = [schema]
    while waiting:
        match waiting.pop():
            case {"$schema": str()}:
                return False
            case {"patternProperties": dict(named)} if not all(map(_is_quick, named)):
                return False
            case dict(node):
                waiting += node.values()
            case list(nodes):
                waiting += nodes
            case _:
                pass
    return True


def _in_words(error: ValidationError) -> str:
    """Of several alternatives, none of which fits, the one that comes nearest tells more than the choice itself."""
    from jsonschema.exceptions import best_match

    nearest = best_match([error]) or error
    message = nearest.message
    if len(message) > _MAX_MESSAGE:
        message = f"{message[: _MAX_MESSAGE // 2]} … {message[-_MAX_MESSAGE // 2 :]}"
    return f"at {nearest.json_path}: {message}"


# --- keywords that could take too long --------------------------------------------------------------------------------


def _unique(keyword: Keyword) -> Keyword:
    def check(validator: Validator, wanted: Json, value: Json, schema: JsonObject) -> Iterable[ValidationError] | None:
        too_long = isinstance(value, list) and len(value) > _MAX_UNIQUE
        return () if too_long else keyword(validator, wanted, value, schema)

    return check


def _pattern(validator: Validator, wanted: Json, value: Json, schema: JsonObject) -> Iterator[ValidationError]:
    from jsonschema import ValidationError

    if isinstance(wanted, str) and isinstance(value, str):
        expression = _compiled(wanted)
        if expression is not None and len(value) <= _longest_text(wanted) and not expression.search(value):
            yield ValidationError(f"{value!r} does not match {wanted!r}")


def _is_quick(pattern: str) -> bool:
    return _longest_text(pattern) >= _MIN_NAME and _compiled(pattern) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None: it is in the syntax of JavaScript, where Python has another."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern)
    except (re.error, Warning, OverflowError, RecursionError):
        return None


_REPEATED = re.compile(r"[*+{]")
_FORK = re.compile(r"[*+?]|\{\d*,\d*\}")


@lru_cache(maxsize=256)
def _longest_text(pattern: str) -> int:
    """How long a text may be: wherever `re` can go on in several ways, the steps may be multiplied by the length.

    Nothing is said of repeated groups, whose ways can be without number.
    """
    ways = 0 if pattern.startswith("^") else 1
    for atom in REGEX_ATOM.finditer(pattern):
        if atom[0] == ")" and _REPEATED.match(pattern, atom.end()):
            return 0
        if atom[0] == "|" or (not atom[0].startswith("(") and _FORK.match(pattern, atom.end())):
            ways += 1
    return int(_MAX_REGEX_STEPS ** (1 / ways)) if ways else _MAX_REGEX_STEPS
