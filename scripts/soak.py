"""The bridge under load: many calls at once, providers that break, clients that leave. Each call must end as it should.

Prints what became of the calls, and what the process held before and after. Ends with 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bench_rig import ROOT, Proxy
from soak_traffic import FLAKY, KINDS, SOLO, SPARE, Caller, Provider, kind_of

PATIENCE_S = 60.0
"""What any call may take before it counts as lost."""
SETTLING_S = 20.0
CRASHES = re.compile(r"Traceback \(most recent call last\)|mitmproxy has crashed|Addon error|Task exception was never")


@dataclass(frozen=True)
class Sample:
    """What the bridge's process holds at a moment when nothing is asked of it."""

    memory_mb: float
    files: int
    alive: Mapping[str, int]
    """Objects that belong to connections and calls, and tasks."""


@dataclass
class Tally:
    """What became of the calls."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: str) -> None:
        kind = kind_of(number)
        self.outcomes[kind.name, outcome] += 1
        if outcome != kind.expected:
            self.wrong.append(f"call {number} ({kind.name}): {outcome}; expected: {kind.expected}")

    def join(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.wrong += other.wrong


@dataclass(frozen=True)
class Result:
    """All that was measured."""

    tally: Tally
    seconds: float
    rests: Sequence[Sample]
    """Before, halfway, and after."""
    leaving_s: Sequence[float]
    """Seconds from a client's leaving to the end of its provider's call."""
    leaving_alone_s: Sequence[float]
    """The same while nothing else went on."""


class Soak:
    """One bridge, one provider, and many clients."""

    def __init__(self, provider: Provider, home: Path) -> None:
        self._provider = provider
        self._census = home / "census.json"
        self.log = home / "log.txt"
        config = home / "bridge.yaml"
        config.write_text(_config(provider.port))
        environment = {"BRIDGE_CONFIG": str(config), "SOAK_CENSUS": str(self._census)}
        scripts = ["-s", str(ROOT / "addon" / "bridge.py"), "-s", str(ROOT / "scripts" / "soak_census.py")]
        self.proxy = Proxy("bridge", [*scripts, "--set", "flow_detail=0"], environment, home)

    async def run(self, numbers: Iterator[int], concurrency: int) -> Tally:
        """Make calls with these numbers, so many at a time."""
        tally = Tally()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._client(numbers, tally))
        return tally

    async def _client(self, numbers: Iterator[int], tally: Tally) -> None:
        caller = Caller(self.proxy.port, self.proxy.trust, self._provider)
        for number in numbers:
            try:
                tally.add(number, await asyncio.wait_for(caller.call(number), PATIENCE_S))
            except TimeoutError:
                tally.add(number, "no end")
                caller.close()
            except Exception as error:
                tally.add(number, f"no answer ({type(error).__name__}: {error})")
                caller.close()
        caller.close()

    async def settled(self) -> Sample:
        """Waits until no connection is left, at most SETTLING_S; what is left then."""
        deadline = time.monotonic() + SETTLING_S
        sample = await self._sample()
        while time.monotonic() < deadline and (sample.alive["BridgeLayer"] or self._provider.open):
            await asyncio.sleep(0.5)
            sample = await self._sample()
        return sample

    async def _sample(self) -> Sample:
        self._census.unlink(missing_ok=True)
        self.proxy.signal(signal.SIGUSR1)
        alive = await self.census()
        return Sample(self.proxy.memory_mb(), self.proxy.files(), alive)

    async def census(self) -> Mapping[str, int]:
        """Waits for the next one."""
        while not self._census.exists():
            await asyncio.sleep(0.05)
        counts: dict[str, int] = json.loads(self._census.read_text())
        return counts


def _config(port: int) -> str:
    common = {"api_key": "any", "profile": "generic"}
    hosts = {"solo": SOLO, "flaky": FLAKY, "spare": SPARE}
    providers = {name: {"base_url": f"http://{host}:{port}/v1", **common} for name, host in hosts.items()}
    models = {"pair-*": ["flaky/{model}", "spare/{model}"], "*": "solo/{model}"}
    return json.dumps({"providers": providers, "models": models})


async def soak(requests: int, concurrency: int, home: Path) -> int:
    """The whole of it; the process's exit status."""
    provider = Provider()
    await provider.start()
    soak = Soak(provider, home)
    try:
        await soak.proxy.is_up()
        await soak.census()  # it listens before it has put away, for good, what it has loaded
        result = await _measure(soak, provider, requests, concurrency)
    finally:
        soak.proxy.stop()
        provider.stop()
    print(_where(requests, concurrency, result.seconds))
    print(_calls(result.tally))
    print("From a client's leaving to the end of its provider's call:")
    print(f"- under this load: {_percentiles(result.leaving_s)}\n- alone: {_percentiles(result.leaving_alone_s)}\n")
    print(_process(result.rests))
    problems = [*result.tally.wrong, *_left(result.rests), *_crashes(soak.proxy.log())]
    print(*problems[:50], sep="\n", file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


async def _measure(soak: Soak, provider: Provider, requests: int, concurrency: int) -> Result:
    numbers = itertools.count()
    await soak.run(itertools.islice(numbers, 2 * concurrency), concurrency)  # warms up
    rests = [await soak.settled()]
    provider.noticed_s.clear()
    tally = Tally()
    seconds = 0.0
    for portion in (requests // 2, requests - requests // 2):
        began = time.perf_counter()
        tally.join(await soak.run(itertools.islice(numbers, portion), concurrency))
        seconds += time.perf_counter() - began
        rests.append(await soak.settled())
    leaving_s, provider.noticed_s = provider.noticed_s, []
    leaving = (number for number in numbers if kind_of(number).leaves)
    tally.join(await soak.run(itertools.islice(leaving, 40), 1))
    await soak.settled()
    return Result(tally, seconds, rests, leaving_s, provider.noticed_s)


def _where(requests: int, concurrency: int, seconds: float) -> str:
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, mitmproxy {version('mitmproxy')}"
    return f"{requests} calls, {concurrency} at a time, {requests / seconds:.0f} a second ({machine})\n"


def _calls(tally: Tally) -> str:
    rows = ["| Kind of call | Expected | Calls | As expected |", "| --- | --- | --- | --- |"]
    for kind in KINDS:
        count = sum(number for (name, _), number in tally.outcomes.items() if name == kind.name)
        rows.append(f"| {kind.name} | {kind.expected} | {count} | {tally.outcomes[kind.name, kind.expected]} |")
    return "\n".join(rows) + "\n"


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "not measured"
    times = sorted(1000 * each for each in seconds)
    p99 = times[int(0.99 * (len(times) - 1))]
    return f"median {statistics.median(times):.0f} ms, 99 % within {p99:.0f} ms ({len(times)} calls)"


def _process(rests: Sequence[Sample]) -> str:
    rows = ["| The bridge's process, at rest | Before | Halfway | After |", "| --- | --- | --- | --- |"]
    rows.append(f"| memory | {' | '.join(f'{each.memory_mb:.0f} MB' for each in rests)} |")
    rows.append(f"| open files | {' | '.join(str(each.files) for each in rests)} |")
    rows += [f"| {name} | {' | '.join(str(each.alive[name]) for each in rests)} |" for name in rests[0].alive]
    return "\n".join(rows) + "\n"


def _left(rests: Sequence[Sample]) -> Iterator[str]:
    """What has not returned to what it was. Memory is not judged: it is never given back as it was taken."""
    before, after = rests[0], rests[-1]
    if after.files > before.files:
        yield f"files: {before.files} were open before, {after.files} after"
    for name, count in after.alive.items():
        if count > before.alive[name]:
            yield f"{name}: {before.alive[name]} were alive before, {count} after"


def _crashes(log: str) -> Iterator[str]:
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if CRASHES.search(line):
            yield "\n".join(lines[number : number + 20])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(arguments.requests, arguments.concurrency, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
