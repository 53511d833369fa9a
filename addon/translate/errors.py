"""ApiError: what went wrong, in the words and codes that Responses clients act on; whatever a provider says → ApiError.

Codes are chosen by what clients do with them: Codex ends its run on a 429 without Retry-After, hides the message of a
500, retries 401 to 404 six times, shows the message of a 400 at once, and retries `response.failed` unless the code
says that it is permanent. The SDKs retry 408, 409, 429 and 5xx unless `x-should-retry` says otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from addon.providers.profile import Profile
from addon.wire.json import Json, JsonError, JsonObject, dumps, loads

RETRY_AFTER_S = "5"
"""Sent with a 429 for which the provider named no time: without the header Codex ends its run."""

BUSY = "too_many_requests"
"""Code of the error that no provider has caused: the bridge has too many calls under way."""

HANDED_ON = re.compile(r"retry-after(-ms)?|x-should-retry|x-request-id|x-ratelimit-.*|openai-processing-ms", re.I)
"""Headers of the provider's answer that the client gets."""


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """What a provider's error body says, in whatever shape it came; empty strings where it says nothing."""

    status: int
    """The HTTP status; of an error inside an answer with status 200 the one its code names, else 502."""
    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    retry_after: str = ""
    """Seconds, or a date, after which to come back."""


@dataclass(eq=False)  # and not frozen: contextlib sets __traceback__ on what passes through
class ApiError(Exception):
    """An error as the client will read it: an HTTP status and OpenAI's envelope, or the end of a stream."""

    status: int
    """HTTP status, when nothing was sent yet."""
    message: str
    """Whose fault, what, what to do."""
    code: str
    type: str = "invalid_request_error"
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """retry-after, x-should-retry and what else the client may act on."""
    said: UpstreamError | None = None
    """What the provider itself said, if this error is one of its answers."""

    def __str__(self) -> str:
        return self.message

    def envelope(self) -> JsonObject:
        """{"error": {message, type, param, code}}: the body of every error of OpenAI's API."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def body(self) -> bytes:
        return dumps(self.envelope()).encode()

    def saying(self, message: str) -> ApiError:
        return replace(self, message=message)

    @classmethod
    def bad_request(cls, message: str, *, param: str | None = None, code: str = "invalid_value") -> ApiError:
        """The client asked for what cannot be served."""
        return cls(400, message, code, param=param)

    @classmethod
    def bridge(cls, message: str, *, code: str, status: int = 500) -> ApiError:
        """The bridge itself, or its configuration, is at fault: trying again changes nothing."""
        return cls(status, message, code, type="bridge_error", headers={"x-should-retry": "false"})

    @classmethod
    def upstream(cls, message: str, *, code: str = "server_error", status: int = 502) -> ApiError:
        """The provider, or the way to it, is at fault: trying again may help."""
        return cls(status, message, code, type="server_error")


def full_context(provider: str, sign: str) -> ApiError:
    """The conversation is too long for the model. The code makes clients shorten it instead of trying again.

    Args:
        provider: who says so.
        sign: its words, or what it did instead of saying it.
    """
    message = f"The conversation is longer than the model at the provider {provider} can read: {sign}"
    return ApiError(400, message, "context_length_exceeded", param="input")


def busy(provider: str) -> ApiError:
    """The bridge has as many calls of the provider under way, and waiting, as it may."""
    message = f"The bridge has too many calls of the provider {provider} under way. Try again in a few seconds."
    return ApiError(429, message, BUSY, "rate_limit_error", headers={"retry-after": RETRY_AFTER_S})


def to_headers(provider_headers: Mapping[str, str]) -> dict[str, str]:
    """What the client gets of the provider's response headers, names in lower case."""
    return {name.lower(): value for name, value in provider_headers.items() if HANDED_ON.fullmatch(name)}


# --- what a provider answers ------------------------------------------------------------------------------------------


def is_error(body: Json) -> bool:
    """True if `body`, which may have come with status 200, is an error and not an answer."""
    if isinstance(body, list):
        return any(is_error(entry) for entry in body)
    if not isinstance(body, dict):
        return False
    if body.get("error"):
        return True
    if body.get("choices"):
        return False
    base = body.get("base_resp")
    if isinstance(base, dict) and base.get("status_code") not in (None, 0):
        return True
    return body.get("object") == "error" or body.get("success") is False or "detail" in body or "message" in body


def from_response(status: int, headers: Mapping[str, str], body: bytes, *, provider: str, profile: Profile) -> ApiError:
    """An HTTP answer of a provider that is no success → ApiError, in every shape of body that was seen."""
    try:
        content = loads(body)
    except JsonError:
        said = UpstreamError(status, plain_words(body))
    else:
        said = _read(status, content, profile)
    theirs = to_headers(headers)
    if "retry-after-ms" in theirs:
        theirs.setdefault("retry-after", str(math.ceil(_milliseconds(theirs["retry-after-ms"]) / 1000)))
    said = replace(said, retry_after=theirs.get("retry-after", ""))
    error = _classify(said, provider, profile, empty=not body.strip())
    return replace(error, headers={**error.headers, **theirs})


def from_body(content: Json, *, provider: str, profile: Profile) -> ApiError:
    """An error that came in the place of an answer, in a stream or with status 200 → ApiError."""
    said = _read(502, content, profile)
    if re.fullmatch(r"[45]\d\d", said.code):
        said = replace(said, status=int(said.code))
    return _classify(said, provider, profile, empty=False)


def _milliseconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return number if 0 <= number < math.inf else 1000 * float(RETRY_AFTER_S)


def _read(status: int, content: Json, profile: Profile) -> UpstreamError:
    paths = profile.error_paths
    if isinstance(content, str):
        return UpstreamError(status, content)
    message = _violations(content) or _first(content, paths.message)
    raw = _first(content, ("/error/metadata/raw",))  # OpenRouter: what its own provider said
    if raw and raw not in message:
        message = f"{message}: {raw}" if message else raw
    attempted = _first(
        content, ("/error/failed_generation",)
    )  # Groq: what the model wrote, no call could be read of it
    if attempted:
        message = f"{message} The model wrote: {attempted}"
    return UpstreamError(
        status,
        shortened(message or dumps(content)[:500]),
        type=_first(content, paths.type),
        code=_first(content, paths.code),
        param=_first(content, paths.param) or _location(_at(content, "/detail/0")),
    )


def _first(content: Json, pointers: Sequence[str]) -> str:
    for pointer in pointers:
        value = _at(content, pointer)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return ""


def _at(content: Json, pointer: str) -> Json:
    for step in pointer.split("/")[1:]:
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def _location(violation: Json) -> str:
    """Where something is wrong in FastAPI's {"detail": [{"loc": ["body", "messages", 0], "msg": …}]}."""
    loc = _at(violation, "/loc")
    return ".".join(str(step) for step in loc if step != "body") if isinstance(loc, list) else ""


def _violations(content: Json) -> str:
    """All that is wrong, if there is more than one thing."""
    detail = _at(content, "/detail")
    found = [each for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
    told = [(_location(each), _first(each, ("/msg",))) for each in found]
    return "; ".join(": ".join(filter(None, each)) for each in told if any(each)) if len(told) > 1 else ""


def plain_words(body: bytes) -> str:
    """The words of a page of HTML, or the beginning of whatever text it is."""
    text = body[:20000].decode("utf-8", "replace")
    if "<" in text:
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.S | re.I)
        text = re.sub(r"<(script|style|head).*?</\1>", " ", text, flags=re.S | re.I)
        text = re.sub(r"<[^>]+>", " ", text) if text.lstrip().startswith("<") else text
        if not text.strip() and title:
            text = title.group(1)
    text = " ".join(text.split())
    return shortened(text, 300)


def shortened(text: str, limit: int = 2000) -> str:
    """As much of a text as a person will read: some providers quote the whole request."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


# --- what it means ----------------------------------------------------------------------------------------------------

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|ContextWindowExceeded|tokens_limit_reached"
    r"|maximum context length|maximum prompt length|maximum number of tokens allowed|maximum allowed input length"
    r"|exceeds the context window|context window exceeds|exceeds the model's (maximum )?context|model's context length"
    r"|exceeded model token limit|Range of input length should be|prompt is too long|prompt too long"
    r"|(?<!_)tokens must be <=|`inputs` tokens \+ `max_new_tokens`|reduce the length of the messages"
    r"|too large for model with .{1,20} maximum|tokens to keep from the initial prompt|request_too_large"
    r"|exceeds the limit of \d+ tokens|context length of only|exceed max message tokens|exceeds the context length"
    r"|must be less than max_seq_len|exceeded this model('s)? context|longer than the maximum model length"
    r"|input is too long|prompt exceeds max length|Prompt 超长",
    re.I,
)
_NOT_OVERFLOW = re.compile(r"rate limit|too many (tokens|requests)|tokens? per (minute|day)|please wait", re.I)
_BILLING = re.compile(
    r"insufficient[ _](quota|balance|credit|funds)|exceeded your current quota|billing|payment required|arrear|overdue"
    r"|out of credits|Arrearage|recharge|\bcredits? (are|is) (depleted|exhausted)",
    re.I,
)
_SOON = re.compile(r"per (minute|second|day)|retry in|try again in", re.I)
"""A quota that fills up again: Gemini's words for a rate limit are those for an empty account."""
_FILTER = re.compile(r"content_filter|content_policy|data_inspection_failed|inappropriate content|sensitive", re.I)
_NO_MODEL = re.compile(
    r"model[_ ]not[_ ]found|no such model|unknown model|model .{0,80}(does not|doesn't|not) exist", re.I
)


def _classify(said: UpstreamError, provider: str, profile: Profile, *, empty: bool) -> ApiError:
    return replace(_meaning(said.status, said, provider, profile, empty=empty), said=said)


def _meaning(status: int, said: UpstreamError, provider: str, profile: Profile, *, empty: bool) -> ApiError:
    """The status, code and words for the client. The order matters: a full context comes as 400, 413, 429 and 500."""
    everything = f"{said.code} {said.type} {said.message}"
    told = said.message or f"HTTP {status} without a message"
    who = f"The provider {provider}"
    param = said.param or None
    if _is_overflow(status, everything, profile, empty=empty):
        return full_context(provider, told)
    if status == 402 or (_BILLING.search(everything) and not (status == 429 and _SOON.search(everything))):
        message = f"The account at the provider {provider} has no quota or credit left: {told}"
        return ApiError(429, message, "insufficient_quota", "insufficient_quota", headers={"x-should-retry": "false"})
    if status in (400, 403, 422, 502) and _FILTER.search(f"{said.code} {said.type}"):
        return ApiError(400, f"{who} refused the content: {told}", "content_filter")
    if status == 404 or _NO_MODEL.search(everything):
        return _not_found(said, told, provider)
    match status:
        case 400 | 422:
            return ApiError(400, f"{who} refused the request: {told}", said.code or "invalid_value", param=param)
        case 401:
            message = (
                f"{who} refused the key that the bridge has for it: {told}. Correct the key where the bridge runs."
            )
            return ApiError(401, message, "invalid_api_key", "authentication_error")
        case 403:
            return ApiError(403, f"{who} denied access: {told}", said.code or "forbidden", "permission_error")
        case 413:
            return ApiError(413, f"The request is too large for the provider {provider}: {told}", "request_too_large")
        case 429:
            message = f"{who} limits the rate of requests: {told}"
            return ApiError(
                429, message, "rate_limit_exceeded", "rate_limit_error", headers={"retry-after": RETRY_AFTER_S}
            )
        case 408 | 409 | 425:
            return ApiError(status, f"{who} says: {told}", said.code or "server_error", "server_error")
        case 503 | 529:
            return ApiError.upstream(f"{who} is overloaded or down: {told}", status=503)
        case 504:
            return ApiError.upstream(f"{who} took too long: {told}", status=504)
        case _ if status >= 500:
            return ApiError.upstream(f"{who} failed (HTTP {status}): {told}", code="server_error")
        case _:
            message = f"{who} answered with HTTP {status}, which is no answer to a chat request: {told}"
            return ApiError.upstream(message, code="upstream_invalid")


def _is_overflow(status: int, text: str, profile: Profile, *, empty: bool) -> bool:
    if empty and (status == 413 or (status == 400 and profile.empty_error_is_overflow)):
        return True
    if any(re.search(pattern, text, re.I) for pattern in profile.overflow_exclude):
        return False
    if any(re.search(pattern, text, re.I) for pattern in profile.overflow_patterns):
        return True
    return _OVERFLOW.search(text) is not None and _NOT_OVERFLOW.search(text) is None


def _not_found(said: UpstreamError, told: str, provider: str) -> ApiError:
    if "model" in f"{said.code} {said.message}".lower():
        message = (
            f"The provider {provider} does not have the model: {told}. Change the model under `models:` in bridge.yaml."
        )
        return ApiError(404, message, "model_not_found", param="model")
    message = f"The provider {provider} has no such endpoint: {told}. Check `base_url` of this provider in bridge.yaml."
    return ApiError(404, message, "upstream_not_found")
