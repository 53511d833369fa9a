"""What a bridge has learned from its calls, put together: about requests (kept in a file), and about targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import random
from time import monotonic, time

from pydantic import JsonValue

from addon.health import Health
from addon.providers.profile import Profile
from addon.selection import Selection
from addon.store.learned import Learned
from addon.translate.healing import bent
from addon.tries import Experience

FILE = "learned.json"


def experience_with(learned: Learned, health: Health | None = None) -> Experience:
    """For a bridge that runs: by the system's clocks and chance."""
    return Experience(learned, Selection(health or Health(time), random), monotonic)


def learned_in(directory: Path | None) -> Learned:
    """The lessons in this directory for the bridge's state; None: none yet, and none are kept."""
    return Learned(directory / FILE if directory is not None else None, now=time, valid=_is_valid)


def _is_valid(overrides: Mapping[str, JsonValue]) -> bool:
    """Whether this version knows the fields: the lesson may be of another one."""
    try:
        bent(Profile(), overrides)
    except ValueError:
        return False
    return True
