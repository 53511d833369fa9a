"""JSON as it comes and goes: tolerant reading, compact writing."""

from __future__ import annotations

import json
import math
import re
from typing import TypeAlias, cast

from pydantic import JsonValue
from pydantic_core import from_json, to_json

Json: TypeAlias = JsonValue
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 200
"""How deep what is read may be nested: the limit of the parser, and what can be walked without fear for the stack."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 pair. JSON's grammar admits it as an escape; UTF-8 cannot carry it."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?P<closed>")?|(?P<opens>[\[{])|[\]}]', re.S)
"""What makes the structure of a JSON document: strings, which may lack their end, and brackets."""


class JsonError(ValueError):
    """The text is not JSON."""


def loads(data: bytes | str) -> Json:
    """Parse one JSON document.

    Half surrogate pairs (models emit them when an emoji is cut between two tokens) become U+FFFD, NaN and Infinity
    null (but not a number that is too large, which `dumps` makes null); control characters may stand in strings.

    Raises:
        JsonError: with the parser's position; also for what is nested deeper than MAX_DEPTH.
    """
    try:
        return cast(Json, from_json(data, allow_inf_nan=False))
    except ValueError as strict_error:
        if depth(data) > MAX_DEPTH:
            raise JsonError(f"it is nested deeper than {MAX_DEPTH} levels") from None
        try:
            return _without_surrogates(json.loads(data, strict=False, parse_constant=lambda _: None))
        except (ValueError, RecursionError):
            raise JsonError(str(strict_error)) from None


def dumps(value: object) -> str:
    """One line of JSON with nothing but the document: no spaces, text unescaped, null for what is not a number."""
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except ValueError:  # it is stricter about text, and about depth
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def dump_bytes(value: object) -> bytes:
    """`dumps` in UTF-8: for a long document much cheaper than to encode its text."""
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        return dumps(value).encode()


def clean(text: str) -> str:
    """`text` in a form every JSON reader takes: no half surrogates, no NUL."""
    if text.isascii():
        return text.replace("\0", "�") if "\0" in text else text
    return _SURROGATE.sub("�", text).replace("\0", "�")


def depth(document: bytes | str) -> int:
    """How deep objects and arrays are nested in a JSON document, or in the beginning of one."""
    text = document.decode("utf-8", "replace") if isinstance(document, bytes) else document
    deepest = level = 0
    for token in _TOKEN.finditer(text):
        if token["opens"]:
            level += 1
            deepest = max(deepest, level)
        elif token[0] in ("]", "}"):
            level -= 1
    return deepest


def is_cut_off(text: str) -> bool:
    """True if `text` is the beginning of a JSON object, array or string that has not come to its end.

    Only strings and brackets are looked at. Wrong JSON is not cut off if these are whole, and neither is a whole
    document with something behind it.
    """
    start = text.lstrip()
    if not start.startswith(("{", "[", '"')):
        return not start
    depth = 0
    for token in _TOKEN.finditer(start):
        if token[0].startswith('"'):
            if not token["closed"]:
                return True
        else:
            depth += 1 if token["opens"] else -1
    return depth > 0


def _finite(value: object) -> object:
    """The value with null in the place of NaN and the infinities, which JSON does not have."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [_finite(entry) for entry in value]
        case dict():
            return {key: _finite(entry) for key, entry in value.items()}
        case _:
            return value


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
