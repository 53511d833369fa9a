"""What a provider refuses, what helps against it, and the rules that lead from the one to the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from addon.providers.profile import Profile
from addon.translate.errors import UpstreamError, from_body
from addon.wire.json import Json, JsonObject, dumps, loads

REFUSED = frozenset({400, 415, 422})
"""The request is at fault."""
BY_WORDS = REFUSED | {404, 500, 502}
"""Words that leave no doubt count with these too: chat templates fail with 500, routers find no endpoint with 404, and
an error in the place of an answer may name no status at all (502)."""

_FINAL = frozenset({"context_length_exceeded", "insufficient_quota", "content_filter", "model_not_found"})
"""No matter of a request's form."""
_HOPELESS = re.compile(
    r"thought_signature"  # the client has lost it, and only the provider can make one
    r"|(?:does not|doesn't|not) support (?:the )?(?:tools?|functions?)\b(?! ?choice)"
    r"|support tool use"
    r"|(?:tools?|tool use|tool calling|function calling)'? (?:is|are) not (?:supported|enabled|available)"
    r"|(?:unsupported|unknown|unrecogni[sz]ed) [^.]{0,80}'tools'|supplied: tools\b"
    r"|enable-auto-tool-choice|requires? --jinja",
    re.I,
)
"""What no other request would help. An agent without its tools is none: its user must hear that the model has none."""

_LONGEST = 4000
"""So much of a message is read: a gateway may quote the whole request."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to change about requests to a model, because its provider has refused one."""

    overrides: Mapping[str, Json]
    """Fields of the profile and their new values, as JSON."""
    what: str
    """The parameter or feature, as in `Note.what`."""
    why: str
    """As in `Note.why`."""

    def beyond(self, profile: Profile) -> Remedy | None:
        """The remedy without what `profile` says already; None if nothing is left of it."""
        before = profile.model_dump(mode="json", include=set(self.overrides))
        overrides = {name: value for name, value in self.overrides.items() if value != before[name]}
        return replace(self, overrides=overrides) if overrides else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request, and what its provider has against it."""

    text: str
    """The message in one line, with one kind of quotation marks."""
    error: UpstreamError
    profile: Profile
    """With which the request was made."""
    body: JsonObject

    @classmethod
    def of(cls, error: UpstreamError, profile: Profile, body: JsonObject) -> Refusal:
        return cls(_one_line(error), error, profile, body)

    @property
    def is_final(self) -> bool:
        """No change to the request would help: too long, not paid for, improper, or nothing this model can do."""
        if self.error.status not in BY_WORDS or _HOPELESS.search(self.text):
            return True
        said: JsonObject = {"message": self.error.message, "type": self.error.type, "code": self.error.code}
        readable = bent(self.profile, {"error_paths": {}})
        return from_body({"error": said}, provider="", profile=readable).code in _FINAL

    def says(self, *words: str) -> bool:
        """The text has any of these words (regular expressions, any case)."""
        return re.search("|".join(words), self.text, re.I) is not None

    def messages(self, *roles: str) -> Sequence[JsonObject]:
        """The request's messages; with `roles` those of these."""
        messages = self.body.get("messages")
        every = [entry for entry in messages if isinstance(entry, dict)] if isinstance(messages, list) else []
        return [entry for entry in every if not roles or entry.get("role") in roles]

    @property
    def tools(self) -> Sequence[JsonObject]:
        tools = self.body.get("tools")
        return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []


def _one_line(error: UpstreamError) -> str:
    """Some gateways put the sentence into `param`; others quote the JSON of their own provider's answer."""
    text = f"{error.message} {error.param}" if " " in error.param else error.message
    text = re.sub(r"\\+(?=[\"'])", "", text[:_LONGEST]).replace("\\n", " ")
    return " ".join(re.sub('[`"“”‘’]', "'", text).split())


@dataclass(frozen=True, slots=True)
class Rule:
    """Words, and what helps against what they say."""

    pattern: re.Pattern[str]
    find: Callable[[Refusal], Remedy | None]
    """None: the words fit, the request or the profile does not."""
    statuses: frozenset[int]

    def remedy(self, refusal: Refusal) -> Remedy | None:
        if refusal.error.status not in self.statuses or not self.pattern.search(refusal.text):
            return None
        found = self.find(refusal)
        return found.beyond(refusal.profile) if found else None


def rule(find: Callable[[Refusal], Remedy | None], *words: str, statuses: frozenset[int] = BY_WORDS) -> Rule:
    """The rule for texts with any of these words (regular expressions, any case)."""
    return Rule(re.compile("|".join(words), re.I), find, statuses)


# --- profiles ---------------------------------------------------------------------------------------------------------


def dropping(profile: Profile, *names: str) -> dict[str, Json]:
    """The override that drops these parameters too."""
    return {"drop_params": list(dict.fromkeys([*profile.drop_params, *names]))}


def bent(profile: Profile, overrides: Mapping[str, Json]) -> Profile:
    """`profile` with some fields replaced; for the same arguments the same object.

    Raises:
        ValueError: the overrides are not valid for a profile.
    """
    return _bent(_Itself(profile), dumps(dict(overrides))) if overrides else profile


class _Itself:
    """A profile as a key: resolved profiles are shared and live long, and have no hash."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.profile is self.profile

    def __hash__(self) -> int:
        return id(self.profile)


@lru_cache(maxsize=512)
def _bent(original: _Itself, overrides: str) -> Profile:
    replaced = loads(overrides)
    assert isinstance(replaced, dict)
    return Profile.model_validate({**original.profile.model_dump(), **replaced})
