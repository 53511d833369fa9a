"""The grammar checker finds every fault that is put into a good stream."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from addon.translate.output import CalledTool
from tests.grammar import check_stream
from tests.translate.answers import answer_to, call, chunk, data, request, text

Events = list[dict[str, Any]]

TOOLS = {
    "patch": CalledTool("custom", "apply_patch", "ns"),
    "find": CalledTool("tool_search", "tool_search"),
    "shell": CalledTool("shell", "shell"),
    "local": CalledTool("local_shell", "local_shell"),
    "edit": CalledTool("apply_patch", "apply_patch"),
}
CITATION = {"type": "url_citation", "url_citation": {"url": "http://a", "title": "A", "start_index": 0, "end_index": 1}}
LOGPROBS = {"content": [{"token": "H", "logprob": -1.5, "bytes": [72], "top_logprobs": []}]}
BEGINNING = [
    chunk({"reasoning_content": "Hm"}),
    chunk({"reasoning_content": "."}),
    data({"choices": [{"delta": {"content": "Hel"}, "logprobs": LOGPROBS}]}),
    text("lo"),
    chunk({"annotations": [CITATION]}),
    chunk({"refusal": "I "}),
    chunk({"refusal": "won't"}),
    call(0, id="a", name="f", arguments='{"a"'),
    call(0, arguments=":1}"),
    call(1, id="b", name="patch", arguments='{"input":"x"}'),
    call(2, id="c", name="find", arguments='{"query":"q"}'),
    call(3, id="h", name="shell", arguments='{"commands":["ls"],"timeout_ms":5}'),
    call(4, id="l", name="local", arguments='{"command":["ls"],"env":{"A":"1"}}'),
    call(5, id="p", name="edit", arguments='{"operation":{"type":"create_file","path":"a","diff":"+x"}}'),
]
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}


def stream(*end: bytes, **asked: object) -> Events:
    return list(answer_to([*BEGINNING, *end], asked=request(**asked), tools=TOOLS, logprobs=True).events)


STREAMS = {
    "completed": stream(chunk({}, "tool_calls", USAGE)),
    "summary": stream(chunk({}, "tool_calls", USAGE), reasoning={"summary": "auto"}),
    "incomplete": stream(call(6, id="d", name="f", arguments='{"'), chunk({}, "length", USAGE)),
    "failed": stream(data({"error": {"message": "No more"}})),
}
good = pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)


def renumbered(events: Sequence[dict[str, Any]]) -> Events:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def is_wrong(events: Sequence[dict[str, Any]]) -> bool:
    try:
        check_stream(events)
    except AssertionError:
        return True
    return False


@good
def test_a_good_stream_passes(events: Events) -> None:
    check_stream(events)


@good
def test_an_event_is_missing(events: Events) -> None:
    for position, event in enumerate(events):
        rest = events[:position] + events[position + 1 :]
        assert is_wrong(rest)
        # The error event before response.failed may be left out.
        assert is_wrong(renumbered(rest)) is (event["type"] != "error"), event


@good
def test_an_event_comes_twice(events: Events) -> None:
    for position, event in enumerate(events):
        assert is_wrong(renumbered([*events[: position + 1], *events[position:]])), event


@good
def test_two_events_are_swapped(events: Events) -> None:
    for position, (one, other) in enumerate(pairwise(events)):
        if {one["type"], other["type"]} == {"response.output_text.delta", "response.output_text.annotation.added"}:
            continue
        swapped = [*events[:position], other, one, *events[position + 2 :]]
        assert is_wrong(renumbered(swapped)), (one, other)


FREE = ("service_tier", "completed_at", "reasoning_tokens", "cached_tokens", "cache_write_tokens")
"""Keys whose value nothing else in the stream confirms."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all scalars in a value."""
    match value:
        case dict():
            for key, entry in value.items():
                yield from leaves(entry, (*path, key))
        case list():
            for index, entry in enumerate(value):
                yield from leaves(entry, (*path, index))
        case _:
            yield path


def changed(value: object) -> object:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case _:
            return "x"


@good
def test_a_value_is_wrong(events: Events) -> None:
    for position, event in enumerate(events):
        for path in leaves(event):
            if path[-1] in FREE or path == ("error", "type"):
                continue
            wrong = copy.deepcopy(event)
            *way, last = path
            place: Any = wrong
            for step in way:
                place = place[step]
            place[last] = changed(place[last])
            assert is_wrong([*events[:position], wrong, *events[position + 1 :]]), (event["type"], path)


@good
def test_a_key_is_missing_or_new(events: Events) -> None:
    for position, event in enumerate(events):
        for key in event:
            less = {name: value for name, value in event.items() if name != key}
            assert is_wrong([*events[:position], less, *events[position + 1 :]]), (event["type"], key)
        assert is_wrong([*events[:position], {**event, "new": 1}, *events[position + 1 :]]), event["type"]


def test_each_key_of_the_response_is_needed() -> None:
    events = STREAMS["completed"]
    for key in events[0]["response"]:
        bare = copy.deepcopy(events)
        for event in bare:
            if "response" in event:
                event["response"].pop(key, None)
        assert is_wrong(bare), key


@pytest.mark.parametrize("key", ["reasoning_tokens", "cached_tokens", "cache_write_tokens"])
def test_usage_needs_its_details(key: str) -> None:
    events = copy.deepcopy(STREAMS["completed"])
    usage = events[-1]["response"]["usage"]
    for details in (usage["input_tokens_details"], usage["output_tokens_details"]):
        details.pop(key, None)

    assert is_wrong(events)


@pytest.mark.parametrize("key", ["id", "call_id"])
def test_ids_are_used_once(key: str) -> None:
    events = copy.deepcopy(STREAMS["completed"])
    ids = [
        event["item"][key] for event in events if event["type"] == "response.output_item.added" and key in event["item"]
    ]
    again = {ids[-1]: ids[-2]}

    assert is_wrong(replaced(events, again))


def replaced(value: Any, others: dict[str, str]) -> Any:
    match value:
        case dict():
            return {key: replaced(entry, others) for key, entry in value.items()}
        case list():
            return [replaced(entry, others) for entry in value]
        case str():
            return others.get(value, value)
        case _:
            return value


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "event 0: the stream ends where response.created is due"),
        (STREAMS["completed"][:-1], "a terminal event is due, found the end"),
        (STREAMS["completed"][1:], "event 0: response.in_progress where response.created is due"),
        ([{"type": "x", "y": float("nan")}], "not JSON compliant"),
    ],
)
def test_the_message_says_where_and_what(events: Events, message: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=message):
        check_stream(events)
