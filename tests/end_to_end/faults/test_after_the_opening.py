"""Faults of a provider that was silent for so long that the client has the beginning of an answer: it is only kept
alive by then, so another target may still be the one that answers; and there is no status any more but 200."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.faults.conftest import configuration, running
from tests.end_to_end.faults.servers import Servers
from tests.end_to_end.faults.table import CELLS, FAULTS, Cell
from tests.end_to_end.faults.test_matrix import assert_tells, text_of
from tests.end_to_end.process import Bridge, events_of
from tests.end_to_end.provider import holds
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response

pytestmark = pytest.mark.slow

SOON = {"early_headers_after_s": 0.1, "json_after_s": 0.1, "every_s": 0.1}

GATED = ("cut", "garbage", "429-retry-after", "500", "502-html", "401", "html", "error-first", "cut-after-role")
"""What the provider does once the client has the beginning."""
SILENT = ("full", "silent", "silent-after-headers")

SILENT_FOR_LONG = [
    Cell(
        len(CELLS) + cell.number,
        replace(cell.fault, id=f"late-{cell.fault.id}"),
        cell.stream,
        http2=False,
        second=cell.second,
    )
    for cell in CELLS
    if cell.fault.id in (*GATED, *SILENT) and not cell.http2
]


@pytest.fixture(scope="module")
def bridge(servers: Servers, confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    config = configuration(SILENT_FOR_LONG, servers, keepalive=SOON)
    with running(config, confdir, tmp_path_factory.mktemp("late")) as bridge:
        yield bridge


def test_the_table_has_them_all() -> None:
    assert {*GATED, *SILENT} <= {fault.id for fault in FAULTS}


@pytest.mark.parametrize("late", [pytest.param(each, id=each.id) for each in SILENT_FOR_LONG])
def test_the_second_target_answers_or_the_response_fails(bridge: Bridge, servers: Servers, late: Cell) -> None:
    response = _final_response(bridge, servers, late)

    if late.second:
        assert response["status"] == "completed"
        assert text_of(response) == "Hello."
    else:
        assert response["status"] == "failed"
        assert response["output"] == []
        assert_tells(response["error"], late)


def _final_response(bridge: Bridge, servers: Servers, late: Cell) -> dict[str, Any]:
    status, body = _ask(bridge, servers, late)
    assert status == 200
    if not late.stream:
        assert body.startswith(b"\n")
        validate_response(json.loads(body))
        response: dict[str, Any] = json.loads(body)
        return response
    events = events_of(body.decode())
    check_stream(events)
    for event in events:
        if event["type"] != "keepalive":  # which the SDK passes over
            validate_event(event)
    return dict(events[-1]["response"])


def _ask(bridge: Bridge, servers: Servers, late: Cell) -> tuple[int, bytes]:
    """The provider stops being silent when the client has heard something."""
    gate = threading.Event()
    servers.provider.script(late.id, holds(gate, late.fault.does) if late.fault.id[5:] in GATED else late.fault.does)
    body = {"model": late.id, "input": "Hi", "stream": late.stream}
    heard = b""
    with bridge.client() as client, client.stream("POST", "/v1/responses", json=body) as response:
        for portion in response.iter_raw():
            heard += portion
            gate.set()
        return response.status_code, heard
