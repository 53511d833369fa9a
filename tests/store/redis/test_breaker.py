"""After a failure there is a pause, and then one attempt."""

from __future__ import annotations

import pytest

from addon.store.errors import StoreUnavailable
from addon.store.redis.breaker import Breaker
from tests.store.conftest import Clock


def test_it_lets_pass_until_something_fails() -> None:
    breaker = Breaker(Clock(), pause=5)
    breaker.check()
    breaker.succeeded()
    breaker.check()
    breaker.failed("The server is away.")
    with pytest.raises(StoreUnavailable, match=r"The server is away\. It is left alone for another 5\.0 s\."):
        breaker.check()


def test_after_the_pause_one_tries_for_all() -> None:
    clock = Clock()
    breaker = Breaker(clock, pause=5)
    breaker.failed("The server is away.")
    clock.advance(4.9)
    with pytest.raises(StoreUnavailable):
        breaker.check()
    clock.advance(0.1)
    breaker.check()
    with pytest.raises(StoreUnavailable):
        breaker.check()
    breaker.succeeded()
    breaker.check()
    breaker.check()


def test_an_attempt_that_nobody_reports_on_is_followed_by_another() -> None:
    clock = Clock()
    breaker = Breaker(clock, pause=5)
    breaker.failed("The server is away.")
    for _ in range(3):
        clock.advance(5)
        breaker.check()
