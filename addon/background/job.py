"""One response that is made in the background: all that it tells goes to the store, and to who follows it here."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from addon.actions import Action, Head
from addon.background.ending import failed
from addon.background.log import EventLog, stored_event
from addon.background.writer import Writer
from addon.client_answer import ClientAnswer, Pace
from addon.translate.errors import ApiError
from addon.translate.output import ResponseBuilder
from addon.wire.responses import Event, ResponseObject

logger = logging.getLogger("responses_bridge")


class Job:
    """It ends once: when its answer has, when it is cancelled, or when it is deleted.

    Args:
        ended: called then.
    """

    def __init__(self, owner: str, builder: ResponseBuilder, writer: Writer, ended: Callable[[Job], None]) -> None:
        self.owner = owner
        self.writer = writer
        self.log = EventLog()
        self._builder = builder
        self._ended = ended
        self._stop: Callable[[], None] = _nothing

    @property
    def id(self) -> str:
        return self._builder.id

    @property
    def response(self) -> ResponseObject:
        """As it stands."""
        return self._builder.response

    @property
    def over(self) -> bool:
        return self.log.ended

    @property
    def stopped(self) -> bool:
        """Nobody wants the rest of the answer."""
        return self.over and not self._builder.ended

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have `stop` called if it is stopped while a provider is asked."""
        self._stop = stop

    def tell(self, events: Sequence[Event]) -> None:
        """What comes of the answer. Its end is in the store before anybody hears of it."""
        if self.over:
            return
        told = [stored_event(event) for event in events]
        self.writer.add(told)
        if self._builder.ended:
            self.writer.put(self._builder.stored())
        if not self.writer.lost:
            self.log.add(told)
        self._look()

    def begin(self) -> None:
        """It is worked on from now on."""
        if not self.over:
            self.writer.put(self._builder.stored())
            self._look()

    def tick(self) -> None:
        """Write what is due, and see whether the answer is still wanted."""
        self.writer.tick()
        self._look()

    def cancel(self, cancelled: ResponseObject) -> None:
        """End it as this response, unless it has ended already."""
        if not self.over:
            self.writer.put(cancelled)
            self._end()

    def delete(self) -> None:
        """The response is no longer in the store."""
        if not self.over:
            self.writer.drop()
            self._end()

    def fail(self, error: ApiError) -> None:
        """There is no (more) answer."""
        if self.over:
            return
        try:
            self._builder.fail(error)
            self.tell(self._builder.take())
        except Exception:  # what is broken is what would tell it
            logger.exception("The end of a response could not be told.")
            self.writer.put(failed(self._builder.response, error))
            self._end()

    def _look(self) -> None:
        if not self.over and (self.writer.lost or self._builder.ended):
            self._end()

    def _end(self) -> None:
        self.log.end()
        if self.stopped:
            self._stop()
        self._ended(self)


class UnattendedAnswer(ClientAnswer):
    """What there would be for a client to hear. No sign of life is needed, and no error can take its place."""

    def __init__(self, job: Job, builder: ResponseBuilder, clock: Callable[[], float]) -> None:
        pace = Pace(early_headers_after=math.inf, json_after=math.inf, every=math.inf)
        super().__init__(builder, stream=True, pace=pace, clock=clock)
        self._job = job
        self._opening: list[Action] = []

    def wait(self) -> None:
        """Tell that the response exists."""
        self._opening = self.tell(self.builder.take(), _head)

    def begin(self) -> list[Action]:
        """Tell that it is worked on, unless it was stopped before; all that was to be heard so far."""
        if self._job.over:
            return self._opening
        self.builder.start()
        return [*self._opening, *self.tell(self.builder.take(), _head)]

    def tell(self, events: Sequence[Event], head: Callable[[str], Head]) -> list[Action]:
        self._job.tell(events)
        return super().tell(events, head)


def _head(content_type: str) -> Head:
    return Head(200, {"content-type": content_type})


def _nothing() -> None:
    pass
