"""A stored response is told again by the grammar of any stream, and comes out as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.errors import ApiError
from addon.translate.output import CalledTool, ResponseBuilder
from addon.translate.replay import replay
from addon.wire.chat import Totals
from tests.translate.answers import builder, judged, payloads, request

Verbs = Callable[[ResponseBuilder], None]

LOGPROB = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
CITATION = {"type": "url_citation", "url": "https://a.test/", "title": "A", "start_index": 0, "end_index": 1}


def call(kind: str, arguments: str, name: str = "f", namespace: str | None = None) -> Verbs:
    tool = CalledTool(kind, name, namespace)  # type: ignore[arg-type]

    def verbs(response: ResponseBuilder) -> None:
        response.arguments(response.call(tool, ""), arguments)

    return verbs


SAYINGS: dict[str, Verbs] = {
    "text": lambda response: response.text("Hello", [LOGPROB]),
    "refusal": lambda response: response.refusal("No."),
    "reasoning": lambda response: response.reasoning("Hm"),
    "sealed details": lambda response: response.reasoning_details([{"type": "reasoning.encrypted", "data": "x"}]),
    "citation": lambda response: (response.text("As A says."), response.annotate([CITATION]))[0],
    "phase": lambda response: (response.apart(phase="commentary"), response.text("Let me see."))[0],
    "function": call("function", '{"a":1}'),
    "namespace": call("function", "{}", namespace="crm"),
    "no arguments": call("function", ""),
    "custom": call("custom", '{"input":"*** Begin Patch"}'),
    "search": call("tool_search", '{"query":"x"}'),
    "shell": call("shell", '{"commands":["ls"]}'),
    "local shell": call("local_shell", '{"command":["ls"]}'),
    "patch": call("apply_patch", '{"operation":{"type":"delete_file","path":"a"}}'),
    "web search": lambda response: response.searched(["https://a.test/"]),
    "image": lambda response: response.verbatim({"type": "image_generation_call", "result": "aGk="}),
    "failed image": lambda response: response.verbatim({"type": "image_generation_call", "status": "failed"}),
    "program": lambda response: response.verbatim({"type": "code_interpreter_call", "outputs": [], "code": "1"}),
    "tools": lambda response: response.verbatim({"type": "mcp_list_tools", "server_label": "s", "tools": []}),
}
ENDS: dict[str, Verbs] = {
    "completed": lambda response: response.complete(Totals(prompt=1, completion=2)),
    "incomplete": lambda response: response.incomplete("max_output_tokens", Totals(prompt=1, completion=2)),
    "failed": lambda response: response.fail(ApiError.upstream("gone")),
}


def assert_told_again(sayings: Sequence[str], end: str, **asked: object) -> None:
    response = builder(request(**asked))
    for saying in sayings:
        SAYINGS[saying](response)
    ENDS[end](response)
    live = judged(payloads(response.take()))
    again = judged(payloads(replay(response.response)))
    assert again[-1] == {**live[-1], "sequence_number": again[-1]["sequence_number"]}
    assert _without_deltas(again) == _without_deltas(live)


def _without_deltas(events: Sequence[dict[str, Any]]) -> list[tuple[str, object]]:
    """Type and item of each event but the deltas, which may be fewer, and but those of items that were left open."""
    done = {item["id"] for item in events[-1]["response"]["output"]}
    told = [event for event in events if not event["type"].endswith(".delta") and _item_id(event) in {None, *done}]
    return [(event["type"], event["item"] if event["type"].endswith("item.done") else None) for event in told]


def _item_id(event: dict[str, Any]) -> str | None:
    item_id: str | None = event.get("item", {}).get("id") or event.get("item_id")
    return item_id


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("saying", SAYINGS)
def test_each_kind_of_item(saying: str, end: str) -> None:
    assert_told_again([saying], end, include=["reasoning.encrypted_content", "message.output_text.logprobs"])


def test_a_summary_is_told_as_one() -> None:
    assert_told_again(["reasoning", "text"], "completed", reasoning={"summary": "auto"})


def test_a_compaction() -> None:
    response = builder()
    response.compaction("sealed")
    response.text("Hi")
    response.complete(None)
    live = judged(payloads(response.take()))
    assert judged(payloads(replay(response.response))) == live


@given(sayings=st.lists(st.sampled_from(list(SAYINGS)), max_size=6), end=st.sampled_from(list(ENDS)))
def test_any_answer(sayings: Sequence[str], end: str) -> None:
    assert_told_again(sayings, end, include=["reasoning.encrypted_content"])


def test_the_stream_of_a_cancelled_response_just_ends() -> None:
    response = builder()
    response.text("Hi")
    response.complete(None)
    events = replay({**response.response, "status": "cancelled"})
    assert events[-1].type == "response.output_item.done"
    assert events[0].fields["response"]["status"] == "in_progress"  # type: ignore[index]
