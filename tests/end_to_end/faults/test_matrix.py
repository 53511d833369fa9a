"""Each fault of a provider × (JSON, stream) × (HTTP/1.1, HTTP/2) × (one target, two): what the client hears of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.end_to_end.faults.callers import Heard
from tests.end_to_end.faults.conftest import WELL, Matrix
from tests.end_to_end.faults.servers import Servers
from tests.end_to_end.faults.table import CELLS, Cell
from tests.end_to_end.process import Bridge, eventually
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response

pytestmark = pytest.mark.slow

BOUNDED_S = 8.0
"""More than any call takes, whatever happens to it."""


def cells(*outcomes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("cell", [pytest.param(c, id=c.id) for c in CELLS if c.outcome in outcomes])


@cells("second")
def test_the_second_target_answers(matrix: Matrix, cell: Cell) -> None:
    """The client is told who answered, and who was tried; in a stream that was opened before, it cannot be told."""
    heard = matrix[cell]

    response = final_response(heard, cell)

    assert response["status"] == "completed"
    assert text_of(response) == "Hello."
    if not (cell.stream and cell.fault.opened):
        assert heard.headers["x-bridge-target"] == f"{WELL}/{cell.id}"
        assert heard.headers["x-bridge-tried"] == f"{cell.id}/{cell.id} {cell.fault.code}"


@cells("error")
def test_the_client_gets_an_error(matrix: Matrix, cell: Cell) -> None:
    """An error of OpenAI's shape with a status of its own, whatever form of answer was wanted."""
    heard, fault = matrix[cell], cell.fault

    assert heard.status == fault.status, heard.body
    assert heard.headers["content-type"] == "application/json"
    assert set(heard.json) == {"error"}
    assert_tells(heard.json["error"], cell)
    assert {name: heard.headers.get(name) for name in fault.headers} == fault.headers
    assert heard.headers["x-bridge-target"] == f"{cell.id}/{cell.id}"
    assert "x-bridge-tried" not in heard.headers


@cells("opened")
def test_a_stream_that_was_opened_fails(matrix: Matrix, cell: Cell) -> None:
    response = final_response(matrix[cell], cell)

    assert response["status"] == "failed"
    assert response["output"] == []
    assert_tells(response["error"], cell)


@cells("told")
def test_what_was_told_is_kept_and_the_stream_fails(matrix: Matrix, cell: Cell) -> None:
    """It is never completed, and no call of a tool that was cut off can be run."""
    heard = matrix[cell]

    response = final_response(heard, cell)

    assert response["status"] == "failed"
    assert_tells(response["error"], cell)
    assert [each["type"] for each in heard.events[-2:]] == ["error", "response.failed"]
    assert text_of(response) == (cell.fault.told or "")
    assert calls_of(response) == ([] if cell.fault.arguments is None else [cell.fault.arguments])
    assert heard.headers["x-bridge-target"] == f"{cell.id}/{cell.id}"


@cells("none")
def test_what_is_an_answer_all_the_same(matrix: Matrix, cell: Cell) -> None:
    heard = matrix[cell]

    response = final_response(heard, cell)

    assert response["status"] == cell.fault.ends
    assert text_of(response) == cell.fault.told
    assert "x-bridge-tried" not in heard.headers


@cells("second", "error", "opened", "told", "none")
def test_nobody_waits_long_and_the_connection_goes_on(matrix: Matrix, cell: Cell) -> None:
    heard = matrix[cell]

    assert heard.seconds < BOUNDED_S
    assert heard.next_status == 200


def test_nothing_stays_open(matrix: Matrix, servers: Servers, bridge: Bridge) -> None:
    """No connection to a provider, and no file of the process, outlives the client it was for."""
    eventually(lambda: servers.open_connections == 0, "no provider has a connection")
    eventually(lambda: len(bridge.open_files()) <= matrix.open_files, "the bridge has closed its files")


def test_nothing_crashed(matrix: Matrix, bridge: Bridge) -> None:
    bridge.assert_sound()


# --- what was heard


def final_response(heard: Heard, cell: Cell) -> Mapping[str, Any]:
    """The response object, of the terminal event or as the whole answer, after grammar and SDK have judged it."""
    assert heard.status == 200, heard.body
    if not cell.stream:
        validate_response(heard.json)
        return heard.json
    check_stream(heard.events)
    for event in heard.events:
        validate_event(event)
    response: Mapping[str, Any] = heard.events[-1]["response"]
    return response


def text_of(response: Mapping[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def calls_of(response: Mapping[str, Any]) -> Sequence[str]:
    """The arguments of the calls that were cut off; fails if one could be run."""
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    for call in calls:
        assert call["status"] == "incomplete"
        with pytest.raises(json.JSONDecodeError):
            json.loads(call["arguments"])
    return [call["arguments"] for call in calls]


def assert_tells(error: Mapping[str, Any], cell: Cell) -> None:
    assert error["code"] == cell.fault.code, error
    assert all(word in error["message"] for word in cell.fault.words), error
    assert error["message"].isprintable()
