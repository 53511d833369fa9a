"""Calls of custom tools: the text is streamed out of its JSON wrapper, and half a text is never run."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.errors import ApiError
from addon.translate.output import CalledTool, ResponseBuilder
from addon.wire.responses import read_request
from tests.grammar import check_stream

PATCH = '*** Begin Patch\n*** Add File: a "b".txt\n+caf\u00e9 \\ \U0001f600\n*** End Patch\n'


def builder() -> ResponseBuilder:
    ids = iter(range(100))
    request = read_request(b'{"model":"m","input":"x"}')
    return ResponseBuilder(request, ids=lambda prefix: f"{prefix}_{next(ids)}", now=lambda: 0.0, seal=lambda *_: None)


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.integers(0, 500)), st.booleans())
def test_any_split_of_the_arguments_gives_the_same_text(cuts: list[int], ascii_only: bool) -> None:
    build = builder()
    call = build.call(CalledTool("custom", "apply_patch"), "call_1")
    for piece in pieces(json.dumps({"input": PATCH}, ensure_ascii=ascii_only), cuts):
        build.arguments(call, piece)
    build.complete(None)
    events = [event.payload() for event in build.take()]
    check_stream(events)
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(map(str, deltas)) == PATCH
    assert build.response["output"][0]["input"] == PATCH  # type: ignore[typeddict-item]


def test_the_text_is_live() -> None:
    build = builder()
    call = build.call(CalledTool("custom", "exec", "functions"), "call_1")
    build.arguments(call, '{"input": "await ls')
    types = [event.type for event in build.take()]
    assert types[-2:] == ["response.output_item.added", "response.custom_tool_call_input.delta"]


@pytest.mark.parametrize("cut", range(1, len(json.dumps({"input": PATCH}))))
@pytest.mark.parametrize("ending", ["completed", "incomplete", "failed"])
def test_a_call_that_was_cut_off_is_not_done(cut: int, ending: str) -> None:
    build = builder()
    call = build.call(CalledTool("custom", "apply_patch"), "call_1")
    build.arguments(call, json.dumps({"input": PATCH})[:cut])
    match ending:
        case "completed":
            build.complete(None)
        case "incomplete":
            build.incomplete("max_output_tokens", None)
        case _:
            build.fail(ApiError.upstream("reset by peer"))
    events = [event.payload() for event in build.take()]
    check_stream(events)
    assert not any(event["type"] == "response.output_item.done" for event in events)
    assert build.response["status"] == ("failed" if ending == "failed" else "incomplete")
    assert build.response["output"] == []
