"""JSON as it comes and goes: tolerant reading, compact writing."""

from __future__ import annotations

import json
import re
from typing import TypeAlias, cast

from pydantic import JsonValue
from pydantic_core import from_json

Json: TypeAlias = JsonValue
JsonObject: TypeAlias = dict[str, JsonValue]

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 pair. JSON's grammar admits it as an escape; UTF-8 cannot carry it."""


class JsonError(ValueError):
    """The text is not JSON."""


def loads(data: bytes | str) -> Json:
    """Parse one JSON document.

    Half surrogate pairs (models emit them when an emoji is cut between two tokens) become U+FFFD.

    Raises:
        JsonError: with the parser's position.
    """
    try:
        return cast(Json, from_json(data))
    except ValueError as strict_error:
        try:
            return _without_surrogates(json.loads(data))
        except (ValueError, RecursionError):
            raise JsonError(str(strict_error)) from None


def dumps(value: object) -> str:
    """One line of JSON with nothing but the document: no spaces, text unescaped, never NaN."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def clean(text: str) -> str:
    """`text` in a form every JSON reader takes: no half surrogates, no NUL."""
    if text.isascii():
        return text.replace("\0", "�") if "\0" in text else text
    return _SURROGATE.sub("�", text).replace("\0", "�")


def is_cut_off(text: str) -> bool:
    """True if `text` is the beginning of a JSON document that has not come to its end."""
    try:
        from_json(text)
    except ValueError:
        try:
            from_json(text, allow_partial="trailing-strings")
        except ValueError:
            return not text.strip()
        return True
    return False


def _without_surrogates(value: Json) -> Json:
    match value:
        case str():
            return _SURROGATE.sub("�", value)
        case list():
            return [_without_surrogates(entry) for entry in value]
        case dict():
            return {_SURROGATE.sub("�", key): _without_surrogates(entry) for key, entry in value.items()}
        case _:
            return value
