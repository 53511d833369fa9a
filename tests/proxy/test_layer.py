"""One client connection, event by event: what becomes of calls, and that nothing is left of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from addon.proxy.layer import LEFTOVER_S
from addon.proxy.traffic import Traffic
from tests.proxy.rig import Rig, waits_for_turn

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_call_that_is_served_leaves_a_connection_to_be_used_again(rig: Rig) -> None:
    rig.calls()
    server = rig.connects()
    rig.answers(server, HEAD + chunked(CHUNK + STOP) + LAST)

    assert b"response.completed" in rig.heard
    rig.assert_nothing_left(kept=1)
    rig.calls()
    assert not rig.opening


def test_a_provider_that_could_not_be_reached_is_tried_again_by_the_next_call(rig: Rig) -> None:
    rig.calls()
    rig.connects(error="connection refused")
    assert b" 502 " in rig.heard
    rig.assert_nothing_left()

    rig.passes(3600)
    rig.calls()
    rig.answers(rig.connects(), HEAD + chunked(CHUNK + STOP) + LAST)
    assert b"response.completed" in rig.heard
    rig.assert_nothing_left(kept=1)


def test_a_connection_that_is_closed_is_forgotten(rig: Rig) -> None:
    for _ in range(3):
        rig.calls()
        server = rig.connects()
        rig.answers(server, HEAD + chunked(CHUNK + STOP) + LAST)
        rig.hangs_up(server)
        rig.assert_nothing_left()


@pytest.mark.parametrize("stage", ["connecting", "before the headers", "in the stream", "kept alive"])
def test_a_client_that_goes_leaves_nothing(rig: Rig, stage: str) -> None:
    rig.calls()
    if stage != "connecting":
        server = rig.connects()
        if stage == "in the stream":
            rig.answers(server, HEAD + chunked(CHUNK))
        if stage == "kept alive":
            rig.passes(40)
    rig.goes()
    if stage == "connecting":
        assert [command.connection for command in rig.opening] == rig.closed
        rig.connects(error="connection cancelled")
    else:
        rig.hangs_up(server)
    rig.assert_nothing_left()


def test_a_client_that_goes_while_its_call_waits_for_its_turn(tmp_path: Path) -> None:
    traffic = Traffic()
    first, second, third = (
        Rig(tmp_path, ", max_concurrent: 1", traffic=traffic, hold=waits_for_turn if number else lambda hook: False)
        for number in range(3)
    )
    first.calls()
    second.calls()
    third.calls()
    assert (traffic.turns.running, traffic.turns.waiting) == (1, 2)

    second.goes()
    second.lets_go()
    assert (traffic.turns.running, traffic.turns.waiting) == (1, 1)
    assert not second.opening
    first.answers(first.connects(), HEAD + chunked(CHUNK + STOP) + LAST)
    assert (traffic.turns.running, traffic.turns.waiting) == (1, 0)
    third.lets_go()
    third.answers(third.connects(), HEAD + chunked(CHUNK + STOP) + LAST)

    for rig in (first, third):
        assert b"response.completed" in rig.heard
        rig.assert_nothing_left(kept=1)
    second.assert_nothing_left()


def test_the_time_in_the_line_is_not_counted_against_the_provider(tmp_path: Path) -> None:
    traffic = Traffic()
    overrides = ", max_concurrent: 1, overrides: {connect_timeout_s: 10}"
    first = Rig(tmp_path, overrides, traffic=traffic)
    second = Rig(tmp_path, overrides, traffic=traffic, hold=waits_for_turn)
    first.calls()
    server = first.connects()
    second.calls()
    second.passes(100)
    assert b"keepalive" in second.heard
    assert b"response.failed" not in second.heard

    first.answers(server, HEAD + chunked(CHUNK + STOP) + LAST)
    second.lets_go()
    second.passes(11)
    assert b"could not be connected to for 10 s" in second.heard
    second.connects(error="connection cancelled")
    second.assert_nothing_left()


def test_one_call_too_many_is_told_so(tmp_path: Path) -> None:
    traffic = Traffic()
    first, second = (
        Rig(tmp_path, ", max_concurrent: 1", "limits: {queued_calls: 0}\n", traffic=traffic) for _ in range(2)
    )
    first.calls()
    second.calls()

    assert b" 429 " in second.heard
    assert b"retry-after: 5" in second.heard
    assert b"too_many_requests" in second.heard
    first.answers(first.connects(), HEAD + chunked(CHUNK + STOP) + LAST)
    first.assert_nothing_left(kept=1)
    second.assert_nothing_left()


def test_an_answer_that_does_not_come_to_its_end_is_not_waited_for(rig: Rig) -> None:
    rig.calls()
    server = rig.connects()
    rig.answers(server, HEAD + chunked(CHUNK + STOP))
    assert b"response.completed" in rig.heard

    rig.passes(LEFTOVER_S - 0.1)
    assert not rig.closed
    rig.passes(0.2)
    assert rig.closed == [server]
    rig.hangs_up(server)
    rig.assert_nothing_left()


def test_a_provider_is_not_blamed_while_the_client_does_not_read(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ", overrides: {idle_timeout_s: 20}", "limits: {unread_s: 1000}\n")
    rig.calls()
    server = rig.connects()
    rig.answers(server, HEAD + chunked(CHUNK))
    rig.sockets.waiting = 100_000
    rig.passes(500)
    rig.sockets.waiting = 0
    rig.passes(0.9)
    rig.answers(server, chunked(CHUNK + STOP) + LAST)

    assert b"response.completed" in rig.heard
    assert b"keepalive" not in rig.heard, "which would have been added to what waits"
    rig.assert_nothing_left(kept=1)


def test_a_client_that_never_reads_is_dropped(tmp_path: Path) -> None:
    rig = Rig(tmp_path, config="limits: {unread_s: 60}\n")
    rig.calls()
    server = rig.connects()
    rig.answers(server, HEAD + chunked(CHUNK))
    rig.sockets.waiting = 100_000
    rig.passes(55)
    rig.sockets.waiting = 99_000
    rig.passes(55)
    assert not rig.sockets.dropped, "it has taken something"
    rig.passes(15)
    assert rig.sockets.dropped


def test_the_end_of_the_bridge_ends_a_call(rig: Rig) -> None:
    rig.calls()
    server = rig.connects()
    rig.answers(server, HEAD + chunked(CHUNK))
    rig.traffic.closes_at = rig.clock.time + 30
    rig.passes(29)
    assert b"response.failed" not in rig.heard
    rig.passes(2)

    assert b"response.failed" in rig.heard
    assert rig.closed == [server]
    rig.hangs_up(server)
    rig.assert_nothing_left()


def test_a_call_is_under_way_until_its_end_is_sent(tmp_path: Path) -> None:
    """Its last hook runs before that; a bridge that is to stop has to wait for it."""
    rig = Rig(tmp_path, hold=lambda hook: hook.name == "response")
    rig.calls()
    rig.answers(rig.connects(), HEAD + chunked(CHUNK + STOP) + LAST)
    assert b"response.completed" in rig.heard
    assert not rig.heard.endswith(LAST)
    assert rig.traffic.under_way == 1

    rig.lets_go()
    assert rig.heard.endswith(LAST)
    rig.assert_nothing_left(kept=1)


def test_a_call_that_comes_too_late_is_refused(rig: Rig) -> None:
    rig.traffic.closes_at = rig.clock.time
    rig.calls()

    assert rig.heard.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in rig.heard
    assert not rig.opening


@pytest.mark.parametrize("portion", [1_000_000, 1_000], ids=["at once", "bit by bit"])
def test_a_head_without_end_is_not_read(rig: Rig, portion: int) -> None:
    head = b"POST /v1/responses HTTP/1.1\r\nhost: api.openai.com\r\nx: " + b"x" * 100_000
    while head and not rig.closed:
        rig.says(head[:portion])
        head = head[portion:]

    assert rig.heard.startswith(b"HTTP/1.1 431 ")
    assert json.loads(rig.heard.split(b"\r\n\r\n")[1])["error"]["code"] == "headers_too_large"
    assert rig.closed == [rig.client]


def test_a_large_head_is_refused_when_it_came_whole(tmp_path: Path) -> None:
    rig = Rig(tmp_path, config="limits: {header_bytes: 1024}\n")
    rig.says(b"GET /v1/models HTTP/1.1\r\nhost: api.openai.com\r\nx: " + b"x" * 2000 + b"\r\n\r\n")

    assert rig.heard.startswith(b"HTTP/1.1 431 ")


def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    rig = Rig(tmp_path, config="limits: {answer_bytes: 10000}\n")
    rig.calls(stream=False)
    server = rig.connects()
    rig.answers(server, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    rig.answers(server, b" " * 20_000)

    assert b" 502 " in rig.heard
    assert b"limits.answer_bytes" in rig.heard
    assert rig.closed == [server]
