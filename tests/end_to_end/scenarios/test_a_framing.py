"""Scenarios A: how the bytes of an answer are framed."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator

import brotli
import pytest

from tests.end_to_end.provider import (
    DONE,
    PATIENCE_S,
    Behaviour,
    Reply,
    chunk,
    completion,
    event,
    sends,
    sends_json,
    streams,
    text_chunks,
)
from tests.end_to_end.scenarios.conftest import Driver, Outcome, tells

SAYING = "Grüße, 考える 😀."
HELLO = b"".join([*map(event, text_chunks("Grüße, ", "考える 😀.")), DONE])
HELLO_UNESCAPED = b"".join(
    b"data: " + json.dumps(each, ensure_ascii=False).encode() + b"\n\n" for each in text_chunks("Grüße, ", "考える 😀.")
)
ENDINGS = {"lf": [b"\n"], "crlf": [b"\r\n"], "cr": [b"\r"], "mixed": [b"\r\n", b"\n", b"\r"]}


def written(outcome: Outcome) -> list[tuple[str, str]]:
    return [(each["type"], each.get("delta", "")) for each in outcome.events]


def in_portions(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a1_line_ends_and_cuts(ask: Driver, ending: str, size: int) -> None:
    ends = itertools.cycle(ENDINGS[ending])
    data = b"".join(line + next(ends) for line in HELLO_UNESCAPED.split(b"\n")[:-1])

    outcome = ask(streams(*in_portions(data, size))).completed()

    assert outcome.text == SAYING
    assert written(outcome) == written(ask(streams(HELLO)))


def test_a2_comments(ask: Driver) -> None:
    comments = itertools.cycle([b": OPENROUTER PROCESSING\n\n", b": keep-alive\n\n", b":\n\n", b":\n"])
    portions = [next(comments) + event(each) for each in text_chunks("Grüße, ", "考える 😀.")]

    outcome = ask(streams(b": OPENROUTER PROCESSING\n\n", *portions, b": the end\n\n", DONE)).completed()

    assert written(outcome) == written(ask(streams(HELLO)))


def no_space(data: str) -> str:
    return f"data:{data}\n\n"


def several_lines(data: str) -> str:
    return "".join(f"data: {line}\n" for line in json.dumps(json.loads(data), indent=1).splitlines()) + "\n"


def other_fields(data: str) -> str:
    return f"event: message\nid: 7\nretry: 3000\ndata: {data}\n\n"


@pytest.mark.parametrize("form", [no_space, several_lines, other_fields])
def test_a3_forms_of_an_event(ask: Driver, form: Callable[[str], str]) -> None:
    data = "".join(form(json.dumps(each)) for each in text_chunks("Grüße, ", "考える 😀."))

    outcome = ask(streams(data.encode(), DONE)).completed()

    assert written(outcome) == written(ask(streams(HELLO)))
    assert outcome.tokens == (7, 3, 10)


@pytest.mark.parametrize("last", [b"\n\n", b"\n", b""], ids=["whole", "no-blank-line", "no-line-end"])
def test_a4_no_done_after_the_finish(ask: Driver, last: bytes) -> None:
    data = event(chunk({"content": "Hello."})) + event(chunk(finish="stop")).rstrip() + last

    assert ask(streams(data)).completed().text == "Hello."


def test_a5_the_end_after_text(ask: Driver) -> None:
    outcome = ask(streams(event(chunk({"content": "Hel"})))).incomplete()

    assert outcome.text == "Hel"
    assert outcome.output[0]["status"] == "incomplete"


def test_a5_the_end_after_text_by_profile(ask: Driver) -> None:
    outcome = ask(streams(event(chunk({"content": "Hel"}))), at="strict-end").failed("strict-end")

    assert outcome.text == "Hel"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([], id="nothing"),
        pytest.param([b": keep-alive\n\n"], id="comment"),
        pytest.param([event(chunk({"role": "assistant", "content": ""}))], id="role"),
    ],
)
def test_a6_the_end_after_nothing(ask: Driver, said: list[bytes]) -> None:
    outcome = ask(streams(*said)).failed("generic")

    assert outcome.code == "server_error"
    assert outcome.whole is not None
    assert outcome.whole.status == 502
    assert outcome.whole.headers.get("x-should-retry") != "false"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([DONE], id="done-twice"),
        pytest.param([event(chunk({"content": "Again."}))], id="text"),
        pytest.param([event({"error": {"message": "too late", "code": 500}}), DONE], id="error"),
    ],
)
def test_a7_data_after_done(ask: Driver, more: list[bytes]) -> None:
    outcome = ask(streams(HELLO, *more)).completed()

    assert outcome.text == SAYING


def test_a8_json_for_a_stream(ask: Driver) -> None:
    outcome = ask(sends_json(completion("Hello."))).completed()

    assert written(outcome) == written(ask(tells(*text_chunks("Hello."))))
    assert outcome.sent["stream"] is True


def test_a9_a_stream_for_json(ask: Driver) -> None:
    outcome = ask(streams(HELLO), at="streaming").completed()

    assert outcome.whole is not None
    assert outcome.whole.sent["stream"] is True
    assert outcome.whole.text == SAYING


def test_a10_blank_lines_before_json(ask: Driver) -> None:
    """As long as they come: until another call was asked and answered."""
    others = [threading.Event(), threading.Event()]
    gates: Iterator[threading.Event] = iter(others)

    def behave(reply: Reply) -> None:
        reply.start(content_type="application/json")
        for _ in range(100):
            reply.send(b"\n \r\n")
        assert next(gates).wait(PATIENCE_S)
        reply.send(b"\n" + json.dumps(completion("Hello.")).encode())
        reply.finish()

    def answer_another() -> None:
        for gate in others:
            ask.stream(model=ask.new_model())
            gate.set()

    thread = threading.Thread(target=answer_another)
    thread.start()
    outcome = ask(behave).completed()
    thread.join(PATIENCE_S)

    assert outcome.text == "Hello."


WHOLE = json.dumps(completion(SAYING)).encode()


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(sends(gzip.compress(HELLO), content_encoding="gzip", content_type="text/event-stream"), id="gzip"),
        pytest.param(streams(*in_portions(gzip.compress(HELLO), 9), content_encoding="gzip"), id="gzip-in-portions"),
        pytest.param(sends(gzip.compress(WHOLE), content_encoding="gzip"), id="gzip-json"),
        pytest.param(sends(brotli.compress(HELLO), content_encoding="br", content_type="text/event-stream"), id="br"),
        pytest.param(sends(brotli.compress(WHOLE), content_encoding="br"), id="br-json"),
        pytest.param(sends(HELLO, content_type=""), id="stream-without-type"),
        pytest.param(sends(WHOLE, content_type=""), id="json-without-type"),
        pytest.param(sends(HELLO, content_type="application/octet-stream"), id="stream-of-octets"),
        pytest.param(sends(WHOLE, content_type="application/octet-stream"), id="json-of-octets"),
    ],
)
def test_a11_encodings_and_types(ask: Driver, behaviour: Behaviour) -> None:
    assert ask(behaviour).completed().text == SAYING


def test_a11_an_error_of_octets(ask: Driver) -> None:
    body = json.dumps({"error": {"message": "all is lost", "code": "bad"}}).encode()

    ask(sends(body, 400, content_type="application/octet-stream")).failed("all is lost")


@pytest.mark.parametrize(
    "garbage", [b"data: {oh\n\n", b"data: what?\n\n", b"data: [1, 2]\n\n", b"data: 7\n\n", b"data: null\n\n"]
)
def test_a12_garbage_between(ask: Driver, garbage: bytes) -> None:
    first, *others = map(event, text_chunks("Grüße, ", "考える 😀."))

    outcome = ask(streams(first, garbage, *others, garbage, DONE)).completed()

    assert outcome.text == SAYING
    assert "skipped" in outcome.notes
