"""Items on their way into the store, and out of it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from addon.state.items import shown_items, stored
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import Item, read_item, read_request


def items_of(*items: object) -> list[Item]:
    return read_request(dumps({"input": list(items)}).encode()).items()


def kept(*items: object, history: tuple[object, ...] = ()) -> list[JsonObject]:
    numbers = itertools.count(1)
    return stored(items_of(*items), lambda prefix: f"{prefix}_{next(numbers)}", items_of(*history))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "user", "content": "Hi", "id": "msg_1"},
            id="a message without a type",
        ),
        pytest.param(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi", "odd": 1}], "id": "m"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi", "odd": 1}], "id": "m"},
            id="a message with an id, and what nobody knows",
        ),
        pytest.param(
            {"type": "function_call_output", "call_id": "c", "output": "x", "id": None},
            {"type": "function_call_output", "call_id": "c", "output": "x", "id": "fco_1"},
            id="an output",
        ),
        pytest.param({"type": "tape", "length": 3}, {"type": "tape", "length": 3, "id": "item_1"}, id="unknown"),
        pytest.param(
            {"type": "additional_tools", "tools": [{"type": "function", "name": "f", "parameters": {"a": 1}}]},
            {
                "type": "additional_tools",
                "tools": [{"type": "function", "name": "f", "parameters": {"a": 1}}],
                "id": "item_1",
            },
            id="tools",
        ),
    ],
)
def test_an_item_is_kept_as_it_was_sent_with_an_id(sent: JsonObject, expected: JsonObject) -> None:
    assert kept(sent) == [expected]


def test_a_request_for_a_summary_is_not_kept() -> None:
    assert kept({"type": "compaction_trigger"}) == []


@pytest.mark.parametrize("names", ["call_1", "lsh_1"], ids=["call id", "id of the item"])
def test_the_output_of_a_local_shell_keeps_to_its_call(names: str) -> None:
    action = {"type": "exec", "command": ["ls"], "env": {}}
    call = {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "action": action}
    output = {"type": "local_shell_call_output", "id": names, "output": "a"}
    (one,) = kept(output, history=(call,))
    assert (one["id"], one["call_id"]) == ("lsho_1", "call_1")
    assert kept(call, output)[1]["call_id"] == "call_1"


def test_reading_what_was_kept_gives_the_same() -> None:
    sent: list[Any] = [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a", "outcome": {"type": "timeout"}}]},
    ]
    for before, after in zip(items_of(*sent), kept(*sent), strict=True):
        read = read_item(after).model_dump(exclude_unset=True)
        assert {**read, "id": None} == {**before.model_dump(exclude_unset=True), "type": before.type, "id": None}


def test_seals_are_shown_to_those_who_ask_for_them() -> None:
    bare: JsonObject = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    told: JsonObject = {**bare, "id": "rs_2", "content": [{"type": "reasoning_text", "text": "Hm"}]}
    assert shown_items([bare, told], ()) == [{**told, "encrypted_content": None}]
    assert shown_items([bare, told], {"reasoning.encrypted_content"}) == [bare, told]
