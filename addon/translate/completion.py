"""The body of a whole answer: bytes → the completion, or the error that it is."""

from __future__ import annotations

from addon.providers.profile import Profile
from addon.translate.errors import ApiError, from_body, is_error, plain_words
from addon.wire.json import JsonError, JsonObject, loads


def read_completion(body: bytes, *, provider: str, profile: Profile) -> JsonObject | ApiError:
    """A `chat.completion` object, taken out of the envelope that some gateways put around it."""
    if not body.strip():
        return ApiError.upstream(f"The provider {provider} sent an empty answer.")
    try:
        content = loads(body)
    except JsonError:
        message = f"The provider {provider} sent something that is not JSON: {plain_words(body)}"
        return ApiError.upstream(message)
    if isinstance(content, dict):
        for candidate in (content, *content.values()):
            if isinstance(candidate, dict) and isinstance(candidate.get("choices"), list) and candidate["choices"]:
                return candidate
    if is_error(content):
        return from_body(content, provider=provider, profile=profile)
    return ApiError.upstream(f"The provider {provider} sent an answer without choices.", code="upstream_invalid")
