"""The arguments of a call in the history → a JSON object as text, whatever the client kept of them."""

from __future__ import annotations

from typing import cast

from pydantic_core import from_json

from addon.wire.json import Json, JsonError, JsonObject, clean, dumps, loads


def object_text(raw: str, *, empty: str) -> tuple[str, bool]:
    """`raw` as the text of a JSON object, and whether it had to be bent for that.

    A good object keeps its bytes: what the model wrote is what it reads again, and what providers have cached.
    """
    text = clean(raw)
    if not text.strip() or text.strip() == "null":
        return empty, False
    if _is_object(text):
        return text, False
    return _repaired(text), True


def _is_object(text: str) -> bool:
    try:
        return isinstance(from_json(text, allow_inf_nan=False), dict)
    except ValueError:
        return False


def _repaired(text: str) -> str:
    value = _read(text)
    wrapped: JsonObject = value if isinstance(value, dict) else {"input": value}
    return dumps(wrapped)


def _read(text: str) -> Json:
    """What can be made of it: the document, the object that it begins (or begins with), or the text itself."""
    try:
        return loads(text)
    except JsonError:
        pass
    try:
        partial = cast(Json, from_json(text, allow_partial="trailing-strings"))
    except ValueError:
        return text
    return partial if isinstance(partial, dict) else text
