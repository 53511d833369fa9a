"""What the bridge costs: measured beside a bare mitmdump that passes the same bytes, on this machine, in one run.

The two take turns in every round, so that whatever else the machine does meets both; a ratio is taken within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import bench_chain
import bench_micro
from bench_rig import Client, Heard, Provider, Proxy, bare, bridge
from bench_traffic import chat_answer, long_call, small_call


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    events: int
    """In each stream whose CPU is measured."""
    calls: int
    long_calls: int
    connections: int
    memory_streams: int
    memory_events: int
    """In the one long stream."""
    history: int = 1_000_000
    """Bytes of conversation in a long call."""
    chain: int = 1_000
    """Responses that continue one another."""


FULL = Plan(rounds=7, events=2000, calls=60, long_calls=8, connections=20, memory_streams=100, memory_events=20_000)
QUICK = Plan(rounds=3, events=600, calls=20, long_calls=3, connections=8, memory_streams=100, memory_events=5_000)
TINY = Plan(
    rounds=1,
    events=20,
    calls=2,
    long_calls=1,
    connections=1,
    memory_streams=2,
    memory_events=50,
    history=20_000,
    chain=50,
)

EVENTS_OF_A_SHORT_STREAM = 50


@dataclass
class Row:
    """One line of the table: what was measured, round by round."""

    name: str
    unit: str
    bare: list[float] = field(default_factory=list)
    bridge: list[float] = field(default_factory=list)

    def add(self, proxy: Proxy, value: float) -> None:
        (self.bridge if proxy.name == "bridge" else self.bare).append(value)

    def __str__(self) -> str:
        ratios = [mine / other for mine, other in zip(self.bridge, self.bare, strict=True)]
        spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
        ratio = f"{statistics.median(ratios):.2f}{spread}"
        return f"| {self.name} | {self._median(self.bare)} | {self._median(self.bridge)} | {ratio} |"

    def _median(self, values: Sequence[float]) -> str:
        value = statistics.median(values)
        return f"{value:.0f} {self.unit}" if value >= 100 else f"{value:.3g} {self.unit}"


class Bench:
    """A provider, and the measurements that are made with it."""

    def __init__(self, plan: Plan, provider: Provider, home: Path) -> None:
        self._plan = plan
        self._provider = provider
        self._home = home
        size = f"{plan.history / 1_000_000:g} MB"
        self._event_cpu = Row("CPU per streamed event", "µs")
        self._call_cpu = Row("CPU per call, short answer", "ms")
        self._long_cpu = Row(f"CPU per call with {size} of history", "ms")
        self._first = Row("time to the first event", "ms")
        self._long_first = Row(f"time to the first event, {size} of history", "ms")
        self._connection_cpu = Row("CPU per new connection with one call", "ms")
        self._idle_memory = Row("peak memory after the first call", "MB")
        self._streams_memory = Row(f"… after {plan.memory_streams} streams", "MB")
        self._events_memory = Row(f"… after one stream of {plan.memory_events:,} events", "MB")

    async def run(self) -> list[Row]:
        """All of it, with one pair of processes."""
        proxies = [make(self._provider, self._home) for make in (bridge, bare)]
        try:
            await asyncio.gather(*(proxy.is_up() for proxy in proxies))
            await self._measure_memory(proxies)
            await self._measure_time(proxies)
        finally:
            for proxy in proxies:
                proxy.stop()
        return [
            self._event_cpu,
            self._call_cpu,
            self._long_cpu,
            self._connection_cpu,
            self._first,
            self._long_first,
            self._idle_memory,
            self._streams_memory,
            self._events_memory,
        ]

    # --- memory: first, while the processes have done nothing else

    async def _measure_memory(self, proxies: Sequence[Proxy]) -> None:
        plan = self._plan
        for row, streams, events in (
            (self._idle_memory, 1, 1),
            (self._streams_memory, plan.memory_streams, EVENTS_OF_A_SHORT_STREAM),
            (self._events_memory, 1, plan.memory_events),
        ):
            await self._answer_with(events, proxies)
            for proxy in proxies:
                await self._calls(proxy, small_call(), streams, warm_up=False)
                row.add(proxy, proxy.peak_mb())

    # --- time

    async def _measure_time(self, proxies: Sequence[Proxy]) -> None:
        plan = self._plan
        for number in range(plan.rounds):
            turn = proxies if number % 2 else proxies[::-1]
            await self._answer_with(plan.events, proxies)
            for proxy in turn:
                cpu, _ = await self._calls(proxy, small_call(), 1)
                self._event_cpu.add(proxy, cpu / plan.events * 1e6)
            await self._answer_with(1, proxies)
            for body, calls, cpu_row, first_row in (
                (small_call(), plan.calls, self._call_cpu, self._first),
                (long_call(plan.history), plan.long_calls, self._long_cpu, self._long_first),
            ):
                for proxy in turn:
                    cpu, heard = await self._calls(proxy, body, calls)
                    cpu_row.add(proxy, cpu / calls * 1e3)
                    first_row.add(proxy, statistics.median(answer.first_s for answer in heard) * 1e3)
            for proxy in turn:
                self._connection_cpu.add(proxy, await self._connections(proxy) * 1e3)

    async def _answer_with(self, events: int, proxies: Sequence[Proxy]) -> None:
        """Let the provider answer with that many events: towards the bare proxy, with what the bridge makes of them."""
        self._provider.chat = chat_answer(events)
        (mine,) = [proxy for proxy in proxies if proxy.name == "bridge"]
        async with Client(mine, self._provider) as client:
            heard = await client.call(small_call())
        if len(heard.portions) != events:
            raise RuntimeError(f"the bridge made {len(heard.portions)} portions of {events}")
        self._provider.responses = heard.portions

    async def _calls(self, proxy: Proxy, body: bytes, count: int, *, warm_up: bool = True) -> tuple[float, list[Heard]]:
        """CPU seconds of `count` calls on one connection that is open, and what was heard."""
        async with Client(proxy, self._provider) as client:
            if warm_up:
                await client.call(body)
            before = proxy.cpu_s()
            heard = [await client.call(body) for _ in range(count)]
            cpu = proxy.cpu_s() - before
        for answer in heard:
            self._check(answer)
        return cpu, heard

    async def _connections(self, proxy: Proxy) -> float:
        """CPU seconds per connection."""
        before = proxy.cpu_s()
        for _ in range(self._plan.connections):
            async with Client(proxy, self._provider) as client:
                await client.call(small_call())
        return (proxy.cpu_s() - before) / self._plan.connections

    def _check(self, heard: Heard) -> None:
        """Both clients must have read the same, but for the ids and times in it."""
        if len(b"".join(heard.portions)) != len(b"".join(self._provider.responses)):
            raise RuntimeError("the answer is not the one that was recorded")


async def compare(plan: Plan) -> list[Row]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        provider = Provider()
        await provider.start()
        stack.callback(provider.stop)
        return await Bench(plan, provider, home).run()


def machine() -> str:
    """In general words."""
    versions = [f"{name} {version(name)}" for name in ("mitmproxy", "pydantic")]
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return ", ".join([system, load, f"Python {platform.python_version()}", *versions])


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="plan", action="store_const", const=QUICK, help="fewer repetitions")
    sizes.add_argument("--tiny", dest="plan", action="store_const", const=TINY, help="only to see that it works")
    parser.add_argument("--micro", action="store_true", help="only the conversion, without a proxy")
    parser.add_argument("--profile", action="store_true", help="the conversion again, and what takes its time")
    parser.set_defaults(plan=FULL)
    arguments = parser.parse_args()
    plan: Plan = arguments.plan
    if sys.platform != "linux":
        parser.error("only Linux tells the CPU time and the memory of another process in the way this reads them")
    print(f"{machine()}.\n")
    if arguments.profile:
        bench_micro.profile(plan.events, plan.history)
        return 0
    if not arguments.micro:
        print("| | bare mitmdump | with the bridge | ratio (of the rounds) |\n|---|---|---|---|")
        for row in asyncio.run(compare(plan)):
            print(row)
        print()
    print("| the conversion alone, without a proxy | |\n|---|---|")
    alone = bench_micro.measure(plan.events, plan.history, plan.rounds)
    for name, value in itertools.chain(alone, bench_chain.measure(plan.chain, plan.rounds)):
        print(f"| {name} | {value} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
