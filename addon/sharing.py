"""What one bridge finds out, told to the others that use the same store: which targets rest, what providers refuse,
who serves which conversation.

Health and lessons are a document each. Every bridge reads them once a second, and writes them when it knows something
newer; of two that write at once the later one wins, and the other one writes again a second later. No call waits for
this, save for one question where a conversation is not known here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Protocol

from addon.health import FORGOTTEN_AFTER_S, LONGEST_ASKED_REST_S, Health, Illness
from addon.selection import MOST_CONVERSATIONS
from addon.state.storage import Storage
from addon.store.errors import StoreError
from addon.store.interface import ResponseStore, Values
from addon.store.learned import MAX_LESSONS, WEEK_S, Learned, Lesson, lessons_in
from addon.store.secret import StateError, settle_key, shared_key
from addon.tries import Experience
from addon.wire.json import Json, JsonError, JsonObject, dump_bytes, loads

logger = logging.getLogger("responses_bridge")

CONVERSATION_TTL_S: Final = 3600.0
"""How long other bridges know who serves a conversation. Providers keep its beginning in their caches no longer."""
MOST_REPORTS: Final = 500
"""Of what rests, so many are told to the others; the newest."""

_DOCUMENT: Final = "all"
_HEALTH, _LEARNED, _SERVED = "health", "learned", "served"


class Topic(Protocol):
    """Something that all bridges are to know."""

    kind: str
    ttl: float
    """Seconds for which the document is kept when nobody writes it anew."""

    def merge(self, theirs: Json) -> JsonObject | None:
        """Take in what others have written. What is to be written in its place; None if there is nothing to add."""
        ...


class Sharing:
    """
    Args:
        storage: where the store is.
        now: seconds since the epoch; the clocks of all machines should agree.
    """

    def __init__(self, storage: Storage, experience: Experience, now: Callable[[], float]) -> None:
        self.is_on = False
        """The store is one that other machines use too."""
        self._storage = storage
        self._topics: Sequence[Topic] = (
            SharedHealth(experience.selection.health, now),
            SharedLessons(experience.learned, now),
        )
        self._conversations = SharedConversations(self._values)
        self._key: tuple[ResponseStore, bytes] | None = None
        self._is_away = False
        experience.selection.elsewhere = self._conversations

    async def refresh(self) -> None:
        """Hear what others know, and tell them. A store that cannot be used is tried again the next time."""
        values = self._values()
        if values is None:
            return
        try:
            for topic in self._topics:
                await _exchange(topic, values)
            await asyncio.to_thread(_put_all, values, self._conversations.take_news())
            await self._keep_key()
        except StoreError as error:
            self._tell_away(error)
        else:
            self._tell_back()

    def signing_key(self, own: Callable[[], bytes]) -> bytes:
        """The key that all of them sign with; `own` makes the key of this machine.

        Raises:
            StateError: there is none to be had.
        """
        store = self._storage.find() if self.is_on else None
        if store is None:
            if self.is_on and self._storage.trouble is not None:
                raise StateError(f"The signing key is in the store, which cannot be used. {self._storage.trouble}")
            return own()
        if self._key is None or self._key[0] is not store:
            self._key = store, shared_key(store.values, own)
        return self._key[1]

    async def _keep_key(self) -> None:
        """A server that has come back empty gets it back, before a bridge that starts then brings one of its own."""
        if self._key is not None:
            store, key = self._key
            self._key = store, await asyncio.to_thread(settle_key, store.values, key)

    def _values(self) -> Values | None:
        store = self._storage.find() if self.is_on else None
        return None if store is None else store.values

    def _tell_away(self, error: StoreError) -> None:
        if not self._is_away:
            logger.warning("Store: %s Until then this bridge goes by what it finds out itself.", error)
        self._is_away = True

    def _tell_back(self) -> None:
        if self._is_away:
            logger.info("Store: it can be used again.")
        self._is_away = False


async def _exchange(topic: Topic, values: Values) -> None:
    written = await asyncio.to_thread(values.get, topic.kind, _DOCUMENT)
    news = topic.merge(_read(written))
    if news is not None:
        await asyncio.to_thread(values.put, topic.kind, _DOCUMENT, dump_bytes(news), topic.ttl)


def _read(written: bytes | None) -> Json:
    """What is damaged is as good as not there, and written anew."""
    try:
        return {} if written is None else loads(written)
    except JsonError:
        return {}


def _put_all(values: Values, news: Mapping[str, bytes]) -> None:
    for key, value in news.items():
        values.put(_SERVED, key, value, CONVERSATION_TTL_S)


# --- which targets rest


@dataclass(frozen=True, slots=True)
class _Report:
    """What was said of something that has failed."""

    failures: int
    """One after the other; 0: it is well again."""
    until: float
    """The end of its rest."""
    said: float
    """When it was said."""

    @classmethod
    def read(cls, entry: Json) -> _Report | None:
        match entry:
            case {"failures": int(failures), "until": float() | int() as until, "said": float() | int() as said}:
                return cls(failures, float(until), float(said))
        return None


class SharedHealth:
    """Compares what is known of failures with what was known a while ago, and reports what has changed."""

    kind = _HEALTH
    ttl = FORGOTTEN_AFTER_S + LONGEST_ASKED_REST_S

    def __init__(self, health: Health, now: Callable[[], float]) -> None:
        self._health = health
        self._now = now
        self._reports: dict[str, _Report] = {}

    def merge(self, theirs: Json) -> JsonObject | None:
        self._look()
        heard = {name: report for name, report in _reports(theirs).items() if not self._is_over(report)}
        for name, told_us in heard.items():
            mine = self._reports.get(name)
            report = told_us if mine is None else _joined(mine, told_us)
            if report != mine:
                self._reports[name] = report
                self._believe(name, report)
        newest = sorted(self._reports.items(), key=lambda each: (-each[1].said, each[0]))[:MOST_REPORTS]
        told = dict(newest)
        return None if told == heard else {name: asdict(report) for name, report in told.items()}

    def _look(self) -> None:
        """Report what has failed, and what is well again, since the last time."""
        now = self._now()
        ill = {name: illness for name, illness in self._health.ill().items() if now < illness.until + FORGOTTEN_AFTER_S}
        for name, illness in ill.items():
            known = self._reports.get(name)
            if known is None or (known.failures, known.until) != (illness.failures, illness.until):
                self._reports[name] = _Report(illness.failures, illness.until, now)
        for name, known in list(self._reports.items()):
            if self._is_over(known):
                del self._reports[name]
            elif known.failures and name not in ill:
                self._reports[name] = _Report(0, now, now)

    def _believe(self, name: str, report: _Report) -> None:
        if report.failures:
            self._health.learn(name, Illness(report.failures, report.until))
        else:
            self._health.succeeded([name])

    def _is_over(self, report: _Report) -> bool:
        return self._now() >= report.until + FORGOTTEN_AFTER_S


def _joined(one: _Report, other: _Report) -> _Report:
    """What holds when two bridges say different things: the later word, but of two rests the longer one."""
    later = max(one, other, key=lambda report: (report.said, report.until, report.failures))
    if not (one.failures and other.failures):
        return later
    longer = max(one, other, key=lambda report: (report.until, report.failures))
    return replace(longer, said=later.said)


def _reports(document: Json) -> dict[str, _Report]:
    entries = document if isinstance(document, dict) else {}
    read = {name: _Report.read(entry) for name, entry in entries.items()}
    return {name: report for name, report in read.items() if report is not None}


# --- what providers refuse


class SharedLessons:
    """The lessons of all bridges: of each the newest, also such as this version cannot use itself."""

    kind = _LEARNED
    ttl = WEEK_S

    def __init__(self, learned: Learned, now: Callable[[], float]) -> None:
        self._learned = learned
        self._now = now
        self._forgotten = 0.0

    def merge(self, theirs: Json) -> JsonObject | None:
        forgotten = _forgotten_in(theirs)
        if forgotten > self._forgotten:
            self._forgotten = forgotten
            self._learned.forget(before=forgotten)
        heard = {lesson.key: lesson for lesson in lessons_in(theirs) if self._holds(lesson)}
        self._learned.take(heard.values())
        told = _newest([*heard.values(), *filter(self._holds, self._learned.lessons())])
        if told == heard and forgotten == self._forgotten:
            return None
        return _lesson_document(told.values(), self._forgotten)

    def _holds(self, lesson: Lesson) -> bool:
        return self._forgotten < lesson.when and self._now() < lesson.when + WEEK_S


def forget_lessons(values: Values, now: float) -> None:
    """All bridges that use this store are to forget what they have learned until now.

    Raises:
        StoreError: they cannot be told.
    """
    values.put(_LEARNED, _DOCUMENT, dump_bytes(_lesson_document((), now)), WEEK_S)


def _newest(lessons: Iterable[Lesson]) -> dict[tuple[str, str, str], Lesson]:
    newest: dict[tuple[str, str, str], Lesson] = {}
    for lesson in sorted(lessons, key=lambda lesson: (lesson.when, lesson.key)):
        newest.pop(lesson.key, None)
        newest[lesson.key] = lesson
    return dict(list(newest.items())[-MAX_LESSONS:])


def _lesson_document(lessons: Iterable[Lesson], forgotten: float) -> JsonObject:
    return {"forgotten": forgotten, "lessons": [lesson.as_json() for lesson in lessons]}


def _forgotten_in(document: Json) -> float:
    match document:
        case {"forgotten": float() | int() as forgotten}:
            return float(forgotten)
    return 0.0


# --- who serves which conversation


class SharedConversations:
    """Asked where a conversation is not known here. What is new here waits until the others are told."""

    def __init__(self, values: Callable[[], Values | None]) -> None:
        self._values = values
        self._news: dict[str, bytes] = {}

    def get(self, conversation: str) -> str | None:
        """The target that served it last."""
        values = self._values()
        try:
            found = None if values is None else values.get(_SERVED, _digest(conversation))
        except StoreError:
            return None
        return None if found is None else found.decode()

    def put(self, conversation: str, target: str) -> None:
        if self._values() is not None and len(self._news) < MOST_CONVERSATIONS:
            self._news[_digest(conversation)] = target.encode()

    def take_news(self) -> Mapping[str, bytes]:
        """What others have not been told yet. What gets lost is no loss: they find out by themselves."""
        news, self._news = self._news, {}
        return news


def _digest(conversation: str) -> str:
    """Clients choose these names, and may choose long ones."""
    return hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()
