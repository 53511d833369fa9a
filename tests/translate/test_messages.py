from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from addon.providers.profile import Profile, ToolIdRule
from addon.translate.errors import ApiError
from addon.translate.messages import to_messages
from addon.translate.notes import Notes
from addon.translate.reasoning import Sealed, seal
from addon.wire.responses import read_request
from tests.translate.histories import IMAGE, KEY, MEMORY, ORIGIN, PROFILES, PlainNames, items_of
from tests.translate.valid_history import assert_valid_history

CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"

Value = dict[str, Any]


def user(content: object) -> Value:
    return {"role": "user", "content": content}


def said(content: object) -> Value:
    return {"role": "assistant", "content": content}


def system(content: object) -> Value:
    return {"role": "system", "content": content}


def call(call_id: str, arguments: str = "{}", name: str = "run", **more: object) -> Value:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def output(call_id: str, content: object = "ok") -> Value:
    return {"type": "function_call_output", "call_id": call_id, "output": content}


def thought(text: str = "hm", origin: str = ORIGIN, details: tuple[Value, ...] = ()) -> Value:
    return {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed(text, details, origin), KEY)}


def calls(*pairs: tuple[str, str] | str, content: object = None, name: str = "run", **more: object) -> Value:
    """The message of the model that makes calls, each given as an id or as id and arguments."""
    made = [
        {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, arguments in (pair if isinstance(pair, tuple) else (pair, "{}") for pair in pairs)
    ]
    return {"role": "assistant", "content": content, **more, "tool_calls": made}


def result(call_id: str, content: object = "ok", **more: object) -> Value:
    return {"role": "tool", "tool_call_id": call_id, **more, "content": content}


def image(**more: object) -> Value:
    return {"type": "input_image", "image_url": IMAGE, **more}


def chat_image(**more: object) -> Value:
    return {"type": "image_url", "image_url": {"url": IMAGE, **more}}


def text(value: str) -> Value:
    return {"type": "text", "text": value}


def input_text(value: str) -> Value:
    return {"type": "input_text", "text": value}


@dataclass(frozen=True)
class Case:
    id: str
    items: Sequence[Value]
    messages: Sequence[Value]
    profile: Value = field(default_factory=dict)
    instructions: str | None = None
    notes: Sequence[str] = ()
    """What each note is about."""


def run(case: Case) -> tuple[list[Value], list[str]]:
    notes = Notes()
    messages = to_messages(
        items_of(case.items),
        instructions=case.instructions,
        names=PlainNames(),
        profile=Profile(**case.profile),
        origin=ORIGIN,
        notes=notes,
        memory=MEMORY,
    )
    assert_valid_history(messages, Profile(**case.profile))
    return [dict(message) for message in messages], [note.what for note in notes]


TURNS = [
    Case("a string is the user's", [user("Hi")], [user("Hi")]),
    Case(
        "parallel calls are one message",
        [user("Go"), call("a"), call("b"), output("a", "1"), output("b", "2")],
        [user("Go"), calls("a", "b"), result("a", "1"), result("b", "2")],
    ),
    Case(
        "calls one after the other are two messages",
        [user("Go"), call("a"), output("a", "1"), call("b"), output("b", "2")],
        [user("Go"), calls("a"), result("a", "1"), calls("b"), result("b", "2")],
    ),
    Case(
        "text before, between and behind calls shares their message",
        [said("One."), call("a"), said("Two."), call("b"), said("Three."), output("a"), output("b")],
        [calls("a", "b", content="One.\n\nTwo.\n\nThree."), result("a"), result("b")],
    ),
    Case("assistant messages in a row are one", [user("Go"), said("A"), said("B")], [user("Go"), said("A\n\nB")]),
    Case("empty assistant messages vanish", [user("Go"), said("")], [user("Go")], notes=["input: message"]),
    Case(
        "what an answer said in several parts is one text",
        [said([{"type": "output_text", "text": "A"}, {"type": "output_text", "text": "B"}])],
        [said("AB")],
    ),
    Case(
        "a refusal is what the assistant said",
        [said([{"type": "refusal", "refusal": "I cannot."}]), user("Why?")],
        [said("I cannot."), user("Why?")],
    ),
    Case(
        "results follow the order of the calls",
        [call("a"), call("b"), output("b", "2"), output("a", "1")],
        [calls("a", "b"), result("a", "1"), result("b", "2")],
    ),
    Case(
        "what stands between a call and its result waits",
        [call("a"), user("Wait"), {"role": "developer", "content": "Stop"}, output("a"), user("Go")],
        [calls("a"), result("a"), user("Wait"), user("[system instruction]\nStop"), user("Go")],
    ),
    Case(
        "a call without a result was aborted",
        [call("a"), call("b"), output("b"), user("Again")],
        [calls("a", "b"), result("a", "aborted"), result("b"), user("Again")],
        notes=["input: call without a result"],
    ),
    Case(
        "a call answered turns later is answered in its place",
        [call("a"), user("And?"), said("Wait"), user("Still?"), output("a", "late")],
        [calls("a"), result("a", "late"), user("And?"), said("Wait"), user("Still?")],
    ),
    Case(
        "a result that came before its call",
        [output("a", "early"), user("Go"), call("a")],
        [user("Go"), calls("a"), result("a", "early")],
    ),
    Case(
        "a result without a call is told by the user, its image included",
        [user("Go"), output("x", [input_text("seen"), image()])],
        [user("Go"), user([text("Result of tool call x:\nseen"), chat_image()])],
        notes=["input: result without a call"],
    ),
    Case(
        "a result without an id belongs to the only open call",
        [call("a"), call("b"), output("a", "1"), output("", "2")],
        [calls("a", "b"), result("a", "1"), result("b", "2")],
    ),
    Case(
        "a result without an id and several open calls",
        [call("a"), call("b"), output("", "whose?"), output("a"), output("b")],
        [calls("a", "b"), result("a"), result("b"), user("Result of tool call (unknown):\nwhose?")],
        notes=["input: result without a call"],
    ),
    Case(
        "calls without ids get some",
        [call(""), call("", '{"n":2}'), output("", "1"), output("", "2")],
        [calls("call_1", ("call_2", '{"n":2}')), result("call_1", "1"), result("call_2", "2")],
    ),
    Case(
        "several results of one call are one",
        [call("a"), call("b"), output("a", "1"), output("b", "x"), output("a", "2")],
        [calls("a", "b"), result("a", "1\n2"), result("b", "x")],
    ),
    Case(
        "a further result after the model went on is told by the user",
        [call("a"), output("a", "1"), call("b"), output("a", "2"), output("b")],
        [calls("a"), result("a", "1"), calls("b"), result("b"), user("Further result of tool call a:\n2")],
        notes=["input: result without a call"],
    ),
    Case(
        "the same call twice is one call",
        [call("a"), call("a"), output("a")],
        [calls("a"), result("a")],
        notes=["input: repeated call"],
    ),
    Case(
        "another call of the same id is another call",
        [call("a"), call("a", '{"n":2}'), output("a", "1"), output("a", "2")],
        [calls("a", ("a_2", '{"n":2}')), result("a", "1"), result("a_2", "2")],
    ),
    Case(
        "an id that comes again with a result of its own",
        [call("a"), output("a", "1"), said("Once more."), call("a"), output("a", "2")],
        [calls("a"), result("a", "1"), calls("a_2", content="Once more."), result("a_2", "2")],
    ),
    Case("an empty result says so", [call("a"), output("a", "")], [calls("a"), result("a", "(no output)")]),
    Case("nothing at all", [], [user("Continue.")]),
]

ITEMS = [
    Case(
        "a custom call's input is an argument",
        [
            {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** Begin\n"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": [input_text("1"), input_text("2")]},
        ],
        [calls(("a", '{"input":"*** Begin\\n"}'), name="apply_patch"), result("a", "1\n2")],
    ),
    Case(
        "commands and what they wrote",
        [
            {"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}, "status": "completed"},
            {
                "type": "shell_call_output",
                "call_id": "a",
                "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            },
        ],
        [calls(("a", '{"commands":["ls"]}'), name="shell"), result("a", "Exit code: 0\nOutput:\nx")],
    ),
    Case(
        "a local command; its output names the call by the call id, by the item's id, or by `call_id`",
        [
            {"type": "local_shell_call", "id": "lsh_1", "call_id": "a", "action": {"command": ["ls"]}},
            {"type": "local_shell_call", "id": "lsh_2", "call_id": "b", "action": {"command": ["ls"]}},
            {"type": "local_shell_call", "id": "lsh_3", "call_id": "c", "action": {"command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "a", "output": "1"},
            {"type": "local_shell_call_output", "id": "lsh_2", "output": "2"},
            {"type": "local_shell_call_output", "id": "lsho_3", "call_id": "c", "output": "3"},
        ],
        [
            calls(*((i, '{"command":["ls"]}') for i in "abc"), name="local_shell"),
            result("a", "1"),
            result("b", "2"),
            result("c", "3"),
        ],
    ),
    Case(
        "a local command answered as a function, as Codex does it",
        [{"type": "local_shell_call", "call_id": "a", "action": {"command": ["ls"]}}, output("a", "1")],
        [calls(("a", '{"command":["ls"]}'), name="local_shell"), result("a", "1")],
    ),
    Case(
        "a patch and what became of it",
        [
            {"type": "apply_patch_call", "call_id": "a", "operation": {"type": "delete_file", "path": "x"}},
            {"type": "apply_patch_call_output", "call_id": "a", "status": "failed", "output": "No such file"},
        ],
        [
            calls(("a", '{"operation":{"type":"delete_file","path":"x"}}'), name="apply_patch"),
            result("a", "Status: failed\nNo such file"),
        ],
    ),
    Case(
        "a function of a namespace",
        [call("a", name="add", namespace="mcp__demo"), output("a")],
        [calls("a", name="mcp__demo__add"), result("a")],
    ),
    Case(
        "a search for tools, and the tools found",
        [
            {"type": "tool_search_call", "call_id": "a", "arguments": {"query": "add"}, "execution": "client"},
            {
                "type": "tool_search_output",
                "call_id": "a",
                "tools": [
                    {
                        "type": "namespace",
                        "name": "mcp__demo",
                        "tools": [{"type": "function", "name": "add", "description": "Adds."}],
                    },
                    {"type": "custom", "name": "patch"},
                ],
            },
        ],
        [
            calls(("a", '{"query":"add"}'), name="tool_search"),
            result("a", "Tools found, which can be called now:\n- mcp__demo__add: Adds.\n- patch"),
        ],
    ),
    Case(
        "a search that found nothing",
        [
            {"type": "tool_search_call", "call_id": "a", "arguments": {}},
            {"type": "tool_search_output", "call_id": "a", "tools": []},
        ],
        [calls("a", name="tool_search"), result("a", "No tools found.")],
    ),
    Case(
        "a message between agents",
        [
            {
                "type": "agent_message",
                "author": "/root/one",
                "recipient": "/root",
                "content": [input_text("Done:"), {"type": "encrypted_content", "encrypted_content": "all of it"}],
            }
        ],
        [user("Message from agent /root/one to /root:\nDone:\nall of it")],
    ),
    Case(
        "what is not converted is dropped",
        [
            {"type": "additional_tools", "tools": []},
            {"type": "web_search_call", "id": "ws_1"},
            {"type": "item_reference", "id": "rs_1"},
            {"type": "web_search_call", "id": "ws_2"},
            user([{"type": "hologram"}]),
            user("Hi"),
        ],
        [user("Hi")],
        notes=["input: web_search_call", "input: item_reference", "content: hologram", "input: message"],
    ),
    Case(
        "what is not converted does not cut a turn",
        [said("Searching."), {"type": "web_search_call", "id": "ws_1"}, call("a"), output("a")],
        [calls("a", content="Searching."), result("a")],
        notes=["input: web_search_call"],
    ),
    Case(
        "what hosted tools did is left out, once noted for each type",
        [
            user("Hi"),
            {"type": "file_search_call", "id": "fs_1", "queries": ["x"], "results": [{"text": "found"}]},
            {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "output": "secret"},
            {"type": "mcp_call", "id": "mcp_2", "name": "g", "arguments": "{}", "output": "secret"},
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
        ],
        [user("Hi")],
        notes=["input: file_search_call", "input: mcp_call", "input: computer_call_output"],
    ),
    Case(
        "ids, phase, status and unknown keys stay here",
        [{"type": "message", "id": "m", "role": "assistant", "content": "A", "phase": "commentary", "x": 1}, user("B")],
        [said("A"), user("B")],
    ),
    Case(
        "an unknown role speaks as the user",
        [{"role": "critic", "content": "Boo"}],
        [user("Boo")],
        notes=["input: role critic"],
    ),
    Case(
        "half surrogates and NUL",
        [user("a\0b\ud83d"), call("a", '{"x":"\\ud83d"}'), output("a", "\0")],
        [user("a\ufffdb\ufffd"), calls(("a", '{"x":"\ufffd"}')), result("a", "\ufffd")],
        notes=["input: arguments"],
    ),
]

ARGUMENTS = [
    Case(
        f"arguments {raw or 'empty'}",
        [call("a", raw), output("a")],
        [calls(("a", repaired)), result("a")],
        profile={"empty_arguments": '{"none":true}'},
        notes=notes,
    )
    for raw, repaired, notes in [
        ("", '{"none":true}', []),
        ("null", '{"none":true}', []),
        ('{ "a" : 1 }', '{ "a" : 1 }', []),
        ('{"cmd":"ls -', '{"cmd":"ls -"}', ["input: arguments"]),
        ("rm -rf", '{"input":"rm -rf"}', ["input: arguments"]),
        ("[1]", '{"input":[1]}', ["input: arguments"]),
        ('{"a":NaN}', '{"a":null}', ["input: arguments"]),
    ]
]

IN_WORDS = [
    Case(
        "calls and results in words",
        [
            user("Go"),
            said("Let me see."),
            call("a", '{"n":1}'),
            call("b", name="walk"),
            output("a", "one"),
            output("b", ""),
        ],
        [
            user("Go"),
            said('Let me see.\n[called run({"n":1})]\n[called walk({})]'),
            user("[result of run]\none\n[result of walk]\n(no output)"),
        ],
        profile={"tools": False},
        notes=["input: calls"],
    ),
    Case(
        "an image as a result in words",
        [call("a"), output("a", [image()]), user("Well?")],
        [
            said("[called run({})]"),
            user("[result of run]\n[image 1: see the next user message]"),
            user([text("[image 1 of the tool results above]"), chat_image()]),
            user("Well?"),
        ],
        profile={"tools": False},
        notes=["input: calls"],
    ),
    Case(
        "an image in place",
        [call("a"), output("a", [image()])],
        [said("[called run({})]"), user([text("[result of run]"), chat_image()])],
        profile={"tools": False, "tool_result_media": "array"},
        notes=["input: calls"],
    ),
    Case(
        "a call without a result, and what was thought before",
        [user("Go"), thought("hm"), call("a")],
        [user("Go"), said("<think>\nhm\n</think>\n\n[called run({})]"), user("[result of run]\naborted")],
        profile={"tools": False, "replay": "always", "replay_field": "tags"},
        notes=["input: call without a result", "input: calls"],
    ),
]

INSTRUCTIONS = [
    Case(
        "single: one message at the start",
        [system("A"), {"role": "developer", "content": [input_text("B"), input_text("C")]}, user("Hi")],
        [system("Be brief.\n\nA\n\nB\nC"), user("Hi")],
        instructions="Be brief.",
    ),
    Case(
        "single: later ones are told by the user",
        [system("A"), user("Hi"), said("Yes?"), system("B")],
        [system("A"), user("Hi"), said("Yes?"), user("[system instruction]\nB")],
    ),
    Case(
        "leading: several at the start",
        [system("A"), user("Hi"), system("B")],
        [system("Be brief."), system("A"), user("Hi"), user("[system instruction]\nB")],
        profile={"system_policy": "leading"},
        instructions="Be brief.",
    ),
    Case(
        "any: where they stand",
        [{"role": "developer", "content": "A"}, user("Hi"), system("B")],
        [{"role": "developer", "content": "A"}, user("Hi"), {"role": "developer", "content": "B"}],
        profile={"system_policy": "any", "instruction_role": "developer"},
    ),
    Case(
        "no role for them",
        [system("A"), user("Hi")],
        [user("Be brief.\n\nA"), user("Hi")],
        profile={"instruction_role": "user"},
        instructions="Be brief.",
    ),
    Case(
        "text only",
        [system([input_text("A"), image()]), user("Hi")],
        [system("A"), user("Hi")],
        notes=["input[0].content"],
    ),
]

MEDIA = [
    Case(
        "detail",
        [user([image(detail="low"), image(detail="original"), image(detail="odd"), image()])],
        [user([chat_image(detail="low"), chat_image(detail="high"), chat_image(), chat_image()])],
    ),
    Case(
        "no images",
        [user([input_text("See"), image()])],
        [user("See\n[image omitted: this model takes no images]")],
        profile={"image_url": "none"},
        notes=["content: input_image"],
    ),
    Case(
        "images of results follow the whole batch",
        [call("a"), call("b"), output("a", [input_text("1"), image()]), output("b", [image()])],
        [
            calls("a", "b"),
            result("a", "1\n[image 1: see the next user message]"),
            result("b", "[image 2: see the next user message]"),
            user(
                [
                    text("[image 1 of the tool results above]"),
                    chat_image(),
                    text("[image 2 of the tool results above]"),
                    chat_image(),
                ]
            ),
        ],
    ),
    Case(
        "images of results stay",
        [call("a"), output("a", [input_text("1"), image()])],
        [calls("a"), result("a", [text("1"), chat_image()])],
        profile={"tool_result_media": "array"},
    ),
    Case(
        "images of results are dropped",
        [call("a"), output("a", [image()])],
        [calls("a"), result("a", "[image omitted: tool results are text only]")],
        profile={"tool_result_media": "drop"},
        notes=["tool results: image"],
    ),
    Case(
        "a text file is text",
        [user([{"type": "input_file", "filename": "a.md", "file_data": "IyBIaQ=="}, input_text("Read")])],
        [user("[file: a.md]\n# Hi\nRead")],
    ),
    Case(
        "parts of text stay apart",
        [user([input_text("A"), input_text(""), input_text("B")]), user([input_text("C")])],
        [user([text("A"), text("B")]), user("C")],
        profile={"content_shape": "auto"},
    ),
]

POLICIES = [
    Case(
        "ids of exactly nine characters",
        [call("call_0123456789abcdef"), call("abcdefghi"), output("abcdefghi", "2"), output("call_0123456789abcdef")],
        [calls("Z4RZ6ecDE", "abcdefghi"), result("Z4RZ6ecDE"), result("abcdefghi", "2")],
        profile={"tool_id": ToolIdRule(max_len=9, exact_len=9, charset="[A-Za-z0-9]")},
    ),
    Case(
        "a result's name, and a word before the user",
        [call("a"), output("a", [image()]), user("And?")],
        [
            calls("a"),
            result("a", "[image 1: see the next user message]", name="run"),
            said("OK."),
            user([text("[image 1 of the tool results above]"), chat_image()]),
            user("And?"),
        ],
        profile={"tool_result_name": True, "assistant_between_tool_and_user": True},
    ),
    Case(
        "taking turns",
        [user("A"), user([image()]), system("B"), said("C"), user("D")],
        [user([text("A"), chat_image(), text("[system instruction]\nB")]), said("C"), user("D")],
        profile={"strict_alternation": True},
    ),
    Case(
        "no user so far",
        [system("A"), said("Hello")],
        [system("A"), said("Hello"), user("Continue.")],
        profile={"require_user_message": True},
    ),
    Case(
        "the model has begun its answer",
        [user("Count"), said("One,")],
        [user("Count"), {**said("One,"), "prefix": True}],
        profile={"trailing_assistant": "prefix"},
    ),
    Case(
        "the user speaks last",
        [user("Count"), said("One,")],
        [user("Count"), said("One,"), user("Continue.")],
        profile={"trailing_assistant": "user_stub"},
    ),
    Case(
        "calls without text: empty content",
        [call("a"), output("a")],
        [calls("a", content=""), result("a")],
        profile={"assistant_tool_content": "empty"},
    ),
    Case(
        "calls without text: no content",
        [call("a"), output("a")],
        [{key: value for key, value in calls("a").items() if key != "content"}, result("a")],
        profile={"assistant_tool_content": "omit"},
    ),
]

ALL_TURNS = {"replay": "always", "replay_scope": "all_turns"}
TWO_LOOPS = [
    user("1"), thought("t1"), call("a"), output("a"), thought("t2"), said("A"),
    user("2"), thought("t3"), call("b"), output("b"), thought("t4"), said("B"),
]  # fmt: skip


def two_loops(*reasoning: str | None) -> list[Value]:
    """The messages of TWO_LOOPS with the reasoning of each turn."""
    t1, t2, t3, t4 = ({} if value is None else {"reasoning_content": value} for value in reasoning)
    return [
        user("1"), calls("a", **t1), result("a"), {**said("A"), **t2},
        user("2"), calls("b", **t3), result("b"), {**said("B"), **t4},
    ]  # fmt: skip


REASONING = [
    Case("never", TWO_LOOPS, two_loops(None, None, None, None)),
    Case("always", TWO_LOOPS, two_loops("t1", "t2", "t3", "t4"), ALL_TURNS),
    Case("always, turns with calls", TWO_LOOPS, two_loops("t1", None, "t3", None), {"replay": "always"}),
    Case(
        "in the loop",
        TWO_LOOPS,
        two_loops(None, None, "t3", "t4"),
        {"replay": "tool_loop", "replay_scope": "all_turns"},
    ),
    Case(
        "after tools",
        [user("1"), thought("t0"), said("A"), *TWO_LOOPS],
        [user("1"), {**said("A"), "reasoning_content": "t0"}, *two_loops("t1", "t2", "t3", "t4")],
        {"replay": "after_tools", "replay_scope": "all_turns"},
    ),
    Case(
        "no tools so far",
        [user("1"), thought("t0"), said("A")],
        [user("1"), said("A")],
        {"replay": "after_tools", "replay_scope": "all_turns"},
    ),
    Case(
        "joined over one turn",
        [thought("A"), said("S"), thought("B"), call("a"), output("a")],
        [calls("a", content="S", reasoning_content="A\n\nB"), result("a")],
        ALL_TURNS,
    ),
    Case(
        "not across the user",
        [user("1"), thought("lost"), user("2"), said("A"), thought("trailing")],
        [user("1"), user("2"), {**said("A"), "reasoning_content": "trailing"}],
        ALL_TURNS,
        notes=["input: reasoning"],
    ),
    Case("alone", [user("1"), thought()], [user("1")], ALL_TURNS, notes=["input: reasoning"]),
    Case(
        "of others",
        [thought("x", origin="there/other"), said("A"), {"type": "reasoning", "encrypted_content": "gAAA"}, said("B")],
        [said("A\n\nB")],
        ALL_TURNS,
        notes=["input: reasoning", "input: reasoning"],
    ),
    Case(
        "readable: the text, else the summary",
        [
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "long"}]},
            said("A"),
            user("?"),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "short"}]},
            said("B"),
        ],
        [{**said("A"), "reasoning_content": "long"}, user("?"), {**said("B"), "reasoning_content": "short"}],
        ALL_TURNS,
    ),
    *(
        Case(
            f"lost: {missing}",
            [call("a"), output("a")],
            [calls("a", reasoning_content=stand_in), result("a")],
            {**ALL_TURNS, "replay_missing": missing},
        )
        for missing, stand_in in [("empty", ""), ("space", " "), ("placeholder", "(reasoning not kept)")]
    ),
    Case(
        "field reasoning",
        [thought(), call("a"), output("a")],
        [calls("a", reasoning="hm"), result("a")],
        {**ALL_TURNS, "replay_field": "reasoning"},
    ),
    Case(
        "field reasoning_details: as they came",
        [thought(details=({"type": "reasoning.encrypted", "data": "x", "index": 0},)), call("a"), output("a")],
        [
            calls("a", reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "index": 0}]),
            result("a"),
        ],
        {**ALL_TURNS, "replay_field": "reasoning_details"},
    ),
    Case(
        "field reasoning_details: of text",
        [thought(), call("a"), output("a")],
        [calls("a", reasoning_details=[{"type": "reasoning.text", "text": "hm"}]), result("a")],
        {**ALL_TURNS, "replay_field": "reasoning_details"},
    ),
    Case(
        "field tags",
        [thought(), call("a"), output("a"), thought(), said("A")],
        [calls("a", content="<think>\nhm\n</think>"), result("a"), said("<think>\nhm\n</think>\n\nA")],
        {**ALL_TURNS, "replay_field": "tags"},
    ),
    Case(
        "field thinking_parts",
        [thought(), said("A")],
        [said([{"type": "thinking", "thinking": [text("hm")]}, text("A")])],
        {**ALL_TURNS, "replay_field": "thinking_parts"},
    ),
]

CASES = [*TURNS, *ITEMS, *ARGUMENTS, *IN_WORDS, *INSTRUCTIONS, *MEDIA, *POLICIES, *REASONING]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_items_become_messages(case: Case) -> None:
    messages, notes = run(case)
    assert messages == list(case.messages)
    assert notes == list(case.notes)


@pytest.mark.parametrize(
    ("content", "param", "remedy", "profile"),
    [
        pytest.param([{"type": "input_image", "file_id": "f"}], "file_id", "data URL", {}, id="image by id"),
        pytest.param([{"type": "input_image"}], "image_url", "data URL", {}, id="image without image"),
        pytest.param(
            [{"type": "input_image", "image_url": "https://x.test/a.png"}],
            "image_url",
            "data URL",
            {"image_url": "base64"},
            id="image by URL",
        ),
        pytest.param([{"type": "input_file", "file_id": "f"}], "file_id", "file_data", {}, id="file by id"),
        pytest.param([{"type": "input_file", "file_url": "u"}], "file_url", "file_data", {}, id="file by URL"),
        pytest.param([{"type": "input_file"}], "file_data", "file_data", {}, id="file without file"),
        pytest.param(
            [{"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0="}], "", "input_text", {}, id="document"
        ),
    ],
)
def test_what_only_the_client_can_put_right_is_refused(
    content: list[Value], param: str, remedy: str, profile: Value
) -> None:
    path = "input[1].content[1]"
    with pytest.raises(ApiError) as caught:
        run(Case("", [user("Hi"), user([input_text("See"), *content])], [], profile))
    assert caught.value.status == 400
    assert caught.value.param == (f"{path}.{param}" if param else path)
    assert caught.value.param in caught.value.message
    assert remedy in caught.value.message

    # Nobody can put a tool's result right any more: it is told there, and the conversation goes on.
    messages, notes = run(Case("", [call("a"), output("a", content)], [], profile))
    kind = content[0]["type"].removeprefix("input_")
    assert messages[-1] == {
        "role": "tool",
        "tool_call_id": "a",
        "content": f"[{kind} omitted: it cannot be sent to this model]",
    }
    assert notes == [f"tool results: {kind}"]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_requests_make_a_valid_history(path: Path, profile: Profile) -> None:
    capture = json.loads(path.read_bytes())
    if "request" not in capture:
        pytest.skip("a WebSocket recording")
    request = read_request(json.dumps(capture["request"]["body"]).encode())
    if path.stem == "openai-py-rich" and profile.file_part == "none":
        pytest.skip("it holds a PDF, which this profile refuses")
    messages = to_messages(
        request.items(),
        instructions=request.instructions,
        names=PlainNames(),
        profile=profile,
        origin=ORIGIN,
        notes=Notes(),
    )
    assert_valid_history(messages, profile)
    assert not any(message.get("content") == "aborted" for message in messages)
