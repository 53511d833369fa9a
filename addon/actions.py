"""What the proxy layer is to do for a client call: an `Exchange` returns these, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from addon.routing import Credential, Way
from addon.translate.errors import ApiError
from addon.wire.json import dump_bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call a provider. `headers` are for all to see; the credential goes on the wire and nowhere else."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    credential: Credential | None
    stream: bool
    """Whether the answer is wanted as it comes."""
    label: str
    """provider/model, for people."""
    provider: str = ""
    way: Way = field(default_factory=Way)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up the call of the provider and close its connection: it has been silent for too long."""

    why: str


@dataclass(frozen=True, slots=True)
class Head:
    """Begin the answer to the client."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """Go on with the answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The answer is complete. What still comes from the provider interests nobody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer at once."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str = ""
    """The code of the error that this is, for the log."""

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        return cls(status, {"content-type": "application/json", **(headers or {})}, dump_bytes(value))

    @classmethod
    def error(cls, error: ApiError, headers: Mapping[str, str] | None = None) -> Answer:
        answer = cls.json(error.envelope(), status=error.status, headers={**(headers or {}), **error.headers})
        return replace(answer, code=error.code)


Action: TypeAlias = Attempt | Cancel | Head | Data | End | Answer
