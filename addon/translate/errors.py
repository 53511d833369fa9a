"""ApiError: what went wrong, in the words and codes that Responses clients act on; whatever a provider says → ApiError.

Codes are chosen by what clients do with them: Codex ends its run on a 429 without Retry-After, hides the message of a
500, retries 401 to 404 six times, shows the message of a 400 at once, and retries `response.failed` unless the code
says that it is permanent. The SDKs retry 408, 409, 429 and 5xx unless `x-should-retry` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from addon.wire.json import JsonObject, dumps


@dataclass(frozen=True)
class ApiError(Exception):
    """An error as the client will read it: an HTTP status and OpenAI's envelope, or the end of a stream."""

    status: int
    """HTTP status, when nothing was sent yet."""
    message: str
    """Whose fault, what, what to do."""
    code: str
    type: str = "invalid_request_error"
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """retry-after, x-should-retry and what else the client may act on."""

    def __str__(self) -> str:
        return self.message

    def envelope(self) -> JsonObject:
        """{"error": {message, type, param, code}}: the body of every error of OpenAI's API."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def body(self) -> bytes:
        return dumps(self.envelope()).encode()

    @classmethod
    def bad_request(cls, message: str, *, param: str | None = None, code: str = "invalid_value") -> ApiError:
        """The client asked for what cannot be served."""
        return cls(400, message, code, param=param)

    @classmethod
    def bridge(cls, message: str, *, code: str, status: int = 500) -> ApiError:
        """The bridge itself, or its configuration, is at fault: trying again changes nothing."""
        return cls(status, message, code, type="bridge_error", headers={"x-should-retry": "false"})
