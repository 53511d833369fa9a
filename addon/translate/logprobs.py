"""The probability of one token, as a provider tells it → with all keys that the Responses API has."""

from __future__ import annotations

import math

from addon.wire.json import Json, JsonObject, clean


def logprob(entry: JsonObject) -> JsonObject:
    """One token and the likeliest others in its place."""
    top = entry.get("top_logprobs")
    others: list[Json] = []
    if isinstance(top, list):
        others += [_token(other) for other in top if isinstance(other, dict)]
    return {**_token(entry), "top_logprobs": others}


def _token(entry: JsonObject) -> JsonObject:
    token, value, octets = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    text = clean(token) if isinstance(token, str) else ""
    return {
        "token": text,
        "bytes": octets if _are_octets(octets) else list[Json](text.encode()),
        "logprob": value if _is_number(value) else 0.0,
    }


def _are_octets(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
