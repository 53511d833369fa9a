"""The builder's verbs, and the whole list of events that each order of them makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.errors import ApiError
from addon.translate.history import Thought
from addon.translate.output import CalledTool, ResponseBuilder, to_usage
from addon.wire.chat import Totals
from tests.translate.answers import NOW, builder, judged, payloads, request, shortened

Verbs = Callable[[ResponseBuilder], None]

FUNCTION = CalledTool("function", "f")
CUSTOM = CalledTool("custom", "patch", "ns")
SEARCH = CalledTool("tool_search", "tool_search")
BROKEN = ApiError.upstream("acme closed the connection.")
C = ["created", "in_progress"]


def say(response: ResponseBuilder) -> None:
    response.text("Hel")
    response.text("lo")


def think(response: ResponseBuilder) -> None:
    response.reasoning("H")
    response.reasoning("m")


def call(tool: CalledTool, *pieces: str, call_id: str = "") -> Verbs:
    def verbs(response: ResponseBuilder) -> None:
        state = response.call(tool, call_id)
        for piece in pieces:
            response.arguments(state, piece)

    return verbs


def complete(response: ResponseBuilder) -> None:
    response.complete(None)


def cut(response: ResponseBuilder) -> None:
    response.incomplete("max_output_tokens", None)


def fail(response: ResponseBuilder) -> None:
    response.fail(BROKEN)


def built(*verbs: Verbs, **asked: object) -> Sequence[dict[str, object]]:
    response = builder(request(**asked))
    for verb in verbs:
        verb(response)
    return judged(payloads(response.take()))


def types(events: Sequence[dict[str, object]]) -> list[str]:
    """The types without `response.`, and without the deltas that follow a first one."""
    names = [str(event["type"]).removeprefix("response.") for event in events]
    return [name for name, before in zip(names, [None, *names], strict=False) if name != before]


def item(*inside: str) -> list[str]:
    return ["output_item.added", *inside, "output_item.done"]


TEXT = item("content_part.added", "output_text.delta", "output_text.done", "content_part.done")
REFUSAL = item("content_part.added", "refusal.delta", "refusal.done", "content_part.done")
THOUGHT = item("content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done")
SUMMARY = item(
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
)
CALL = item("function_call_arguments.delta", "function_call_arguments.done")
CUSTOM_CALL = item("custom_tool_call_input.delta", "custom_tool_call_input.done")
AB = ('{"a"', ":1}")


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        pytest.param([complete], [*C, "completed"], id="nothing"),
        pytest.param([say, complete], [*C, *TEXT, "completed"], id="text"),
        pytest.param([lambda r: r.refusal("No"), complete], [*C, *REFUSAL, "completed"], id="refusal"),
        pytest.param([think, say, complete], [*C, *THOUGHT, *TEXT, "completed"], id="reasoning"),
        pytest.param([call(FUNCTION, *AB), complete], [*C, *CALL, "completed"], id="call"),
        pytest.param([call(FUNCTION), complete], [*C, *CALL, "completed"], id="call-without-arguments"),
        pytest.param(
            [call(FUNCTION, *AB), call(FUNCTION, *AB), complete], [*C, *CALL, *CALL, "completed"], id="parallel"
        ),
        pytest.param([call(CUSTOM, '{"input":"x"}'), complete], [*C, *CUSTOM_CALL, "completed"], id="custom"),
        pytest.param([call(SEARCH, '{"query":"x"}'), complete], [*C, *item(), "completed"], id="tool-search"),
        pytest.param([say, cut], [*C, *TEXT, "incomplete"], id="length"),
        pytest.param([fail], [*C, "error", "failed"], id="failure"),
        pytest.param([think, fail], [*C, *THOUGHT, "error", "failed"], id="failure-in-reasoning"),
        pytest.param([say, fail], [*C, *TEXT, "error", "failed"], id="failure-in-text"),
        pytest.param([lambda r: r.refusal("No"), fail], [*C, *REFUSAL, "error", "failed"], id="failure-in-a-refusal"),
        pytest.param([call(FUNCTION, *AB), fail], [*C, *CALL, "error", "failed"], id="failure-in-a-call"),
        pytest.param([call(FUNCTION), fail], [*C, "error", "failed"], id="failure-before-arguments"),
        pytest.param([call(CUSTOM, *AB), fail], [*C, "error", "failed"], id="failure-in-a-custom-call"),
        pytest.param([call(SEARCH, *AB), fail], [*C, "error", "failed"], id="failure-in-a-tool-search"),
        pytest.param(
            [call(FUNCTION, *AB), say, fail], [*C, *CALL, *TEXT, "error", "failed"], id="failure-with-text-held"
        ),
        pytest.param(
            [say, call(FUNCTION, *AB), say, complete], [*C, *TEXT, *CALL, *TEXT, "completed"], id="text-call-text"
        ),
        pytest.param(
            [call(FUNCTION, *AB), think, call(CUSTOM, *AB), complete],
            [*C, *CALL, *THOUGHT, *CUSTOM_CALL, "completed"],
            id="between-calls",
        ),
    ],
)
def test_order(verbs: Sequence[Verbs], expected: list[str]) -> None:
    assert types(built(*verbs)) == expected


def test_summary_order() -> None:
    assert types(built(think, say, complete, reasoning={"summary": "auto"})) == [*C, *SUMMARY, *TEXT, "completed"]


def test_every_event_of_a_text_answer() -> None:
    events = built(say, complete)

    where = {"item_id": "msg_2", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    message = {"id": "msg_2", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    assert events[2:-1] == [
        {
            "type": "response.output_item.added",
            "sequence_number": 2,
            "output_index": 0,
            "item": {**message, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", "sequence_number": 3, **where, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", "sequence_number": 4, **where, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", "sequence_number": 5, **where, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", "sequence_number": 6, **where, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", "sequence_number": 7, **where, "part": part},
        {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0, "item": message},
    ]
    assert events[-1]["response"] == {
        "id": "resp_1",
        "object": "response",
        "created_at": NOW,
        "completed_at": NOW,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": [message],
        "usage": to_usage(None),
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "test-model",
        "parallel_tool_calls": True,
        "conversation": None,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": "disabled",
        "user": None,
        "metadata": {},
    }


def test_text_comes_at_once_and_what_follows_a_call_is_held() -> None:
    response = builder()

    response.text("Hel")
    assert payloads(response.take())[-1]["delta"] == "Hel"
    state = response.call(FUNCTION, "a")
    response.arguments(state, "{")
    assert payloads(response.take())[-1]["delta"] == "{"
    other = response.call(FUNCTION, "b")
    response.arguments(other, "{}")
    response.text("lo")
    assert response.take() == []
    response.arguments(state, "}")
    assert [event.type for event in response.take()] == ["response.function_call_arguments.delta"]
    response.complete(None)
    assert [short for done in response.response["output"] for short in shortened(done)] == [
        ("text", "Hel"),
        ("call", "f", "{}"),
        ("call", "f", "{}"),
        ("text", "lo"),
    ]


@pytest.mark.parametrize("end", [complete, cut, fail])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (FUNCTION, '{"a":'),
        (FUNCTION, '{"a":"x\n'),
        (CUSTOM, '{"input":"x'),
        (CUSTOM, '{"input":"x\n'),
        (SEARCH, '{"query":'),
    ],
)
def test_a_call_that_was_cut_off_can_not_be_run(tool: CalledTool, arguments: str, end: Verbs) -> None:
    response = built(call(tool, arguments), end)[-1]["response"]

    assert response["status"] == ("failed" if end is fail else "incomplete")
    assert [(done["type"], done["status"], done["arguments"]) for done in response["output"]] == (
        [("function_call", "incomplete", arguments)] if tool is FUNCTION else []
    )


def test_a_cut_call_does_not_spoil_the_others() -> None:
    response = built(call(FUNCTION, "{}"), call(FUNCTION, '{"'), call(CUSTOM, '{"'), call(FUNCTION, "{}"), cut)[-1][
        "response"
    ]

    assert [done["status"] for done in response["output"]] == ["completed", "incomplete", "completed"]


def test_what_was_finished_before_the_break_is_complete() -> None:
    response = built(think, say, fail)[-1]["response"]

    assert [done["status"] for done in response["output"]] == ["completed", "incomplete"]


def test_call_ids_are_unique() -> None:
    verbs = [call(FUNCTION, "{}", call_id=call_id) for call_id in ("a", "", "a", "")]
    output = built(*verbs, complete)[-1]["response"]["output"]

    assert output[0]["call_id"] == "a"
    assert len({done["call_id"] for done in output}) == 4


def test_annotations_and_logprobs_go_into_the_part() -> None:
    citation = {"type": "url_citation", "url": "http://a", "title": "", "start_index": 0, "end_index": 1}
    logprob = {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}
    events = built(lambda r: r.text("Hi", [logprob]), lambda r: r.annotate([citation]), complete)

    assert events[-1]["response"]["output"][0]["content"] == [
        {"type": "output_text", "text": "Hi", "annotations": [citation], "logprobs": [logprob]}
    ]
    assert "response.output_text.annotation.added" in [event["type"] for event in events]


def test_an_annotation_without_text_opens_a_message() -> None:
    citation = {"type": "url_citation", "url": "http://a", "title": "", "start_index": 0, "end_index": 1}

    assert built(lambda r: r.annotate([citation]), complete)[-1]["response"]["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("asked", "details", "sealed"),
    [
        pytest.param({}, (), None, id="not-asked-for"),
        pytest.param({"include": ["reasoning.encrypted_content"]}, (), 'sealed:["Hm",[]]', id="text"),
        pytest.param(
            {"include": ["reasoning.encrypted_content"]},
            ({"data": "x", "index": 0}, {"data": "y", "index": 0}),
            'sealed:["Hm",[{"data":"xy","index":0}]]',
            id="details",
        ),
    ],
)
def test_encrypted_content(asked: dict[str, object], details: Sequence[dict[str, object]], sealed: str | None) -> None:
    verbs = [lambda r, piece=piece: r.reasoning_details([piece]) for piece in details]

    assert built(*verbs, think, complete, **asked)[-1]["response"]["output"][0]["encrypted_content"] == sealed


def test_details_alone_are_an_item_only_if_they_are_sealed() -> None:
    def details(response: ResponseBuilder) -> None:
        response.reasoning_details([{"data": "x"}])

    assert built(details, complete)[-1]["response"]["output"] == []
    (sealed,) = built(details, complete, include=["reasoning.encrypted_content"])[-1]["response"]["output"]
    assert (sealed["content"], sealed["encrypted_content"]) == ([], 'sealed:["",[{"data":"x"}]]')


SEALED = {"include": ["reasoning.encrypted_content"]}
SIGNATURE = {"extra_content": {"signature": "s"}}


def signed_call(call_id: str, *, late: bool = False) -> Verbs:
    def verbs(response: ResponseBuilder) -> None:
        state = response.call(FUNCTION, call_id, extra=None if late else SIGNATURE)
        response.arguments(state, "{}")
        if late:
            response.call_extra(state, SIGNATURE)
        response.call_extra(state, SIGNATURE)

    return verbs


@pytest.mark.parametrize(
    ("verbs", "asked", "output"),
    [
        pytest.param([signed_call("a")], SEALED, ["", "a"], id="before its call"),
        pytest.param([think, signed_call("a")], SEALED, ["Hm", "a"], id="with reasoning that goes on"),
        pytest.param([think, say, signed_call("a")], SEALED, ["Hm", "Hello", "", "a"], id="behind the text"),
        pytest.param([signed_call("a"), signed_call("b")], SEALED, ["", "a", "", "b"], id="each"),
        pytest.param([signed_call("a", late=True), say], SEALED, ["a", "Hello", ""], id="late"),
        pytest.param([think, signed_call("a")], {}, ["Hm", "a"], id="not asked for"),
        pytest.param([signed_call("a", late=True)], {}, ["a"], id="late, not asked for"),
    ],
)
def test_reasoning_carries_what_belongs_to_a_call(verbs: list[Verbs], asked: dict[str, Any], output: list[str]) -> None:
    items = built(*verbs, complete, **asked)[-1]["response"]["output"]
    assert [named(item) for item in items] == output
    if asked:
        blobs = [item["encrypted_content"] for item in items if "summary" in item]
        carried = [calls for blob in blobs for calls in json.loads(blob.removeprefix("sealed:"))[2:]]
        assert carried == [{item["call_id"]: SIGNATURE} for item in items if "call_id" in item]


def named(item: dict[str, Any]) -> str:
    if "call_id" in item:
        return str(item["call_id"])
    return "".join(part["text"] for part in item["content"])


@pytest.mark.parametrize("asked", [SEALED, {}])
def test_what_the_bridge_keeps_of_a_turn(asked: dict[str, Any]) -> None:
    response = builder(request(**asked))
    detail = {"type": "t", "data": "x"}
    for verb in (think, say, think, lambda r: r.reasoning_details([detail]), signed_call("a"), call(FUNCTION, "{}")):
        verb(response)
    complete(response)
    kept = response.kept()
    assert kept is not None
    assert kept.thought == Thought("Hm\n\nHm", (detail,), {"a": SIGNATURE})
    assert len(kept.keys) == 2


@pytest.mark.parametrize(
    "verbs", [[say, complete], [think, complete], [think, say, complete], [think, call(FUNCTION, "{}"), fail]]
)
def test_turns_of_which_there_is_nothing_to_keep(verbs: list[Verbs]) -> None:
    response = builder()
    for verb in verbs:
        verb(response)
    assert response.kept() is None


def test_of_a_try_that_was_taken_back_nothing_is_kept() -> None:
    response = builder(request(**SEALED))
    for verb in (think, signed_call("a", late=True)):
        verb(response)
    response.retract(0)
    call(FUNCTION, "{}", call_id="b")(response)
    complete(response)
    assert [named(item) for item in response.response["output"]] == ["b"]
    assert response.kept() is None


def test_nothing_follows_the_end() -> None:
    response = builder()
    response.complete(None)
    response.take()

    response.complete(None)
    response.incomplete("content_filter", None)
    response.fail(BROKEN)

    assert response.take() == []
    assert response.response["status"] == "completed"
    assert response.response["incomplete_details"] is None


def test_a_failure_is_told_to_both_kinds_of_readers() -> None:
    error, failed = built(fail)[-2:]

    assert error["error"] == {"type": "server_error", "code": "server_error", "message": BROKEN.message, "param": None}
    assert (error["code"], error["message"], error["param"]) == ("server_error", BROKEN.message, None)
    assert failed["response"]["error"] == {"code": "server_error", "message": BROKEN.message}


def test_events_are_snapshots() -> None:
    response = builder()
    say(response)
    before = payloads(kept := response.take())
    say(response)
    response.complete(None)

    assert payloads(kept) == before


def test_another_text_may_take_the_place_of_the_models() -> None:
    response = builder()
    response.text_instead("{}")
    response.reasoning("Hm.")
    response.text("``", [{"token": "``"}])
    response.annotate([{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}])
    response.text("`{}```")
    response.complete(None)

    thought, message = response.response["output"]
    assert (thought["type"], message["type"]) == ("reasoning", "message")
    assert message["type"] == "message"
    assert message["content"] == [{"type": "output_text", "text": "{}", "annotations": [], "logprobs": []}]


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (None, (0, 0, 0)),
        (Totals(prompt=3, completion=2), (3, 2, 5)),
        (Totals(prompt=3, completion=2, total=9), (3, 2, 5)),
        (Totals(prompt=3, cached=4), (7, 0, 7)),
        (Totals(completion=26, prompt=307, reasoning=227), (307, 253, 560)),
        (Totals(completion=300, prompt=307, reasoning=227, total=834), (307, 527, 834)),
        (Totals(completion=300, prompt=307, reasoning=227, total=607), (307, 300, 607)),
        (Totals(completion=3, prompt=30, cached=20, total=53), (50, 3, 53)),
        (Totals(completion=3, prompt=30, cached=20, reasoning=2, total=55), (50, 5, 55)),
        (Totals(completion=3, prompt=30, cached=2, reasoning=2, total=35), (30, 5, 35)),
        (Totals(completion=3, prompt=10, cache_write=90), (100, 3, 103)),
        (Totals(prompt=3, total=9), (3, 6, 9)),
        (Totals(completion=3, total=9), (6, 3, 9)),
        (Totals(total=9), (9, 0, 9)),
        (Totals(prompt=9, total=3), (9, 0, 9)),
    ],
)
def test_usage_is_consistent(totals: Totals | None, expected: tuple[int, int, int]) -> None:
    usage = to_usage(totals)

    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == expected


COUNTS = st.integers(0, 50)


@given(st.builds(Totals, *[st.none() | COUNTS] * 3, *[COUNTS] * 3))
def test_usage_always_adds_up(totals: Totals) -> None:
    usage = to_usage(totals)
    into, out = usage["input_tokens_details"], usage["output_tokens_details"]

    assert usage["input_tokens"] >= into["cached_tokens"] == totals.cached
    assert usage["input_tokens"] >= into["cache_write_tokens"] == totals.cache_write
    assert usage["output_tokens"] >= out["reasoning_tokens"] == totals.reasoning
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


VERBS = st.sampled_from(
    [
        say, think, call(FUNCTION, *AB), call(FUNCTION), call(FUNCTION, "{"), call(CUSTOM, '{"input":"x"}'),
        call(CUSTOM, "x"), call(CUSTOM, '{"'), call(SEARCH, '{"query":"q"}'), call(SEARCH, "{"),
        call(FUNCTION, "{}", call_id="a"), lambda r: r.refusal("No"), lambda r: r.text(""), lambda r: r.reasoning(""),
        lambda r: r.reasoning_details([{"data": "x"}]), lambda r: r.service_tier("flex"),
        signed_call("s"), signed_call("", late=True),
        lambda r: r.annotate([{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}]),
    ]
)  # fmt: skip


@given(st.lists(VERBS, max_size=8), st.sampled_from([complete, cut, fail]), st.booleans(), st.booleans())
def test_any_order_of_verbs_makes_a_good_stream(verbs: list[Verbs], end: Verbs, sealed: bool, summary: bool) -> None:
    asked = {"include": ["reasoning.encrypted_content"]} if sealed else {}

    built(*verbs, end, reasoning={"summary": "auto" if summary else None}, **asked)


# --- what the bridge keeps of an answer


def sealed_and_told(include: list[str]) -> tuple[list[Any], list[Any]]:
    """The items as they are stored, and as the client has them."""
    response = builder(request(include=include))
    think(response)
    response.reasoning_details([{"type": "reasoning.encrypted", "data": "x"}])
    state = response.call(FUNCTION, "call_1", extra={"signature": "s"})
    response.arguments(state, "{}")
    response.complete(None)
    return response.stored()["output"], response.response["output"]


def test_reasoning_is_stored_sealed_though_the_client_does_not_ask_for_it() -> None:
    kept, told = sealed_and_told([])
    assert [item.get("encrypted_content") for item in told] == [None, None]
    assert [item["type"] for item in kept] == ["reasoning", "function_call", "reasoning"]
    assert {**kept[0], "encrypted_content": None} == told[0]
    assert '"data":"x"' in kept[0]["encrypted_content"]
    assert kept[1] == told[1]
    assert "signature" in kept[2]["encrypted_content"]
    assert (kept[2]["summary"], kept[2]["content"]) == ([], [])


def test_what_the_client_was_given_sealed_is_stored_as_it_is() -> None:
    kept, told = sealed_and_told(["reasoning.encrypted_content"])
    assert kept == told


def test_reasoning_of_which_there_is_nothing_to_tell_is_stored_where_it_was() -> None:
    response = builder()
    response.reasoning_details([{"type": "reasoning.encrypted", "data": "x"}])
    response.text("Hi")
    response.complete(None)
    assert [item["type"] for item in response.response["output"]] == ["message"]
    assert [item["type"] for item in response.stored()["output"]] == ["reasoning", "message"]


def test_an_answer_that_could_not_be_kept_does_not_say_that_it_was() -> None:
    response = builder()
    say(response)
    response.complete(None)
    events = response.take()
    again = response.not_stored(events)
    assert events[-1].fields["response"]["store"] is True  # type: ignore[index]
    assert again[-1].fields["response"] == {**events[-1].fields["response"], "store": False}  # type: ignore[dict-item]
    assert again[:-1] == events[:-1]
