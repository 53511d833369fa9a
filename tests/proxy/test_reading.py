"""Who reads, who is slow, and who has stopped."""

from __future__ import annotations

from addon.proxy.reading import KEPT, Pace, Reading

MUCH = 10 * KEPT


def test_a_client_that_reads() -> None:
    reading = Reading(60)
    assert {reading.look(KEPT, now) for now in range(0, 600, 5)} == {Pace.STEADY}


def test_a_client_that_has_caught_up_is_slow_once_more() -> None:
    reading = Reading(60)
    looks = [reading.look(unsent, now) for now, unsent in enumerate((0, MUCH, 0, 0))]
    assert looks == [Pace.STEADY, Pace.SLOW, Pace.SLOW, Pace.STEADY]


def test_a_client_that_takes_nothing_has_stopped() -> None:
    reading = Reading(60)
    looks = [reading.look(MUCH, now) for now in (0, 59, 60)]
    assert looks == [Pace.SLOW, Pace.SLOW, Pace.STOPPED]


def test_a_client_that_takes_a_little_has_not() -> None:
    reading = Reading(60)
    assert {reading.look(MUCH - now, now) for now in range(0, 600, 5)} == {Pace.SLOW}


def test_what_is_added_does_not_look_like_reading() -> None:
    reading = Reading(60)
    looks = [reading.look(MUCH + now, now) for now in (0, 30, 60)]
    assert looks[-1] == Pace.STOPPED
