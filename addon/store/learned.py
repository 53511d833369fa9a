"""What was learned of models from the refusals of their providers, so that a later request is right at once."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from addon.wire.json import Json, JsonError, JsonObject, dump_bytes, loads

logger = logging.getLogger("responses_bridge")

WEEK_S = 7 * 24 * 3600.0
MAX_LESSONS = 512
_GROWING = frozenset({"drop_params"})
"""Overrides that are lists to which a lesson adds; of the others the newest holds."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing that requests to a model must, or must not, do."""

    place: str
    """The host and path of the provider's base URL."""
    model: str
    overrides: Mapping[str, Json]
    """Fields of the model's profile and their values."""
    what: str
    """The parameter or feature, for people."""
    why: str
    """What is done about it, for people."""
    when: float
    """When it was learned last, in seconds of the clock that the store was given."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about: of two with the same key the newer one holds."""
        return self.place, self.model, self.what

    def as_json(self) -> JsonObject:
        """For `lessons_in`."""
        return {**asdict(self), "overrides": dict(self.overrides)}


def lessons_in(document: Json) -> list[Lesson]:
    """The lessons of a document that was written; what is none is left out."""
    entries = document.get("lessons") if isinstance(document, dict) else None
    found = [_lesson(entry) for entry in entries] if isinstance(entries, list) else []
    return [lesson for lesson in found if lesson is not None]


_Key: TypeAlias = tuple[str, str, str]
_FileState: TypeAlias = tuple[int, int, int] | None
"""Changes whenever the file does; None: there is no file."""


class Learned:
    """The lessons, each kept for a while: a provider may have changed its mind since. The oldest go first.

    They are shared with all bridges that have the same file, and outlive restarts. Without a file, or with one that
    cannot be used, they are kept in memory. Of two bridges that learn at the same moment one may lose its lesson; it
    will learn it again.

    Args:
        path: of the file; None: there is none.
        now: the clock, in seconds since some day.
        valid: whether overrides from the file are valid for a profile; those of another version may not be.
        max_age_s: how long a lesson is kept.
        max_lessons: how many are kept.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        now: Callable[[], float],
        valid: Callable[[Mapping[str, Json]], bool] = lambda overrides: True,
        max_age_s: float = WEEK_S,
        max_lessons: int = MAX_LESSONS,
    ) -> None:
        self._path = path
        self._now = now
        self._valid = valid
        self._max_age_s = max_age_s
        self._max_lessons = max_lessons
        self._by_model: dict[tuple[str, str], dict[str, Lesson]] = {}
        self._unsaved: set[_Key] = set()
        self._state: _FileState = None
        self._warned = False

    def overrides(self, place: str, model: str) -> Mapping[str, Json]:
        """What to replace in the profile of a model; empty if nothing is known."""
        self._refresh()
        lessons = self._by_model.get((place, model))
        return _merged(filter(self._is_fresh, lessons.values())) if lessons else {}

    def lessons(self) -> Sequence[Lesson]:
        """All that is known, the oldest first."""
        self._refresh()
        return sorted(filter(self._is_fresh, self._all()), key=lambda lesson: lesson.when)

    def learn(self, place: str, model: str, overrides: Mapping[str, Json], what: str, why: str) -> None:
        """Keep that these overrides have helped. What was learned about the same thing before is added to."""
        self._refresh()
        before = self._by_model.get((place, model), {}).get(what)
        lesson = Lesson(place, model, overrides, what, why, self._now())
        known = before is not None and self._is_fresh(before)
        self._put(replace(lesson, overrides=_merged([before, lesson])) if before and known else lesson)
        self._unsaved.add((place, model, what))
        self._write()

    def take(self, lessons: Iterable[Lesson]) -> None:
        """Keep what bridges elsewhere have learned, where it is newer."""
        self._refresh()
        known = {lesson.key: lesson.when for lesson in self._all()}
        newer = [each for each in lessons if known.get(each.key, -math.inf) < each.when and self._valid(each.overrides)]
        if not newer:
            return
        self._unsaved.update(lesson.key for lesson in newer)
        for lesson in sorted([*self._all(), *newer], key=lambda lesson: lesson.when):  # what is newer holds
            self._put(lesson)
        self._write()

    def forget(self, place: str | None = None, model: str | None = None, *, before: float = math.inf) -> None:
        """Forget the lessons of a place, of a model, of a model at a place, or all; of these, what is not newer."""
        self._refresh()
        meant = [
            lesson
            for lesson in self._all()
            if place in (None, lesson.place) and model in (None, lesson.model) and lesson.when <= before
        ]
        for lesson in meant:
            self._remove(lesson)
        if meant:
            self._write()

    # --- lessons -------------------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Lesson]:
        for lessons in self._by_model.values():
            yield from lessons.values()

    def _is_fresh(self, lesson: Lesson) -> bool:
        return self._now() - lesson.when < self._max_age_s

    def _put(self, lesson: Lesson) -> None:
        """As the last of its model: what is newer holds."""
        lessons = self._by_model.setdefault((lesson.place, lesson.model), {})
        lessons.pop(lesson.what, None)
        lessons[lesson.what] = lesson

    def _remove(self, lesson: Lesson) -> None:
        lessons = self._by_model[lesson.place, lesson.model]
        del lessons[lesson.what]
        if not lessons:
            del self._by_model[lesson.place, lesson.model]
        self._unsaved.discard(lesson.key)

    def _prune(self) -> None:
        newest_last = sorted(self._all(), key=lambda lesson: (self._is_fresh(lesson), lesson.when))
        stale = sum(not self._is_fresh(lesson) for lesson in newest_last)
        for lesson in newest_last[: max(stale, len(newest_last) - self._max_lessons)]:
            self._remove(lesson)

    # --- the file ------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Take in what others have written. What they have deleted is gone; what could not be written stays."""
        if self._path is None:
            return
        state = _state_of(self._path)
        if state == self._state:
            return
        self._state = state
        ours = [lesson for lesson in self._all() if lesson.key in self._unsaved]
        theirs = self._read(self._path) if state is not None else []
        self._by_model.clear()
        for lesson in sorted([*theirs, *ours], key=lambda lesson: lesson.when):
            self._put(lesson)

    def _read(self, path: Path) -> list[Lesson]:
        try:
            document = loads(path.read_bytes())
        except OSError as error:
            self._warn(f"cannot be read ({error.strerror})")
            return []
        except JsonError as error:
            self._warn(f"is broken ({error}) and will be written anew")
            return []
        present = self._now()
        return [
            replace(lesson, when=min(lesson.when, present))
            for lesson in lessons_in(document)
            if self._valid(lesson.overrides)
        ]

    def _write(self) -> None:
        self._prune()
        if self._path is None:
            return
        document: JsonObject = {"lessons": [lesson.as_json() for lesson in self._all()]}
        try:
            _replace(self._path, dump_bytes(document))
        except OSError as error:
            self._warn(f"cannot be written ({error.strerror})")
        else:
            self._unsaved.clear()
            self._state = _state_of(self._path)

    def _warn(self, what: str) -> None:
        if not self._warned:
            logger.warning("%s, which keeps what was learned of models, %s; going on without it", self._path, what)
        self._warned = True


def _merged(lessons: Iterable[Lesson]) -> Mapping[str, Json]:
    merged: dict[str, Json] = {}
    for lesson in lessons:
        for name, value in lesson.overrides.items():
            before = merged.get(name)
            if name in _GROWING and isinstance(before, list) and isinstance(value, list):
                value = [*before, *(entry for entry in value if entry not in before)]
            merged[name] = value
    return merged


def _lesson(entry: Json) -> Lesson | None:
    """None for what is no lesson."""
    match entry:
        case {
            "place": str(place),
            "model": str(model),
            "overrides": dict(overrides),
            "what": str(what),
            "why": str(why),
            "when": float() | int() as when,
        }:
            return Lesson(place, model, overrides, what, why, float(when))
    return None


def _state_of(path: Path) -> _FileState:
    """A file that cannot be looked at counts as absent: reading it would fail as well."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _replace(path: Path, data: bytes) -> None:
    """Write the file for its owner alone. It gets its name when it is whole: nobody ever reads half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".learned-", dir=path.parent)
    whole = Path(name)
    try:
        _write(handle, data)
        whole.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            whole.unlink()
        raise


def _write(handle: int, data: bytes) -> None:
    with open(handle, "wb") as file:
        file.write(data)
