"""A long chain of responses in a store on disk: what it takes to keep a turn, and to go on with all of them."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench_micro import begin, best, new_service, shown  # first of all: it lets the addon be found

from addon.service import Service
from addon.store.interface import ResponseStore
from addon.store.records import Limits, StoredResponse
from addon.store.sqlite import SqliteStore
from addon.translate.output import ResponseBuilder, no_seal
from addon.wire.json import dump_bytes
from addon.wire.responses import ResponseObject, read_request

SAMPLE = 20
"""Turns at either end that the time of keeping one is the median of."""

QUESTION = "Where is the configuration read, and who may change it while the bridge runs? " * 4
ANSWER = "It is read in one place, checked as a whole, and taken up anew when the file has changed. " * 10


def measure(turns: int, rounds: int) -> Iterator[tuple[str, str]]:
    """Name and value of each measurement."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = Path(directory) / "store.sqlite3"
        with closing(SqliteStore(path, limits=Limits(), now=time.time)) as store:
            yield from _measured(store, turns, rounds)


def _measured(store: ResponseStore, turns: int, rounds: int) -> Iterator[tuple[str, str]]:
    service = new_service(open_store=lambda *_: store)
    owner = _owner(service, store)
    kept = [_keep(store, owner, number) for number in range(turns)]
    yield "keeping a turn, at the beginning of a chain", shown(statistics.median(kept[:SAMPLE]))
    yield f"keeping a turn, after {turns:,} turns", shown(statistics.median(kept[-SAMPLE:]))
    request = {"model": "gpt-5", "input": QUESTION, "previous_response_id": f"resp_{turns - 1}", "store": False}
    body = dump_bytes(request)
    whole = best(rounds, lambda: begin(service, body))
    yield f"going on with {turns:,} turns → a chat request", shown(whole)
    yield "… for each of the turns", shown(whole / turns)


def _keep(store: ResponseStore, owner: str, number: int) -> float:
    """Seconds."""
    question = {"id": f"msg_{number}", "type": "message", "role": "user", "content": QUESTION}
    parent = f"resp_{number - 1}" if number else None
    turn = StoredResponse(response=_response(number), input=[question], parent=parent)
    began = time.perf_counter()
    store.responses.add(owner, turn)
    return time.perf_counter() - began


def _response(number: int) -> ResponseObject:
    request = read_request(dump_bytes({"model": "gpt-5"}))
    builder = ResponseBuilder(request, ids=lambda prefix: f"{prefix}_{number}", now=time.time, seal=no_seal)
    builder.text(ANSWER)
    builder.complete(None)
    return builder.response


def _owner(service: Service, store: ResponseStore) -> str:
    """Whose the responses of the benchmark's client are."""
    exchange = begin(service, dump_bytes({"model": "gpt-5", "input": "Hi"}))
    answer = {"choices": [{"message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}]}
    exchange.upstream_head(200, {})
    exchange.upstream_data(dump_bytes(answer))
    exchange.upstream_end()
    (summary,) = store.inspection.summaries()
    return summary.owner
