"""Scenarios C: calls of tools."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.provider import Behaviour, Reply, call_chunks, chunk, event, sends_json, streams
from tests.end_to_end.scenarios.conftest import Driver, Object, call_item, piece, result_item, tells, tool, user

FINISH = chunk(finish="tool_calls")
TOOLS = [tool("ls"), tool("cat")]
PATH = '{"path":"a.txt"}'


def pieces(*deltas: Object) -> Behaviour:
    """A stream of these deltas that ends as calls do."""
    return tells(*map(chunk, deltas), FINISH)


def text(content: str) -> Object:
    return {"content": content}


# --- which piece belongs to which call


def test_c1_a_call(ask: Driver) -> None:
    outcome = ask(
        pieces(piece(id="call_1", name="ls", arguments=""), piece(arguments='{"pa'), piece(arguments='th":"a.txt"}')),
        tools=TOOLS,
    ).completed()

    assert outcome.calls == [("ls", PATH)]
    assert outcome.output[0]["call_id"] == "call_1"
    assert outcome.deltas("response.function_call_arguments.delta") == ['{"pa', 'th":"a.txt"}']


def test_c2_a_call_in_one_chunk(ask: Driver) -> None:
    whole = chunk(piece(id="call_1", name="ls", arguments=PATH), finish="tool_calls")

    outcome = ask(tells(whole), tools=TOOLS).completed()

    assert [each["type"] for each in outcome.events][2:] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert outcome.calls == [("ls", PATH)]


def test_c3_calls_whose_pieces_alternate(ask: Driver) -> None:
    outcome = ask(
        pieces(
            piece(0, id="call_1", name="ls", arguments=""),
            piece(1, id="call_2", name="cat", arguments=""),
            piece(0, arguments='{"path":'),
            piece(1, arguments='{"path":"b'),
            piece(0, arguments='"a.txt"}'),
            piece(1, arguments='.txt"}'),
        ),
        tools=TOOLS,
    ).completed()

    assert outcome.calls == [("ls", PATH), ("cat", '{"path":"b.txt"}')]
    assert [item["call_id"] for item in outcome.output] == ["call_1", "call_2"]


@pytest.mark.parametrize("finish", ["stop", "end_turn", "eos", None])
def test_c4_another_finish(ask: Driver, finish: str | None) -> None:
    outcome = ask(tells(chunk(piece(id="call_1", name="ls", arguments=PATH)), chunk(finish=finish)), tools=TOOLS)

    assert outcome.completed().calls == [("ls", PATH)]


@pytest.mark.parametrize("function", [{"name": ""}, {"name": None}, {}], ids=["empty-name", "null-name", "no-name"])
@pytest.mark.parametrize("call_id", [{"id": ""}, {"id": None}, {}], ids=["empty-id", "null-id", "no-id"])
def test_c5_continuations_that_say_nothing(ask: Driver, function: Object, call_id: Object) -> None:
    more = {"tool_calls": [{"index": 0, **call_id, "function": {**function, "arguments": '"a.txt"}'}}]}

    outcome = ask(pieces(piece(id="call_1", name="ls", arguments='{"path":'), more), tools=TOOLS).completed()

    assert outcome.calls == [("ls", PATH)]
    assert outcome.output[0]["call_id"] == "call_1"


def test_c6_id_and_name_on_every_piece(ask: Driver) -> None:
    said = [piece(id="call_1", name="ls", arguments=part) for part in ('{"path"', ":", '"a.txt"}')]

    assert ask(pieces(*said), tools=TOOLS).completed().calls == [("ls", PATH)]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(
            [
                piece(None, id="call_1", name="ls", arguments='{"path":'),
                piece(None, arguments='"a.txt"}'),
                piece(None, id="call_2", name="cat", arguments='{"path":'),
                piece(None, arguments='"a.txt"}'),
            ],
            id="in-pieces",
        ),
        pytest.param(
            [piece(None, id="call_1", name="ls", arguments=PATH), piece(None, id="call_2", name="cat", arguments=PATH)],
            id="whole",
        ),
        pytest.param(
            [
                {
                    "tool_calls": [
                        *piece(None, id="call_1", name="ls", arguments=PATH)["tool_calls"],
                        *piece(None, id="call_2", name="cat", arguments=PATH)["tool_calls"],
                    ]
                }
            ],
            id="in-one-delta",
        ),
    ],
)
def test_c7_no_index(ask: Driver, said: list[Object]) -> None:
    outcome = ask(pieces(*said), tools=TOOLS).completed()

    assert outcome.calls == [("ls", PATH), ("cat", PATH)]
    assert [item["call_id"] for item in outcome.output] == ["call_1", "call_2"]


def test_c8_an_index_used_again(ask: Driver) -> None:
    outcome = ask(
        pieces(
            piece(0, id="call_1", name="ls", arguments='{"path":'),
            piece(0, arguments='"a.txt"}'),
            piece(0, id="call_2", name="ls", arguments='{"path":'),
            piece(0, arguments='"b.txt"}'),
        ),
        tools=TOOLS,
    ).completed()

    assert outcome.calls == [("ls", PATH), ("ls", '{"path":"b.txt"}')]


@pytest.mark.parametrize("indices", [(1, 2), (0, 2), (2, 0)], ids=str)
def test_c9_indices_with_gaps(ask: Driver, indices: tuple[int, int]) -> None:
    first, second = indices

    outcome = ask(
        pieces(
            piece(first, id="call_1", name="ls", arguments=""),
            piece(second, id="call_2", name="cat", arguments=""),
            piece(first, arguments=PATH),
            piece(second, arguments="{}"),
        ),
        tools=TOOLS,
    ).completed()

    assert outcome.calls == [("ls", PATH), ("cat", "{}")]


@pytest.mark.parametrize("call_id", [None, ""], ids=["absent", "empty"])
def test_c10_no_id(ask: Driver, call_id: str | None) -> None:
    outcome = ask(pieces(piece(id=call_id, name="ls", arguments=PATH)), tools=TOOLS).completed()

    made = outcome.output[0]["call_id"]
    assert made
    histories = [
        ask(input=[user("Hi"), *outcome.output, result_item(made), *more], tools=TOOLS).history
        for more in ([], [user("Go on.")])
    ]
    assert histories[1][:3] == histories[0], "the id is the same in each of the following requests"
    assert histories[0][1]["tool_calls"][0]["id"] == histories[0][2]["tool_call_id"]


def test_c10_one_id_for_two_calls(ask: Driver) -> None:
    both = [piece(0, id="same", name="ls", arguments=PATH), piece(1, id="same", name="cat", arguments="{}")]

    outcome = ask(pieces(*both), tools=TOOLS).completed()

    assert outcome.calls == [("ls", PATH), ("cat", "{}")]
    first, second = (item["call_id"] for item in outcome.output)
    assert first != second
    results = [result_item(second, "of cat"), result_item(first, "of ls")]
    messages = ask(input=[user("Hi"), *outcome.output, *results], tools=TOOLS).history
    names = {call["id"]: call["function"]["name"] for call in messages[1]["tool_calls"]}
    assert {names[message["tool_call_id"]]: message["content"] for message in messages[2:]} == {
        "ls": "of ls",
        "cat": "of cat",
    }


def test_c11_the_name_comes_late(ask: Driver) -> None:
    late = [piece(id="call_1"), piece(arguments='{"path":'), piece(name="ls"), piece(arguments='"a.txt"}')]

    assert ask(pieces(*late), tools=TOOLS).completed().calls == [("ls", PATH)]


def test_c11_the_name_never_comes(ask: Driver) -> None:
    """A turn that ended well, with nothing in it, would end an agent's run silently."""
    ask(pieces(piece(id="call_1", arguments=PATH)), tools=TOOLS).failed()


def test_c11_the_name_never_comes_beside_text(ask: Driver) -> None:
    outcome = ask(pieces(text("Let me see."), piece(id="call_1", arguments=PATH)), tools=TOOLS).completed()

    assert outcome.kinds == ["message"]


def test_c11_the_name_never_comes_for_want_of_tokens(ask: Driver) -> None:
    said = [chunk(piece(id="call_1", arguments='{"pa')), chunk(finish="length")]

    assert ask(tells(*said), tools=TOOLS).incomplete().output == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({"arguments": None}, "{}", id="null"),
        pytest.param({}, "{}", id="missing"),
        pytest.param({"arguments": ""}, "{}", id="empty"),
        pytest.param({"arguments": {"path": "a.txt"}}, PATH, id="object"),
        pytest.param({"arguments": {}}, "{}", id="empty-object"),
    ],
)
@pytest.mark.parametrize("form", ["stream", "completion"])
def test_c12_arguments_that_are_no_text(ask: Driver, form: str, arguments: Object, expected: str) -> None:
    calls = {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "ls", **arguments}}]}
    message = {"index": 0, "message": {"role": "assistant", "content": None, **calls}, "finish_reason": "tool_calls"}
    behaviour = pieces(calls) if form == "stream" else sends_json({"object": "chat.completion", "choices": [message]})

    ((name, said),) = ask(behaviour, tools=TOOLS).completed().calls

    assert name == "ls"
    assert json.loads(said) == json.loads(expected)


@pytest.mark.parametrize("more", [[" ", "\n"], ["", "  "]])
def test_c13_arguments_that_could_be_the_end(ask: Driver, more: list[str]) -> None:
    said = [piece(id="call_1", name="ls", arguments=PATH), *(piece(arguments=part) for part in more), text("Done.")]

    outcome = ask(pieces(*said), tools=TOOLS).completed()

    ((_, arguments),) = outcome.calls
    assert json.loads(arguments) == json.loads(PATH)
    types = [each["type"] for each in outcome.events]
    assert types.count("response.function_call_arguments.done") == 1


def test_c13_empty_arguments_that_go_on(ask: Driver) -> None:
    """Some servers begin every call with `{}`. To run it with these would be wrong, whatever the rest is taken for."""
    said = [piece(id="call_1", name="ls", arguments="{}"), piece(arguments=PATH)]

    outcome = ask(pieces(*said), tools=TOOLS)

    ((_, arguments),) = outcome.calls
    assert arguments != "{}"
    assert arguments == PATH or outcome.final["status"] == "incomplete"


@pytest.mark.parametrize("finish", ["length", "tool_calls", "stop"])
def test_c14_arguments_cut_off(ask: Driver, finish: str) -> None:
    said = [piece(id="call_1", name="ls", arguments='{"path":'), piece(arguments='"a.t')]

    outcome = ask(tells(*map(chunk, said), chunk(finish=finish)), tools=TOOLS).incomplete()

    for call in outcome.items("function_call"):
        assert call["status"] == "incomplete"
        with pytest.raises(ValueError):
            json.loads(call["arguments"])


def test_c15_text_call_text(ask: Driver) -> None:
    said = [text("Let me see."), piece(id="call_1", name="ls", arguments=PATH), text("I am looking.")]

    outcome = ask(pieces(*said), tools=TOOLS).completed()

    assert outcome.kinds == ["message", "function_call", "message"]
    assert [item["content"][0]["text"] for item in outcome.items("message")] == ["Let me see.", "I am looking."]


def test_c16_the_old_function_call(ask: Driver) -> None:
    said = [{"name": "ls", "arguments": ""}, {"arguments": '{"path":'}, {"arguments": '"a.txt"}'}]
    deltas = [chunk({"role": "assistant", "content": None, "function_call": each}) for each in said]

    outcome = ask(tells(*deltas, chunk(finish="function_call")), tools=TOOLS).completed()

    assert outcome.calls == [("ls", PATH)]
    assert outcome.output[0]["call_id"]


def test_c16_the_old_function_call_in_a_whole_answer(ask: Driver) -> None:
    message = {"role": "assistant", "content": None, "function_call": {"name": "ls", "arguments": PATH}}
    choice = {"index": 0, "message": message, "finish_reason": "function_call"}

    assert ask(sends_json({"object": "chat.completion", "choices": [choice]})).completed().calls == [("ls", PATH)]


def test_c17_a_name_nobody_declared(ask: Driver) -> None:
    outcome = ask(pieces(piece(id="call_1", name="guess", arguments="{}")), tools=TOOLS).completed()

    assert outcome.calls == [("guess", "{}")]


def test_c17_a_name_that_was_shortened(ask: Driver) -> None:
    long = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_longer_one_" * 4

    def behave(reply: Reply) -> None:
        offered = reply.received.body["tools"][0]["function"]["name"]
        assert len(offered) <= 64
        pieces(piece(id="call_1", name=offered, arguments=PATH))(reply)

    outcome = ask(behave, tools=[tool(long)]).completed()

    assert outcome.calls == [(long, PATH)]
    again = ask(input=[user("Hi"), *outcome.output, result_item("call_1")], tools=[tool(long)])
    assert again.history[1]["tool_calls"][0]["function"]["name"] == again.sent["tools"][0]["function"]["name"]


MARKUP = {
    "hermes": '<tool_call>\n{"name": "ls", "arguments": {"path": "a.txt"}}\n</tool_call>',
    "glm": "<tool_call>ls\n<arg_key>path</arg_key>\n<arg_value>a.txt</arg_value>\n</tool_call>",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.ls:0<|tool_call_argument_begin|>"
    '{"path": "a.txt"}<|tool_call_end|><|tool_calls_section_end|>',
    "dsml": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="ls">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    "cut-off": '<tool_call>\n{"name": "ls", "argu',
}


@pytest.mark.parametrize("markup", MARKUP.values(), ids=MARKUP)
def test_c18_markup_in_the_text(ask: Driver, markup: str) -> None:
    said = [text("Let me see. "), *(text(markup[at : at + 5]) for at in range(0, len(markup), 5))]

    outcome = ask(tells(*map(chunk, said), chunk(finish="stop")), tools=TOOLS).completed()

    assert outcome.kinds == ["message"]
    assert outcome.text == f"Let me see. {markup}"


OPENAI_ID = "call_" + "aB3" * 11 + "xy"
LONG_ID = "fc_" + "z9" * 30 + "Q"


@pytest.mark.parametrize(
    ("at", "limit"),
    [
        pytest.param("mistral", range(9, 10), id="9"),
        pytest.param("short-ids", range(1, 41), id="40"),
        pytest.param("generic", range(1, 65), id="64"),
    ],
)
@pytest.mark.parametrize("call_id", [OPENAI_ID, LONG_ID, LONG_ID + "-" + LONG_ID], ids=["40", "64", "128"])
def test_c19_ids_of_clients(ask: Driver, at: str, limit: range, call_id: str) -> None:
    items = [user("Hi"), call_item(call_id), result_item(call_id)]

    first = ask(at=at, input=items).history
    later = ask(at=at, input=[*items, {"role": "assistant", "content": "One file."}, user("Which?")]).history

    told = first[1]["tool_calls"][0]["id"]
    assert len(told) in limit
    assert first[2]["tool_call_id"] == told
    assert later[:3] == first
    assert told == call_id or len(call_id) not in limit


@pytest.mark.parametrize(
    ("at", "call_id"),
    [("mistral", "aB3dE6gH9"), ("short-ids", OPENAI_ID), ("generic", LONG_ID)],
    ids=["9", "40", "64"],
)
def test_c19_ids_of_providers(ask: Driver, at: str, call_id: str) -> None:
    """What a provider has called it, it is called again."""
    outcome = ask(streams(*map(event, call_chunks((call_id, "ls", PATH)))), at=at, tools=TOOLS).completed()

    items = [user("Hi"), *outcome.output, result_item(outcome.output[0]["call_id"])]
    messages = ask(at=at, input=items, tools=TOOLS).history

    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == call_id
