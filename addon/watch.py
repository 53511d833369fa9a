"""How long a provider may be silent before its call is given up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from addon.providers.profile import Profile


@dataclass(slots=True)
class Watch:
    """How long a provider may be silent: the timeouts of its profile, and what has happened so far. Seconds."""

    profile: Profile
    began: float
    """The client's call."""
    attempt_began: float | None
    """None: it waits for its turn."""
    connected: float | None = None
    heard: float | None = None
    """The last sign of life."""

    def patience(self) -> tuple[float, str]:
        """When it ends, and what is then wrong with the provider."""
        profile = self.profile
        if self.heard is not None:
            seconds, since, what = profile.idle_timeout_s, self.heard, "fell silent in the midst of its answer"
        elif self.connected is not None:
            seconds, since, what = profile.first_byte_timeout_s, self.connected, "did not begin to answer"
        elif self.attempt_began is not None:
            seconds, since, what = profile.connect_timeout_s, self.attempt_began, "could not be connected to"
        else:
            seconds, since, what = math.inf, self.began, "had too many calls under way"
        total = self.began + profile.total_timeout_s
        if since + seconds <= total:
            return since + seconds, f"{what} for {seconds:g} s"
        return total, f"did not end its answer within {profile.total_timeout_s:g} s of the call"

    def too_late(self, now: float) -> bool:
        """The time for the whole call is up."""
        return now >= self.began + self.profile.total_timeout_s
