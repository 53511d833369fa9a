"""What a provider's own Responses endpoint says → what the client hears, whatever the provider's stream lacks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.output import CalledTool
from tests.sdk_models import accumulate
from tests.translate.answers import Answer, request
from tests.translate.native_answers import (
    CREATED,
    added,
    call_events,
    call_item,
    completed,
    done,
    event,
    hello,
    native_answer_to,
    reasoning_item,
    response,
    sse,
    text_events,
    text_item,
    usage,
)

KEEPS = request(include=["reasoning.encrypted_content"])


def answer(*events: Any, **more: Any) -> Answer:
    return native_answer_to([sse(*events)], **more)


def types(answer: Answer) -> list[str]:
    return [event["type"] for event in answer.events]


# --- as it should be


def test_a_stream_as_openai_sends_it() -> None:
    told = native_answer_to([hello()])

    assert types(told) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert told.output == [("text", "Hello.")]
    assert "theirs" not in json.dumps(told.events), "the provider's ids are its own"
    assert told.response["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 29,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@given(data=st.data())
def test_any_cut_gives_the_same_events(end: str, data: st.DataObject) -> None:
    stream = sse(CREATED, *text_events(0, "Hé", "llo."), *call_events(1, '{"a"', ":1}"), completed(), end=end)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
    portions = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert native_answer_to(portions).events == native_answer_to([stream]).events


def test_a_whole_answer_is_told_as_its_stream_is() -> None:
    items = [reasoning_item("Hm."), text_item("Hello."), call_item()]
    whole = native_answer_to([json.dumps(response(*items)).encode()])
    streamed = answer(
        CREATED, *(each for i, item in enumerate(items) for each in (added(i, item), done(i, item))), completed(*items)
    )

    assert whole.response == streamed.response
    assert whole.output == [("reasoning", "Hm."), ("text", "Hello."), ("call", "f", '{"a":1}')]


def test_the_sdk_reads_the_stream() -> None:
    told = answer(CREATED, done(0, HOSTED[0]), *text_events(1, "Hi"), *call_events(2, "{}"), completed())

    assert [item.type for item in accumulate(told.sse())[-1].response.output] == [
        "web_search_call",
        "message",
        "function_call",
    ]


@pytest.mark.parametrize("holder", ["response", "data"])
def test_a_whole_answer_in_an_envelope(holder: str) -> None:
    assert native_answer_to([json.dumps({holder: response(text_item("Hi"))}).encode()]).output == [("text", "Hi")]


def test_a_call_is_done_before_the_answer_is() -> None:
    """Clients run what is done; of parallel calls the first need not wait for the last."""
    told = answer(CREATED, *call_events(0, "{}"), *call_events(1, "{}", call_id="call_2"), completed())

    kinds = types(told)
    first_done, second_added = (
        kinds.index("response.output_item.done"),
        len(kinds) - 1 - kinds[::-1].index("response.output_item.added"),
    )
    assert first_done < second_added
    assert told.output == [("call", "f", "{}"), ("call", "f", "{}")]


def test_two_messages_stay_two_and_keep_their_phase() -> None:
    first, second = {**text_item("Looking."), "phase": "commentary"}, {**text_item("Found."), "phase": "final_answer"}
    told = answer(CREATED, added(0, first), done(0, first), added(1, second), done(1, second), completed())

    assert [(item["phase"], item["content"][0]["text"]) for item in told.response["output"]] == [
        ("commentary", "Looking."),
        ("final_answer", "Found."),
    ]


def test_refusals_logprobs_and_citations() -> None:
    where = {"output_index": 0, "content_index": 0, "item_id": "x"}
    citation = {"type": "url_citation", "url": "https://a.test", "title": None, "start_index": 0, "end_index": 2}
    told = answer(
        CREATED,
        added(0, text_item("")),
        event("output_text.delta", **where, delta="Hi", logprobs=[{"token": "Hi", "logprob": -0.5}]),
        event("output_text.annotation.added", **where, annotation=citation),
        event("output_text.annotation.added", **where, annotation={"type": "strange"}),
        event("refusal.delta", **{**where, "content_index": 1}, delta="No."),
        completed(),
        asked=request(include=["message.output_text.logprobs"]),
        logprobs=True,
    )

    text, refusal = told.response["output"][0]["content"]
    assert text["annotations"] == [{**citation, "title": ""}]
    assert text["logprobs"] == [{"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}]
    assert refusal["refusal"] == "No."


# --- what streams lack


@dataclass
class Case:
    id: str
    events: list[Any]
    output: list[tuple[str, ...]]
    status: str = "completed"
    profile: Profile = field(default_factory=Profile)
    note: str = ""


T = {"output_index": 0, "content_index": 0}

CASES = [
    Case(
        "ids change from event to event",
        [
            CREATED,
            event("output_item.added", item=text_item("", "a")),
            event("output_text.delta", item_id="b", delta="Hel"),
            event("output_text.delta", item_id="c", delta="lo."),
            event("output_item.done", item=text_item("Hello.", "d")),
            completed(text_item("Hello.", "e")),
        ],
        [("text", "Hello.")],
    ),
    Case(
        "no items are announced",
        [event("output_text.delta", delta="Hello."), completed()],
        [("text", "Hello.")],
    ),
    Case("no deltas", [CREATED, done(0, text_item("Hello.")), completed()], [("text", "Hello.")]),
    Case(
        "nothing but the end",
        [completed(text_item("Hello."), call_item())],
        [("text", "Hello."), ("call", "f", '{"a":1}')],
    ),
    Case(
        "the end of the text comes with the item alone",
        [CREATED, event("output_text.delta", **T, delta="Hel"), done(0, text_item("Hello.")), completed()],
        [("text", "Hello.")],
    ),
    Case(
        "the item says something else than was streamed",
        [CREATED, event("output_text.delta", **T, delta="Hello. "), done(0, text_item("Hello.")), completed()],
        [("text", "Hello. ")],
    ),
    Case(
        "the text as done, without deltas and items",
        [CREATED, added(0, text_item("")), event("output_text.done", **T, text="Hello."), completed()],
        [("text", "Hello.")],
    ),
    Case(
        "every item has the index 0",
        [
            CREATED,
            added(0, reasoning_item("Hm.")),
            event("reasoning_summary_text.delta", output_index=0, delta="Hm."),
            done(0, reasoning_item("Hm.")),
            *text_events(0, "Hello."),
            *call_events(0, "{}"),
            *call_events(0, "{}", call_id="call_2", name="g"),
            completed(),
        ],
        [("reasoning", "Hm."), ("text", "Hello."), ("call", "f", "{}"), ("call", "g", "{}")],
    ),
    Case(
        "items are done twice",
        [CREATED, *text_events(0, "Hello."), done(0, text_item("Hello.")), completed(text_item("Hello."))],
        [("text", "Hello.")],
    ),
    Case(
        "thoughts in both forms",
        [
            CREATED,
            event("reasoning_text.delta", output_index=0, delta="Hm."),
            event("reasoning_summary_text.delta", output_index=0, delta="Short."),
            *text_events(1, "Hello."),
            completed(),
        ],
        [("reasoning", "Hm."), ("text", "Hello.")],
    ),
    Case(
        "thoughts in several parts",
        [
            CREATED,
            event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="One."),
            event("reasoning_summary_text.delta", output_index=0, summary_index=1, delta="Two"),
            done(0, reasoning_item("One.", "Two.")),
            completed(),
        ],
        [("reasoning", "One.\n\nTwo.")],
    ),
    Case(
        "arguments as an object",
        [CREATED, done(0, call_item(arguments={"a": 1})), completed()],  # type: ignore[arg-type]
        [("call", "f", '{"a":1}')],
    ),
    Case(
        "the call is named at its end",
        [
            CREATED,
            event("function_call_arguments.delta", output_index=0, delta='{"a":1}'),
            done(0, call_item()),
            completed(),
        ],
        [("call", "f", '{"a":1}')],
    ),
    Case(
        "a call without a name",
        [CREATED, *text_events(0, "Hi"), done(1, call_item(name="")), completed()],
        [("text", "Hi")],
        note="tool call: the model named no tool; the call was dropped",
    ),
    Case(
        "an unknown item",
        [CREATED, *text_events(0, "Hi"), done(1, {"type": "crystal_ball", "id": "x"}), completed()],
        [("text", "Hi")],
        note="output: crystal_ball: items of this type are not converted",
    ),
    Case(
        "a shell in the provider's container is not for the client to run",
        [
            CREATED,
            *text_events(0, "Hi"),
            done(1, {"type": "shell_call", "action": {"commands": ["rm"]}, "environment": {"type": "container_auto"}}),
            completed(),
        ],
        [("text", "Hi")],
        note="output: shell_call: items of this type are not converted",
    ),
    Case(
        "unknown events and lines that are no objects",
        [CREATED, event("queued"), event("hovering.delta", delta="?"), *text_events(0, "Hi"), completed()],
        [("text", "Hi")],
    ),
    Case(
        "no terminal event",
        [CREATED, *text_events(0, "Hello.")],
        [("text", "Hello.", "incomplete")],
        "incomplete: max_output_tokens",
        note="response.completed: the provider's stream ended without saying that it was complete; "
        "the answer may be cut off",
    ),
    Case(
        "no terminal event, and the profile says that this is a failure",
        [CREATED, event("output_text.delta", delta="Hel")],
        [("text", "Hel", "incomplete")],
        "failed",
        Profile(missing_finish="fail"),
    ),
    Case("only a beginning", [CREATED], [], "failed"),
    Case(
        "incomplete",
        [
            CREATED,
            *text_events(0, "Hel"),
            event(
                "incomplete", response=response(incomplete_details={"reason": "max_output_tokens"}, status="incomplete")
            ),
        ],
        [("text", "Hel", "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "filtered, told in an event that says completed",
        [
            CREATED,
            *text_events(0, "Hel"),
            completed(status="incomplete", incomplete_details={"reason": "content_filter"}),
        ],
        [("text", "Hel", "incomplete")],
        "incomplete: content_filter",
    ),
    Case(
        "a call that was cut off",
        [
            CREATED,
            added(0, call_item()),
            event("function_call_arguments.delta", output_index=0, delta='{"a'),
            done(0, {**call_item(arguments='{"a'), "status": "incomplete"}),
            event("incomplete", response=response(status="incomplete")),
        ],
        [("call", "f", '{"a', "incomplete")],
        "incomplete: max_output_tokens",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_what_a_stream_lacks(case: Case) -> None:
    told = answer(*case.events, profile=case.profile)

    assert told.status == case.status
    assert told.output == case.output
    assert [note for note in told.notes if not note.startswith("usage")] == ([case.note] if case.note else [])


def test_done_stands_in_for_the_terminal_event() -> None:
    stream = sse(CREATED, *text_events(0, "Hello.")) + b"data: [DONE]\n\n"

    assert native_answer_to([stream]).status == "completed"


def test_data_without_event_lines() -> None:
    stream = b"".join(
        f"data:{json.dumps(each)}\n\n".encode() for each in (CREATED, *text_events(0, "Hello."), completed())
    )

    assert native_answer_to([b"\n: hello\n\n" + stream]).output == [("text", "Hello.")]


def test_usage_that_nobody_told_is_estimated() -> None:
    told = answer(CREATED, *text_events(0, "Hello there."), completed(usage=None), estimate=50)

    assert told.response["usage"]["input_tokens"] == 50
    assert told.response["usage"]["output_tokens"] > 0
    assert told.notes == ["usage: estimated, the provider told none"]


def test_usage_under_the_names_of_chat() -> None:
    counts = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    told = answer(CREATED, *text_events(0, "Hi"), completed(usage=counts))

    assert (told.response["usage"]["input_tokens"], told.response["usage"]["output_tokens"]) == (7, 3)


def test_the_service_tier() -> None:
    assert answer(CREATED, *text_events(0, "Hi"), completed(service_tier="flex")).response["service_tier"] == "flex"


# --- tools


CUSTOM = {
    "type": "custom_tool_call",
    "id": "ctc_x",
    "call_id": "c1",
    "name": "patch",
    "input": "*** Begin",
    "status": "completed",
}


def test_a_custom_tool_of_the_provider() -> None:
    told = answer(
        CREATED,
        added(0, CUSTOM),
        event("custom_tool_call_input.delta", output_index=0, delta="*** "),
        event("custom_tool_call_input.delta", output_index=0, delta="Begin"),
        done(0, CUSTOM),
        completed(),
    )

    assert told.output == [("custom", "patch", "*** Begin")]


def test_a_custom_tool_that_is_a_function_there() -> None:
    wrapped = call_item("patch", '{"input":"*** Begin"}')
    told = answer(CREATED, done(0, wrapped), completed(), tools={"patch": CalledTool("custom", "patch")})

    assert told.output == [("custom", "patch", "*** Begin")]


def test_a_namespace() -> None:
    told = answer(CREATED, done(0, {**call_item(), "namespace": "files"}), completed())

    assert told.response["output"][0]["namespace"] == "files"


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ({"type": "shell_call", "action": {"commands": ["ls", "pwd"]}}, ("shell", "ls", "pwd")),
        ({"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}}, ("local shell", "ls")),
        (
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a.txt"}},
            ("patch", "delete_file", "a.txt"),
        ),
        (
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "x"}},
            ("search", '{"query": "x"}'),
        ),
    ],
    ids=["shell", "local_shell", "apply_patch", "tool_search"],
)
def test_tools_that_the_client_runs(item: dict[str, Any], output: tuple[str, ...]) -> None:
    told = answer(CREATED, done(0, {**item, "call_id": "c1", "id": "x", "status": "completed"}), completed())

    assert told.output == [output]


HOSTED: list[dict[str, Any]] = [
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "open_page", "url": "https://a.test"},
    },
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["x"], "results": [{"text": "y"}]},
    {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "failed",
        "code": "1/0",
        "container_id": "c",
        "outputs": [],
    },
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
    {
        "type": "mcp_call",
        "id": "mcp_1",
        "status": "completed",
        "server_label": "s",
        "name": "n",
        "arguments": "{}",
        "output": "o",
    },
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [{"name": "n", "input_schema": {}}]},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "n", "arguments": "{}"},
    {
        "type": "computer_call",
        "id": "cu_1",
        "call_id": "c1",
        "status": "completed",
        "pending_safety_checks": [],
        "action": {"type": "wait"},
    },
    {
        "type": "tool_search_call",
        "id": "tsc_1",
        "status": "completed",
        "execution": "server",
        "arguments": {"query": "x"},
    },
    {"type": "tool_search_output", "id": "tso_1", "status": "completed", "execution": "server", "tools": []},
]


@pytest.mark.parametrize("item", HOSTED, ids=[item["type"] for item in HOSTED])
def test_what_the_providers_tools_have_done_is_told_as_it_came(item: dict[str, Any]) -> None:
    """Its id stays, too: an approval names the request it approves."""
    told = answer(CREATED, done(0, item), *text_events(1, "Hi"), completed())

    assert told.response["output"][0] == item


def test_hosted_items_that_lack_what_clients_need() -> None:
    told = answer(
        CREATED, done(0, {"type": "web_search_call"}), done(1, {"type": "mcp_call", "name": None}), completed()
    )

    search, call = told.response["output"]
    assert search == {
        "id": search["id"],
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": ""},
    }
    assert (call["name"], call["arguments"], call["server_label"]) == ("", "", "")


def test_ids_of_hosted_items_are_used_once() -> None:
    item = HOSTED[0]
    told = answer(CREATED, done(0, item), done(1, {**item, "call_id": "another"}), completed(usage=usage()))

    ids = [each["id"] for each in told.response["output"]]
    assert ids[0] == "ws_1"
    assert len(set(ids)) == len(ids)


# --- reasoning for the way back


def test_the_providers_reasoning_item_is_sealed_whole() -> None:
    item = reasoning_item("Hm.", encrypted_content="gAAAA=", content=None, status="completed")
    told = answer(CREATED, done(0, item), *text_events(1, "Hi"), completed(), asked=KEEPS)

    sealed = told.response["output"][0]["encrypted_content"]
    kept = {"id": "rs_theirs", "type": "reasoning", "summary": item["summary"], "encrypted_content": "gAAAA="}
    assert json.loads(sealed.removeprefix("sealed:")) == ["Hm.", [{"type": "response.reasoning", "item": kept}]]


def test_reasoning_that_nothing_is_seen_of_is_sealed_too() -> None:
    told = answer(
        CREATED, done(0, reasoning_item(encrypted_content="gAAAA=")), *text_events(1, "Hi"), completed(), asked=KEEPS
    )

    assert [item["type"] for item in told.response["output"]] == ["reasoning", "message"]


def test_a_summary_alone_cannot_be_handed_back() -> None:
    """Endpoints know an item by its id only if they keep it, and they are told not to."""
    told = answer(CREATED, done(0, reasoning_item("Hm.")), completed(), asked=KEEPS)

    assert json.loads(told.response["output"][0]["encrypted_content"].removeprefix("sealed:")) == ["Hm.", []]


# --- errors


def failed(code: str = "", message: str = "") -> dict[str, Any]:
    error = {"code": code, "message": message} if code else None
    return event("failed", response=response(status="failed", error=error))


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, "rate_limit_exceeded", "slow"),
        (
            {"type": "error", "error": {"message": "too long", "code": "context_length_exceeded"}},
            "context_length_exceeded",
            "too long",
        ),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "server_error", "busy"),
        (failed("server_error", "oh"), "server_error", "oh"),
        (failed(), "server_error", "failed"),
        (failed("insufficient_quota", "no"), "insufficient_quota", "no"),
        (failed("invalid_prompt", "bad"), "invalid_prompt", "bad"),
        ({"type": "strange", "error": "all is lost"}, "server_error", "all is lost"),
    ],
    ids=["flat", "overflow", "nested", "failed", "failed without a reason", "quota", "prompt", "another event"],
)
def test_an_error_in_the_stream(content: dict[str, Any], code: str, words: str) -> None:
    for before in ([], [CREATED, *text_events(0, "Hel")]):
        told = answer(*before, content)

        assert told.status == "failed"
        assert told.response["error"]["code"] == code
        assert words in told.response["error"]["message"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b'{"error":{"message":"no such thing","code":429}}', "rate_limit_exceeded", "no such thing"),
        (b'{"detail":"nothing here"}', "server_error", "nothing here"),
        (b"<html><body>It works!</body></html>", "server_error", "It works!"),
        (b"", "server_error", "empty"),
        (b"  ", "server_error", "empty"),
        (b'{"object":"list"}', "upstream_invalid", "Responses API"),
        (json.dumps(response(status="in_progress")).encode(), "upstream_invalid", "in_progress"),
        (b'data: {"error":{"message":"odd"}}\n\n', "server_error", "odd"),
        (b"event: error\ndata: all is lost\n\n", "server_error", "all is lost"),
        (b'data: {"choices":[]}\n\n', "server_error", "without an answer"),
    ],
    ids=["error", "detail", "html", "nothing", "blank", "something else", "unfinished", "untyped", "words", "chat"],
)
def test_no_answer_at_all(body: bytes, code: str, words: str) -> None:
    told = native_answer_to([body])

    assert told.status == "failed"
    assert told.response["error"]["code"] == code
    assert words in told.response["error"]["message"]


def test_a_connection_that_breaks() -> None:
    stream = sse(CREATED, added(0, text_item("")), event("output_text.delta", **T, delta="Hel"))
    told = native_answer_to([stream], broken_by=ApiError.upstream("gone"))

    assert (told.status, told.output) == ("failed", [("text", "Hel", "incomplete")])


def test_an_event_that_is_too_large() -> None:
    told = native_answer_to([sse(CREATED), b"data: " + b"x" * (17 * 1024 * 1024)])

    assert told.response["error"]["code"] == "upstream_invalid"


@given(
    st.lists(
        st.sampled_from(
            [
                CREATED,
                *text_events(0, "Hi"),
                *call_events(1, '{"a"', ":1}"),
                *call_events(1, "{}", call_id="call_2"),
                done(2, reasoning_item("Hm.", encrypted_content="x")),
                added(2, reasoning_item()),
                event("reasoning_text.delta", item_id="r", delta="Hm"),
                event("custom_tool_call_input.delta", delta="x"),
                done(3, CUSTOM),
                *(done(4, item) for item in HOSTED),
                done(5, {"type": "shell_call", "call_id": "s", "action": {"commands": ["ls"]}}),
                {"type": "error", "message": "oh"},
                completed(),
                completed(text_item("Hi"), call_item(), CUSTOM),
            ]
        ),
        max_size=12,
    )
)
def test_any_order_of_events_gives_one_correct_stream(events: list[dict[str, Any]]) -> None:
    told = answer(*events, asked=KEEPS)

    assert told.events[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
