"""The conversion alone, without a proxy: where the bridge's own time goes."""

from __future__ import annotations

import cProfile
import itertools
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the addon need not be installed

from bench_traffic import chat_answer, long_call, small_call  # noqa: E402

from addon.config import LiveConfig, load_config  # noqa: E402
from addon.exchange import ClientCall, Exchange  # noqa: E402
from addon.experience import experience_with, learned_in  # noqa: E402
from addon.service import Service  # noqa: E402
from addon.state import OpenStore, nothing_kept  # noqa: E402
from addon.wire.responses import read_request  # noqa: E402

PER_READ = 50
"""Chunks that come at once when a provider is faster than the proxy."""


def measure(events: int, history: int, rounds: int) -> Iterator[tuple[str, str]]:
    """Name and value of each measurement: the best of the rounds, since noise only ever adds."""
    service = new_service()
    portions = chat_answer(events)
    yield "a streamed chunk → an event", shown(best(rounds, lambda: _stream(service, portions)) / events)
    yield (
        f"the same, {PER_READ} chunks in one read",
        shown(best(rounds, lambda: _stream(service, _joined(portions))) / events),
    )
    small, long = small_call(), long_call(history)
    size = f"{history / 1e6:g} MB"
    yield "a small request → a chat request", shown(best(rounds * 20, lambda: begin(service, small)))
    yield f"a request of {size} → a chat request", shown(best(rounds * 2, lambda: begin(service, long)))
    yield "… of which reading and checking it", shown(best(rounds * 2, lambda: read_request(long)))


def profile(events: int, history: int) -> None:
    """Print what takes the time of each of the two."""
    service = new_service()
    portions, long = chat_answer(events), long_call(history)
    for name, work in (
        (f"{events} events", lambda: _stream(service, portions)),
        ("one long request", lambda: begin(service, long)),
    ):
        work()
        profiler = cProfile.Profile()
        profiler.runcall(work)
        print(f"--- {name}")
        pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(25)


def _joined(portions: Sequence[bytes]) -> list[bytes]:
    return [b"".join(portions[start : start + PER_READ]) for start in range(0, len(portions), PER_READ)]


def new_service(open_store: OpenStore = nothing_kept) -> Service:
    config = load_config(None, {}, {"base_url": "http://127.0.0.1:9/v1", "model": "bench"})
    numbers = itertools.count()
    return Service(
        LiveConfig(lambda: config),
        ids=lambda prefix: f"{prefix}_{next(numbers):032x}",
        now=time.time,
        state_key=lambda: bytes(32),
        experience=experience_with(learned_in(None)),
        open_store=open_store,
    )


def begin(service: Service, body: bytes) -> Exchange:
    plan = service.plan(ClientCall("POST", "/v1/responses", {"authorization": "Bearer any"}, body))
    assert isinstance(plan, Exchange), plan
    plan.begin()
    return plan


def _stream(service: Service, portions: Sequence[bytes]) -> None:
    exchange = begin(service, small_call())
    exchange.upstream_head(200, {"content-type": "text/event-stream"})
    for portion in portions:
        exchange.upstream_data(portion)
    assert exchange.over


def best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
