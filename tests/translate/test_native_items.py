"""A provider's function call → the item of a shell or patch tool, told when it can be run, or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.errors import ApiError
from addon.translate.output import CalledTool
from addon.wire.responses import read_item
from tests.sdk_models import accumulate, retrieve
from tests.translate.answers import DONE, Answer, answer_to, call, chunk, completion, request, text

TOOLS = {kind: CalledTool(kind, kind) for kind in ("shell", "local_shell", "apply_patch")}
"""Under their own names in chat; that they may have others is the registry's affair."""

PATCH = {"operation": {"type": "update_file", "path": "a.py", "diff": "@@ def f():\n-x\n+y\n"}}


def streamed(tool: str, *pieces: str, finish: str | None = "tool_calls") -> Answer:
    portions = [call(id="call_1", name=tool, arguments=""), *(call(arguments=piece) for piece in pieces)]
    return answer_to([*portions, chunk({}, finish), DONE], tools=TOOLS)


@dataclass
class Case:
    tool: str
    arguments: object
    type: str
    fields: dict[str, object]


CASES = [
    Case(
        "shell",
        {"commands": ["ls", "pwd"], "timeout_ms": 5000},
        "shell_call",
        {
            "action": {"commands": ["ls", "pwd"], "timeout_ms": 5000, "max_output_length": None},
            "environment": None,
        },
    ),
    Case(
        "local_shell",
        {"command": ["ls", "-l"], "workdir": "/tmp"},
        "local_shell_call",
        {
            "action": {
                "type": "exec",
                "command": ["ls", "-l"],
                "env": {},
                "timeout_ms": None,
                "user": None,
                "working_directory": "/tmp",
            }
        },
    ),
    Case("apply_patch", PATCH, "apply_patch_call", PATCH),
    Case(
        "apply_patch",
        {"operation": {"type": "delete_file", "path": "a.py"}},
        "apply_patch_call",
        {"operation": {"type": "delete_file", "path": "a.py"}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tool)
def test_the_call_is_an_item_of_its_own_kind(case: Case) -> None:
    answer = streamed(case.tool, *json.dumps(case.arguments))
    (item,) = answer.response["output"]
    assert item == {
        "id": item["id"],
        "type": case.type,
        "status": "completed",
        "call_id": "call_1",
        **case.fields,
    }
    assert answer.status == "completed"
    assert not answer.notes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tool)
def test_it_is_told_in_two_events(case: Case) -> None:
    events = streamed(case.tool, json.dumps(case.arguments)).events
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    added, done = events[2]["item"], events[3]["item"]
    assert (added["status"], done["status"]) == ("in_progress", "completed")
    assert {**added, "status": None} == {**done, "status": None}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tool)
def test_a_client_reads_it(case: Case) -> None:
    answer = streamed(case.tool, json.dumps(case.arguments))
    assert accumulate(answer.sse())[-1].response.output[0].type == case.type
    assert retrieve(json.dumps(answer.response).encode()).output[0].type == case.type


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tool)
def test_a_whole_answer_gives_the_same(case: Case) -> None:
    function = {"name": case.tool, "arguments": json.dumps(case.arguments)}
    message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    whole = answer_to([completion(message, "tool_calls")], tools=TOOLS)
    assert whole.response["output"] == streamed(case.tool, function["arguments"]).response["output"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tool)
def test_the_item_can_be_sent_back(case: Case) -> None:
    (item,) = streamed(case.tool, json.dumps(case.arguments)).response["output"]
    assert read_item(item).type == case.type


NOT_RUN: Sequence[tuple[str, str]] = [
    ("shell", ""),
    ("shell", "{}"),
    ("shell", '{"commands":[]}'),
    ("shell", '{"commands":["ls"]'),
    ("shell", "ls -l"),
    ("shell", '"ls"'),
    ("local_shell", '{"command":[1]}'),
    ("apply_patch", '{"operation":{"type":"update_file","path":"a.py"}}'),
    ("apply_patch", '{"operation":{"type":"rename_file","path":"a.py"}}'),
    ("apply_patch", "*** Begin Patch\n*** End Patch"),
]


@pytest.mark.parametrize(("tool", "arguments"), NOT_RUN)
def test_what_cannot_be_run_is_not_told_and_the_answer_says_so(tool: str, arguments: str) -> None:
    answer = streamed(tool, arguments)
    assert answer.response["output"] == []
    assert answer.status == "incomplete: max_output_tokens"


def test_what_was_said_beside_it_is_kept() -> None:
    portions = [text("Let me see."), call(id="a", name="shell", arguments='{"commands":["ls"]}')]
    portions.append(call(1, id="b", name="shell", arguments='{"commands":'))
    answer = answer_to([*portions, chunk({}, "length"), DONE], tools=TOOLS)
    assert answer.output == [("text", "Let me see."), ("shell", "ls")]
    assert answer.status == "incomplete: max_output_tokens"


@given(st.integers(0, len(json.dumps(PATCH)) - 1))
def test_no_part_of_a_patch_is_ever_told(cut: int) -> None:
    answer = streamed("apply_patch", json.dumps(PATCH)[:cut], finish="length")
    assert answer.response["output"] == []
    assert answer.status == "incomplete: max_output_tokens"


def test_a_stream_that_breaks_off_tells_no_call() -> None:
    portions = [call(id="call_1", name="shell", arguments='{"commands":["rm -rf build"]}')]
    answer = answer_to(portions, tools=TOOLS, broken_by=ApiError.upstream("acme closed the connection."))
    assert (answer.status, answer.output) == ("failed", [])


def test_the_tools_are_echoed() -> None:
    tools = [{"type": "shell", "environment": {"type": "local"}}, {"type": "local_shell"}, {"type": "apply_patch"}]
    asked = request(tools=tools, tool_choice={"type": "shell"})
    response = answer_to([text("Hi", "stop"), DONE], asked=asked).response
    assert (response["tools"], response["tool_choice"]) == (tools, {"type": "shell"})
