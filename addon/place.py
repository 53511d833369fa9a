"""Where a call is served, for whom, and what is asked there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from addon.caching import AnswerCache
from addon.client_answer import ClientAnswer, Pace
from addon.routing import Target
from addon.state import Turn
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy
from addon.translate.notes import Note
from addon.tries import Budget
from addon.wire.responses import ResponsesRequest
from addon.wire.sse import MAX_EVENT_CHARS


@dataclass(frozen=True, slots=True)
class Vision:
    """Who describes images to models that take none."""

    name: str
    """As a client would ask for it."""
    targets: Sequence[Target]
    per_call: int
    """How many images are described before one call, at most."""

    @property
    def target(self) -> Target:
        return self.targets[0]

    @property
    def origin(self) -> str:
        return self.target.label


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is served, and for whom."""

    targets: Sequence[Target]
    """Where it may be served, best first."""
    compactors: Sequence[Target]
    """Where summaries are written."""
    caller: str
    """Whose items these are: a hash of the client's credential."""
    hide: Callable[[str], str]
    hosted: HostedPolicy = DEFAULT_POLICY
    check_grammars: bool = False
    """Inputs of custom tools are checked before the client hears of them."""
    check_schemas: bool = False
    """So are answers that are to fit a schema."""
    vision: Vision | None = None
    conversation: str | None = None
    """Names the conversation that is to stay with the target that serves it now."""
    budget: Budget = field(default_factory=Budget)
    pace: Pace = field(default_factory=Pace)
    """When a client hears something though its provider is silent."""
    answer_bytes: int = 64 * 1024 * 1024
    """The most that is read of one answer of a provider, decoded."""
    event_chars: int = MAX_EVENT_CHARS
    """The largest event that is read of a stream."""
    losses: tuple[Note, ...] = ()
    """What has been lost before the call itself was made."""
    cache: AnswerCache | None = None
    """Answers that may be given again."""

    def noting(self, what: str, why: str) -> Place:
        """The same, with a further loss."""
        return replace(self, losses=(*self.losses, Note(what, why)))

    def losing(self, why: str) -> Place:
        """The same, when some image could not be described."""
        return self.noting("content: input_image", why)


@dataclass(frozen=True, slots=True)
class Wish:
    """A request on its way to a provider, whichever that will be."""

    request: ResponsesRequest
    targets: Sequence[Target]
    """Where it may be served, best first."""
    place: Place
    client: ClientAnswer
    """What the client of it all hears."""
    turn: Turn
    """The turn of the client's conversation that it serves."""
    cached: bool = False
    """Its answer was found in the cache."""

    def noting(self, what: str, why: str) -> Wish:
        """The same, with a further loss."""
        return replace(self, place=self.place.noting(what, why))

    def losing(self, why: str) -> Wish:
        """The same, when some image could not be described."""
        return replace(self, place=self.place.losing(why))
