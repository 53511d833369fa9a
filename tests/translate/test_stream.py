"""What each way of answering that was seen at a provider becomes. The ids name the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai import APIError

from addon.providers.platforms import platform_named, resolve
from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.output import CalledTool
from tests.sdk_models import accumulate, retrieve
from tests.translate.answers import DONE, Answer, answer_to, call, chunk, completion, data, request, text

HELLO = text("Hel") + text("lo") + chunk({}, "stop")
SAID_HELLO = [("text", "Hello")]


def usage(prompt: int, completion: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


@dataclass(frozen=True)
class Case:
    """A provider's body, and what the client must get."""

    id: str
    body: bytes
    output: Sequence[tuple[str, ...]]
    status: str = "completed"
    profile: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, CalledTool] = field(default_factory=dict)
    note: str = ""
    """Must be in one of the notes; "": there must be none."""
    message: str = ""
    """Must be in the error's message."""


FRAMING = [
    Case("A1-crlf", HELLO.replace(b"\n", b"\r\n"), SAID_HELLO),
    Case("A1-cr", HELLO.replace(b"\n", b"\r"), SAID_HELLO),
    Case(
        "A1-mixed",
        text("Hel").replace(b"\n", b"\r\n") + text("lo").replace(b"\n", b"\r") + chunk({}, "stop"),
        SAID_HELLO,
    ),
    Case(
        "A2-comments",
        b": OPENROUTER PROCESSING\n\n:\n" + text("Hello") + b": keep-alive\n\n" + chunk({}, "stop"),
        SAID_HELLO,
    ),
    Case("A3-no-space", HELLO.replace(b"data: ", b"data:"), SAID_HELLO),
    Case(
        "A3-lines",
        b'retry: 3\nid: 7\nevent: message\ndata: {"choices":\ndata: [{"delta":{"content":"Hello"}}]}\n\n'
        + chunk({}, "stop"),
        SAID_HELLO,
    ),
    Case("A4-no-done", HELLO, SAID_HELLO),
    Case("A4-no-last-blank-line", HELLO.rstrip(b"\n"), SAID_HELLO),
    Case(
        "A5-cut",
        text("Hel") + text("lo"),
        [("text", "Hello", "incomplete")],
        "incomplete: max_output_tokens",
        note="without one",
    ),
    Case(
        "A5-fail-by-profile",
        text("Hello"),
        [("text", "Hello", "incomplete")],
        "failed",
        profile={"missing_finish": "fail"},
    ),
    Case("A6-nothing", b"", [], "failed", message="The provider acme answered without saying anything"),
    Case("A6-blank-lines", b"\n\n", [], "failed", message="The provider acme answered without saying anything"),
    Case("A6-only-comments", b": hi\n\n", [], "failed", message="without saying anything"),
    Case("A7-done-twice", HELLO + DONE + DONE, SAID_HELLO),
    Case("A7-data-after-done", HELLO + DONE + text("more"), SAID_HELLO),
    Case("A8-whole-for-a-stream", completion({"role": "assistant", "content": "Hello"}), SAID_HELLO),
    Case("A9-stream-for-a-whole", HELLO + DONE, SAID_HELLO),
    Case("A10-blank-lines-before-json", b"\n \r\n" * 500 + completion({"content": "Hello"}), SAID_HELLO),
    Case("A11-byte-order-mark", b"\xef\xbb\xbf" + HELLO, SAID_HELLO),
    Case("A11-byte-order-mark-json", b"\xef\xbb\xbf" + completion({"content": "Hello"}), SAID_HELLO),
    Case("A12-garbage", text("Hel") + b"data: <oops>\n\n" + text("lo", "stop"), SAID_HELLO, note="skipped"),
    Case("A12-garbage-without-data", text("Hel") + b"oops\n\n" + text("lo", "stop"), SAID_HELLO),
    Case("A12-not-an-object", text("Hel") + b"data: 5\n\n" + text("lo", "stop"), SAID_HELLO, note="skipped"),
]

CHUNKS = [
    Case("B1-usage-only", HELLO + data({"choices": [], "usage": usage(1, 2)}) + DONE, SAID_HELLO),
    Case(
        "B2-azure-first", data({"choices": [], "id": "", "model": "", "prompt_filter_results": []}) + HELLO, SAID_HELLO
    ),
    Case("B2-choices-null", data({"choices": None}) + HELLO, SAID_HELLO),
    Case("B5-no-delta", chunk(None) + data({"choices": [{"index": 0}]}) + chunk({}) + HELLO, SAID_HELLO),
    Case(
        "B5-roles",
        chunk({"role": ""}) + chunk({"role": None}) + chunk({"role": "assistant", "content": "Hello"}, "stop"),
        SAID_HELLO,
    ),
    Case(
        "B6-nulls",
        chunk({"content": None, "tool_calls": None, "reasoning_content": None, "refusal": None}) + HELLO,
        SAID_HELLO,
    ),
    Case(
        "B7-empty-first", text("") + call(id="a", name="f", arguments="{}", finish="tool_calls"), [("call", "f", "{}")]
    ),
    Case(
        "B8-parts",
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]})
        + chunk(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "."}]},
                    {"type": "text", "text": "Hel"},
                ]
            }
        )
        + text("lo", "stop"),
        [("reasoning", "Hm."), ("text", "Hello")],
    ),
    Case("B9-content-on-finish", text("Hel") + text("lo", "stop"), SAID_HELLO),
    Case(
        "B10-choice-1",
        data({"choices": [{"index": 1, "delta": {"content": "No"}}, {"index": 0, "delta": {"content": "Hello"}}]})
        + data({"choices": [{"index": 1, "delta": {"content": "No"}, "finish_reason": "length"}]})
        + chunk({}, "stop"),
        SAID_HELLO,
    ),
    Case(
        "B11-refusal",
        chunk({"refusal": "I "}) + chunk({"refusal": "won't"}) + chunk({}, "stop"),
        [("refusal", "I won't")],
    ),
    Case(
        "B11-text-then-refusal", text("Well") + chunk({"refusal": "no"}, "stop"), [("text", "Well"), ("refusal", "no")]
    ),
    Case(
        "B12-newlines",
        chunk({"reasoning_content": "Hm"}) + text("\n") + text("\n\nHello\n") + chunk({}, "stop"),
        [("reasoning", "Hm"), ("text", "Hello\n")],
    ),
    Case(
        "B12-done-object",
        text("Hello") + chunk({}, "stop", object="chat.completion.done"),
        SAID_HELLO,
    ),
    Case(
        "B12-done-object-repeats-the-message",
        text("Hello")
        + data(
            {
                "object": "chat.completion.done",
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "message": {"role": "assistant", "content": "Hello"},
                        "finish_reason": "stop",
                    }
                ],
            }
        ),
        SAID_HELLO,
    ),
    Case("B-legacy-text", data({"choices": [{"text": "Hello", "finish_reason": "stop"}]}), SAID_HELLO),
    Case(
        "B-half-surrogates",
        b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n' + chunk({}, "stop"),
        [("text", "a�")],
    ),
    Case("B-nul", text("a\0b", "stop"), [("text", "a�b")]),
    Case(
        "B-not-a-number",
        b'data: {"choices":[{"delta":{"content":"Hello"},"x":NaN}],"usage":{"prompt_tokens":Infinity}}\n\n'
        + chunk({}, "stop"),
        SAID_HELLO,
    ),
]

F = ("call", "f", '{"a":1}')
G = ("call", "g", '{"b":2}')
CUSTOM = {"patch": CalledTool("custom", "apply_patch")}
SEARCH = {"find_tools": CalledTool("tool_search", "tool_search")}

CALLS = [
    Case(
        "C1-pieces",
        call(id="a", name="f", arguments="") + call(arguments='{"a"') + call(arguments=":1}") + chunk({}, "tool_calls"),
        [F],
    ),
    Case("C2-one-chunk", call(id="a", name="f", arguments='{"a":1}', finish="tool_calls"), [F]),
    Case(
        "C3-interleaved",
        call(0, id="a", name="f", arguments='{"a"')
        + call(1, id="b", name="g", arguments='{"b"')
        + call(0, arguments=":1}")
        + call(1, arguments=":2}")
        + chunk({}, "tool_calls"),
        [F, G],
    ),
    *(
        Case(f"C4-finish-{finish}", call(id="a", name="f", arguments='{"a":1}') + chunk({}, finish) + DONE, [F])
        for finish in ("stop", "end_turn", "eos", None)
    ),
    Case(
        "C5-empty-continuation",
        call(id="a", name="f", arguments='{"a"')
        + call(id="", name="", arguments=":1")
        + call(id="", name=None, arguments="}", finish="tool_calls"),
        [F],
    ),
    Case(
        "C6-repeated",
        call(id="a", name="f", arguments='{"a"') + call(id="a", name="f", arguments=":1}") + chunk({}, "tool_calls"),
        [F],
    ),
    Case(
        "C6-repeated-without-index",
        call(None, id="a", name="f", arguments='{"a"')
        + call(None, id="a", name="f", arguments=":1}")
        + chunk({}, "tool_calls"),
        [F],
    ),
    Case(
        "C7-ids-without-index",
        call(None, id="a", name="f", arguments='{"a"')
        + call(None, arguments=":1}")
        + call(None, id="b", name="g", arguments='{"b":2}')
        + chunk({}, "tool_calls"),
        [F, G],
    ),
    Case(
        "C7-neither-index-nor-id",
        call(None, id="", name="f", arguments='{"a":1}')
        + call(None, id="", name="g", arguments='{"b":2}')
        + chunk({}, "stop"),
        [F, G],
    ),
    Case(
        "C7-one-tool-twice",
        call(None, id="", name="f", arguments='{"a":1}')
        + call(None, id="", name="f", arguments='{"a":1}')
        + chunk({}, "stop"),
        [F, F],
    ),
    Case(
        "C7-without-arguments",
        call(None, name="f") + call(None, name="g", arguments='{"b":2}') + chunk({}, "stop"),
        [("call", "f", "{}"), G],
    ),
    Case(
        "C8-index-reused",
        call(0, id="a", name="f", arguments='{"a":1}')
        + call(0, id="b", name="g", arguments='{"b"')
        + call(0, arguments=":2}")
        + chunk({}, "tool_calls"),
        [F, G],
    ),
    Case(
        "C8-index-reused-and-interleaved",
        call(0, id="a", name="f", arguments='{"a"')
        + call(0, id="b", name="g", arguments='{"b"')
        + call(0, id="a", arguments=":1}")
        + call(0, id="b", arguments=":2}")
        + chunk({}, "tool_calls"),
        [F, G],
    ),
    Case(
        "C8-index-reused-without-ids",
        call(0, name="f", arguments='{"a":1}') + call(0, name="g", arguments='{"b":2}') + chunk({}, "tool_calls"),
        [F, G],
    ),
    Case("C9-first-index-1", call(1, id="a", name="f", arguments='{"a":1}', finish="tool_calls"), [F]),
    Case(
        "C9-gap",
        call(0, id="a", name="f", arguments='{"a":1}')
        + call(2, id="b", name="g", arguments='{"b":2}', finish="tool_calls"),
        [F, G],
    ),
    Case("C10-no-id", call(name="f", arguments='{"a"') + call(arguments=":1}", finish="tool_calls"), [F]),
    Case(
        "C10-same-id",
        call(0, id="a", name="f", arguments='{"a":1}')
        + call(1, id="a", name="g", arguments='{"b":2}', finish="tool_calls"),
        [F, G],
    ),
    Case(
        "C11-late-name",
        call(id="a", arguments='{"a"') + call(arguments=":1") + call(name="f", arguments="}", finish="tool_calls"),
        [F],
    ),
    Case(
        "C11-no-name",
        call(id="a", arguments="{}", finish="tool_calls"),
        [],
        "failed",
        note="named no tool",
        message="without naming it",
    ),
    Case(
        "C11-no-name-but-text",
        text("Hello") + call(id="a", arguments="{}", finish="tool_calls"),
        SAID_HELLO,
        note="named no tool",
    ),
    Case(
        "C11-no-name-cut",
        call(id="a", arguments="{", finish="length"),
        [],
        "incomplete: max_output_tokens",
        note="named no tool",
    ),
    Case(
        "C11-one-of-two",
        call(0, id="a", arguments="{}") + call(1, id="b", name="g", arguments='{"b":2}', finish="tool_calls"),
        [G],
        note="named no tool",
    ),
    *(
        Case(f"C12-arguments-{name}", call(id="a", name="f", finish="tool_calls", **function), [("call", "f", "{}")])
        for name, function in (
            ("missing", {}),
            ("null", {"arguments": None}),
            ("empty", {"arguments": ""}),
            ("object", {"arguments": {}}),
        )
    ),
    Case("C12-arguments-blank", call(id="a", name="f", arguments=" ", finish="tool_calls"), [("call", "f", " {}")]),
    Case("C12-arguments-object", call(id="a", name="f", arguments={"a": 1}, finish="tool_calls"), [F]),
    Case(
        "C12-custom-empty",
        call(id="a", name="patch", arguments="", finish="tool_calls"),
        [("custom", "apply_patch", "")],
        tools=CUSTOM,
    ),
    Case(
        "C12-custom-empty-object",
        call(id="a", name="patch", arguments="{}", finish="tool_calls"),
        [("custom", "apply_patch", "")],
        tools=CUSTOM,
    ),
    Case(
        "C12-search-empty",
        call(id="a", name="find_tools", arguments="", finish="tool_calls"),
        [("search", "{}")],
        tools=SEARCH,
    ),
    Case(
        "C13-whole-before-the-end",
        call(id="a", name="f", arguments='{"a":1}') + call(arguments="\n") + chunk({}, "tool_calls"),
        [("call", "f", '{"a":1}\n')],
    ),
    Case(
        "C14-length",
        call(id="a", name="f", arguments='{"a') + chunk({}, "length"),
        [("call", "f", '{"a', "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "C14-length-in-blanks",
        call(id="a", name="f", arguments=" ") + chunk({}, "length"),
        [("call", "f", " ", "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "C14-length-before-arguments", call(id="a", name="f") + chunk({}, "length"), [], "incomplete: max_output_tokens"
    ),
    Case(
        "C14-cut-but-told-as-calls",
        call(id="a", name="f", arguments='{"a":') + chunk({}, "tool_calls"),
        [("call", "f", '{"a":', "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "C14-length-after-whole-arguments",
        call(id="a", name="f", arguments='{"a":1}') + chunk({}, "length"),
        [F],
        "incomplete: max_output_tokens",
    ),
    Case(
        "C14-length-in-broken-json",
        call(id="a", name="f", arguments='{"a":oops') + chunk({}, "length"),
        [("call", "f", '{"a":oops', "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "C14-broken-json", call(id="a", name="f", arguments="{'a':1}", finish="tool_calls"), [("call", "f", "{'a':1}")]
    ),
    Case(
        "C14-custom-cut",
        call(id="a", name="patch", arguments='{"input":"*** Beg') + chunk({}, "length"),
        [],
        "incomplete: max_output_tokens",
        tools=CUSTOM,
    ),
    Case(
        "C14-custom-cut-but-told-as-calls",
        call(id="a", name="patch", arguments='{"input":"*** Beg') + chunk({}, "tool_calls"),
        [],
        "incomplete: max_output_tokens",
        tools=CUSTOM,
    ),
    Case(
        "C14-custom-cut-in-a-raw-line-break",
        call(id="a", name="patch", arguments='{"input":"*** Beg\n+x') + chunk({}, "length"),
        [],
        "incomplete: max_output_tokens",
        tools=CUSTOM,
    ),
    Case(
        "C14-custom-bare-text-cut",
        call(id="a", name="patch", arguments="*** Beg") + chunk({}, "length"),
        [],
        "incomplete: max_output_tokens",
        tools=CUSTOM,
    ),
    Case(
        "C14-search-cut",
        call(id="a", name="find_tools", arguments='{"query":') + chunk({}, "length"),
        [],
        "incomplete: max_output_tokens",
        tools=SEARCH,
    ),
    Case(
        "C14-no-finish",
        call(id="a", name="f", arguments='{"a"'),
        [("call", "f", '{"a"', "incomplete")],
        "incomplete: max_output_tokens",
        note="without one",
    ),
    Case(
        "C15-text-call-text",
        text("Hel") + call(id="a", name="f", arguments='{"a":1}') + text("lo") + chunk({}, "tool_calls"),
        [("text", "Hel"), F, ("text", "lo")],
    ),
    Case(
        "C15-text-between-pieces",
        call(id="a", name="f", arguments='{"a"') + text("Hello") + call(arguments=":1}") + chunk({}, "tool_calls"),
        [F, ("text", "Hello")],
    ),
    Case(
        "C16-legacy",
        chunk({"function_call": {"name": "f", "arguments": ""}})
        + chunk({"function_call": {"arguments": '{"a":1}'}}, "function_call"),
        [F],
    ),
    Case(
        "C17-mapped-back",
        call(id="a", name="srv__f", arguments='{"a":1}', finish="tool_calls"),
        [F],
        tools={"srv__f": CalledTool("function", "f", "srv")},
    ),
    Case("C17-unknown", call(id="a", name="who", arguments="{}", finish="tool_calls"), [("call", "who", "{}")]),
    Case(
        "C-custom",
        call(id="a", name="patch", arguments='{"input":"x\\ny"}', finish="tool_calls"),
        [("custom", "apply_patch", "x\ny")],
        tools=CUSTOM,
    ),
    Case(
        "C-custom-raw-line-break",
        call(id="a", name="patch", arguments='{"input":"x\ny"}', finish="tool_calls"),
        [("custom", "apply_patch", "x\ny")],
        tools=CUSTOM,
    ),
    Case(
        "C-custom-other-key",
        call(id="a", name="patch", arguments='{"patch":"x"}', finish="tool_calls"),
        [("custom", "apply_patch", "x")],
        tools=CUSTOM,
    ),
    Case(
        "C-custom-bare",
        call(id="a", name="patch", arguments="*** Begin", finish="tool_calls"),
        [("custom", "apply_patch", "*** Begin")],
        tools=CUSTOM,
    ),
    Case(
        "C-custom-string",
        call(id="a", name="patch", arguments='"x"', finish="tool_calls"),
        [("custom", "apply_patch", "x")],
        tools=CUSTOM,
    ),
    Case(
        "C-search",
        call(id="a", name="find_tools", arguments='{"query":"q"}', finish="tool_calls"),
        [("search", '{"query": "q"}')],
        tools=SEARCH,
    ),
    Case(
        "C-search-bare",
        call(id="a", name="find_tools", arguments="q", finish="tool_calls"),
        [("search", '{"query": "q"}')],
        tools=SEARCH,
    ),
    Case(
        "C18-markup",
        text("<tool_call>") + text("<|tool_calls_section_begin|>", "stop"),
        [("text", "<tool_call><|tool_calls_section_begin|>")],
    ),
]

HM = ("reasoning", "Hm.")
REASONING = [
    Case(
        "D1-then-content",
        chunk({"reasoning_content": "Hm"}) + chunk({"reasoning_content": "."}) + HELLO,
        [HM, *SAID_HELLO],
    ),
    Case("D2-reasoning", chunk({"reasoning": "Hm."}) + HELLO, [HM, *SAID_HELLO]),
    Case("D2-both", chunk({"reasoning_content": "Hm.", "reasoning": "Hm."}) + HELLO, [HM, *SAID_HELLO]),
    Case(
        "D4-split",
        text("<th") + text("ink>\nHm") + text(".\n</thi") + text("nk>\n\nHel") + text("lo", "stop"),
        [HM, *SAID_HELLO],
    ),
    Case("D4-one-piece", text("<think>Hm.</think>Hello", "stop"), [HM, *SAID_HELLO]),
    Case("D4-only-closing", text("Hm.</think>Hello", "stop"), [("text", "Hm.</think>Hello")]),
    Case("D4-unclosed", text("<think>Hm") + text(".") + chunk({}, "stop"), [HM]),
    Case("D4-empty", text("<think>\n\n</think>\n\nHello", "stop"), SAID_HELLO),
    Case("D4-later", text("Use <think>x</think>", "stop"), [("text", "Use <think>x</think>")]),
    Case(
        "D4-after-a-field", chunk({"reasoning_content": "Hm."}) + text("<think>x", "stop"), [HM, ("text", "<think>x")]
    ),
    Case("D4-half-a-tag", text("<thi", "stop"), [("text", "<thi")]),
    Case("D4-off", text("<think>Hm.</think>", "stop"), [("text", "<think>Hm.</think>")], profile={"think_tags": ()}),
    Case(
        "D7-after-content",
        chunk({"reasoning_content": "Hm."})
        + text("Hello")
        + chunk({"reasoning_content": "Hm."})
        + text("Hello", "stop"),
        [HM, *SAID_HELLO, HM, *SAID_HELLO],
    ),
    Case(
        "D7-between-calls",
        call(0, id="a", name="f", arguments='{"a":1}')
        + chunk({"reasoning_content": "Hm."})
        + call(1, id="b", name="g", arguments='{"b":2}')
        + chunk({}, "tool_calls"),
        [F, HM, G],
    ),
    Case(
        "D8-cumulative",
        chunk({"reasoning_content": "H"})
        + chunk({"reasoning_content": "Hm"})
        + chunk({"reasoning_content": "Hm."})
        + HELLO,
        [HM, *SAID_HELLO],
        profile={"reasoning_cumulative": True},
    ),
    Case("D9-only", chunk({"reasoning_content": "Hm."}) + chunk({}, "stop"), [HM]),
    Case(
        "D9-only-cut",
        chunk({"reasoning_content": "Hm."}) + chunk({}, "length"),
        [("reasoning", "Hm.", "incomplete")],
        "incomplete: max_output_tokens",
    ),
    Case(
        "D5-details-as-text",
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}]})
        + chunk({"reasoning_details": [{"type": "reasoning.text", "text": ".", "index": 0}]})
        + HELLO,
        [HM, *SAID_HELLO],
    ),
    Case(
        "D5-encrypted-details-nobody-asked-for",
        chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz", "index": 0}]}) + HELLO,
        SAID_HELLO,
    ),
]

ERROR = {"message": "No more", "type": "server_error", "code": 500}
PARTLY = [("text", "Hel", "incomplete")]
ERRORS = [
    Case("E2-in-the-stream", data({"error": ERROR}), [], "failed", message="No more"),
    Case(
        "E2-with-choices",
        data({"error": ERROR, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}),
        [],
        "failed",
        message="No more",
    ),
    Case("E2-after-output", text("Hel") + data({"error": ERROR}), PARTLY, "failed", message="No more"),
    Case(
        "E2-in-the-choice",
        text("Hel") + data({"choices": [{"delta": {}, "error": ERROR}]}),
        PARTLY,
        "failed",
        message="(HTTP 500): No more",
    ),
    Case(
        "E2-finish-error", text("Hel") + chunk({}, "error"), PARTLY, "failed", message="ended its answer with 'error'"
    ),
    Case(
        "E2-with-last-words",
        text("He") + data({"error": ERROR, "choices": [{"delta": {"content": "l"}}]}),
        PARTLY,
        "failed",
        message="No more",
    ),
    Case(
        "E2-in-a-call",
        call(id="a", name="f", arguments='{"a":1}') + data({"error": ERROR}),
        [("call", "f", '{"a":1}', "incomplete")],
        "failed",
    ),
    Case(
        "E3-event-error",
        text("Hel") + b'event: error\ndata: {"message":"No more"}\n\n',
        PARTLY,
        "failed",
        message="No more",
    ),
    Case("E3-event-error-text", text("Hel") + b"event: error\ndata: No more\n\n", PARTLY, "failed", message="No more"),
    Case("E3-event-error-null", text("Hel") + b"event: error\ndata: null\n\n", PARTLY, "failed"),
    Case("E3-error-line", text("Hel") + b'error: {"message":"No more"}\n\n', PARTLY, "failed", message="No more"),
    Case("E3-error-text", text("Hel") + data({"error": "No more"}), PARTLY, "failed", message="No more"),
    Case("E3-error-list", text("Hel") + data([{"error": ERROR}]), PARTLY, "failed", message="No more"),
    Case(
        "E3-top-level",
        text("Hel") + data({"object": "error", "message": "No more", "code": 500}),
        PARTLY,
        "failed",
        message="No more",
    ),
    Case(
        "E4-base-resp",
        data({"base_resp": {"status_code": 1039, "status_msg": "No more"}}),
        [],
        "failed",
        message="No more",
    ),
    Case("E4-html", b"<html><body><h1>No more</h1></body></html>", [], "failed", message="No more"),
    Case("E7-no-deltas", chunk({"role": "assistant"}) + DONE, [], "failed", message="longer than they can read"),
    Case("E7-length-of-nothing", chunk({}, "length"), [], "failed", message="before it had begun"),
    Case("E9-content-filter", text("Hel") + chunk({}, "content_filter"), PARTLY, "incomplete: content_filter"),
    Case("E9-sensitive", text("Hel") + chunk({}, "sensitive"), PARTLY, "incomplete: content_filter"),
    Case("E10-choices-null", b'{"choices":null}', [], "failed", message="without choices"),
    Case("E10-choices-empty", b'{"choices":[]}', [], "failed", message="without choices"),
    Case("E10-envelope", b'{"code":0,"data":' + completion({"content": "Hello"}) + b"}", SAID_HELLO),
]

FINISHES = {
    "completed": ("stop", "end", "end_turn", "eos", "stop_sequence", "tool_calls", "function_call"),
    "incomplete: max_output_tokens": ("length", "max_tokens", "model_length", "model_context_window_exceeded"),
    "incomplete: content_filter": ("content_filter", "sensitive"),
    "failed": ("error", "network_error", "insufficient_system_resource"),
}
USAGE = [
    *(
        Case(
            f"F4-{finish}",
            text("Hello", finish),
            [("text", "Hello") if status == "completed" else ("text", "Hello", "incomplete")],
            status,
        )
        for status, finishes in FINISHES.items()
        for finish in finishes
    ),
    Case("F4-unknown", text("Hello", "abracadabra"), SAID_HELLO, note="'abracadabra'"),
    Case(
        "F4-profile-failed",
        text("Hello", "odd"),
        [("text", "Hello", "incomplete")],
        "failed",
        profile={"finish_map": {"odd": "failed"}},
    ),
    Case(
        "F4-profile-incomplete",
        text("Hello", "odd"),
        [("text", "Hello", "incomplete")],
        "incomplete: max_output_tokens",
        profile={"finish_map": {"odd": "incomplete"}},
    ),
    Case(
        "F4-profile-filter",
        text("Hello", "sensitive"),
        [("text", "Hello", "incomplete")],
        "incomplete: content_filter",
        profile={"finish_map": {"sensitive": "incomplete"}},
    ),
    Case("F4-profile-completed", text("Hello", "length"), SAID_HELLO, profile={"finish_map": {"length": "completed"}}),
    Case(
        "F5-tier-and-model",
        data(
            {
                "created": 0,
                "model": "other",
                "service_tier": "on_demand",
                "choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}],
            }
        ),
        SAID_HELLO,
    ),
]

CASES = [*FRAMING, *CHUNKS, *CALLS, *REASONING, *ERRORS, *USAGE]


def get(case: Case, portions: Sequence[bytes]) -> Answer:
    return answer_to(portions, profile=Profile(**case.profile), tools=case.tools)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_scenario(case: Case) -> None:
    answer = get(case, [case.body])

    assert answer.output == list(case.output)
    assert answer.status == case.status
    assert bool(answer.notes) is bool(case.note), answer.notes
    assert case.note in "; ".join(answer.notes)
    if case.message:
        assert case.message in answer.response["error"]["message"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_scenario_byte_by_byte(case: Case) -> None:
    whole, bytewise = get(case, [case.body]), get(case, [bytes([byte]) for byte in case.body])

    assert bytewise.events == whole.events


@pytest.mark.parametrize("case", [case for case in CASES if case.status != "failed"], ids=lambda case: case.id)
def test_the_sdk_accumulates_it(case: Case) -> None:
    answer = get(case, [case.body])

    final = accumulate(answer.sse())[-1]

    assert final.type == answer.events[-1]["type"]
    assert final.response.id == answer.response["id"]
    assert [item.id for item in final.response.output] == [item["id"] for item in answer.response["output"]]


@pytest.mark.parametrize("case", [case for case in CASES if case.status == "failed"], ids=lambda case: case.id)
def test_the_sdk_raises_the_error(case: Case) -> None:
    answer = get(case, [case.body])

    with pytest.raises(APIError) as raised:
        accumulate(answer.sse())

    assert raised.value.code == answer.response["error"]["code"]
    assert raised.value.message == answer.response["error"]["message"]


def test_the_sdk_reads_the_whole_answer() -> None:
    answer = answer_to([completion({"content": "Hello", "reasoning": "Hm."}, usage=usage(3, 2))])

    response = retrieve(json.dumps(answer.response).encode())

    assert (response.output_text, response.status) == ("Hello", "completed")
    assert json.loads(response.model_dump_json(exclude_unset=True)) == answer.response


# --- usage ------------------------------------------------------------------------------------------------------------


def counts(answer: Answer) -> tuple[int, ...]:
    """input, cached, cache written; output, reasoning."""
    told = answer.response["usage"]
    into, out = told["input_tokens_details"], told["output_tokens_details"]
    return (
        told["input_tokens"],
        into["cached_tokens"],
        into["cache_write_tokens"],
        told["output_tokens"],
        out["reasoning_tokens"],
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(HELLO, (0, 0, 0, 0, 0), id="F1-none"),
        pytest.param(HELLO + data({"choices": [], "usage": usage(5, 2)}), (5, 0, 0, 2, 0), id="B1-last"),
        pytest.param(
            chunk({"content": "x"}, usage=None) + chunk({}, "stop", usage(5, 2)), (5, 0, 0, 2, 0), id="B3-on-finish"
        ),
        pytest.param(
            chunk({"content": "x"}, usage=usage(5, 1))
            + chunk({"content": "y"}, usage=usage(5, 2))
            + chunk({}, "stop", usage(5, 3)),
            (5, 0, 0, 3, 0),
            id="B4-growing",
        ),
        pytest.param(
            data({"choices": [{"delta": {}, "usage": usage(5, 2), "finish_reason": "stop"}]}),
            (5, 0, 0, 2, 0),
            id="B4-in-the-choice",
        ),
        pytest.param(chunk({}, "stop", x_groq={"usage": usage(5, 2)}), (5, 0, 0, 2, 0), id="B4-x-groq"),
        pytest.param(
            chunk({}, "stop", usage(9, 1, prompt_tokens_details={"cached_tokens": 4, "cache_write_tokens": 2})),
            (9, 4, 2, 1, 0),
            id="F2-details",
        ),
        pytest.param(chunk({}, "stop", usage(9, 1, prompt_cache_hit_tokens=4)), (9, 4, 0, 1, 0), id="F2-cache-hit"),
        pytest.param(chunk({}, "stop", usage(9, 1, cached_tokens=4)), (9, 4, 0, 1, 0), id="F2-cached"),
        pytest.param(chunk({}, "stop", usage(9, 1, num_cached_tokens=4)), (9, 4, 0, 1, 0), id="F2-num-cached"),
        pytest.param(
            chunk({}, "stop", usage(9, 1, cached_tokens=20)), (29, 20, 0, 1, 0), id="F2-more-cached-than-prompt"
        ),
        pytest.param(
            chunk({}, "stop", usage(9, 8, completion_tokens_details={"reasoning_tokens": 5})),
            (9, 0, 0, 8, 5),
            id="F3-details",
        ),
        pytest.param(
            chunk({}, "stop", usage(9, 8, reasoning_tokens=5, completion_tokens_details=None)),
            (9, 0, 0, 8, 5),
            id="F3-top-level",
        ),
        pytest.param(
            chunk({}, "stop", usage(307, 26, total_tokens=560, completion_tokens_details={"reasoning_tokens": 227})),
            (307, 0, 0, 253, 227),
            id="F3-reasoning-besides",
        ),
        pytest.param(
            chunk({}, "stop", {"prompt_tokens": "9", "completion_tokens": None, "cached_tokens": True}),
            (0, 0, 0, 0, 0),
            id="F-odd-types",
        ),
        pytest.param(chunk({}, "stop", usage(-1, 2.0)), (0, 0, 0, 2, 0), id="F-odd-numbers"),
        pytest.param(
            b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":NaN,"completion_tokens":1e999}}\n\n',
            (0, 0, 0, 0, 0),
            id="F-no-numbers",
        ),
    ],
)
def test_usage(body: bytes, expected: tuple[int, ...]) -> None:
    assert counts(answer_to([body])) == expected


@pytest.mark.parametrize(
    ("body", "expected", "note"),
    [
        pytest.param(HELLO, (5000, 0, 0, 2, 0), "told none", id="F1-text"),
        pytest.param(
            chunk({"reasoning_content": "四个字符"}) + HELLO, (5000, 0, 0, 6, 4), "told none", id="F1-reasoning"
        ),
        pytest.param(
            call(0, "tool_calls", id="c", name="f", arguments='{"a":1}'), (5000, 0, 0, 2, 0), "told none", id="F1-call"
        ),
        pytest.param(text("Hello", "length"), (5000, 0, 0, 2, 0), "told none", id="F1-cut-off"),
        pytest.param(completion({"content": "Hello"}), (5000, 0, 0, 2, 0), "told none", id="F1-whole"),
        pytest.param(chunk({"content": "Hello"}, "stop", usage(0, 0)), (5000, 0, 0, 2, 0), "not all", id="F1-zeros"),
        pytest.param(chunk({"content": "Hello"}, "stop", usage(0, 7)), (5000, 0, 0, 7, 0), "not all", id="F1-no-input"),
        pytest.param(
            chunk({"content": "Hello"}, "stop", {"prompt_tokens": 7}), (7, 0, 0, 2, 0), "not all", id="F1-no-output"
        ),
    ],
)
def test_usage_that_nobody_told(body: bytes, expected: tuple[int, ...], note: str) -> None:
    answer = answer_to([body], estimate=5000)

    assert counts(answer) == expected
    assert [told for told in answer.notes if told.startswith("usage: ") and note in told]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk({"content": "Hello"}, "stop", usage(9, 8)), id="both"),
        pytest.param(chunk({"content": "Hello"}, "stop", {"prompt_tokens": 9, "total_tokens": 17}), id="total"),
        pytest.param(chunk({"content": "Hello"}, "stop", {"input_tokens": 9, "output_tokens": 8}), id="other-names"),
        pytest.param(
            chunk({"content": "Hello"}, usage={"prompt_tokens": 9}) + chunk({}, "stop", {"completion_tokens": 8}),
            id="in-two-parts",
        ),
        pytest.param(
            chunk({"content": "Hello"}, "stop", timings={"prompt_n": 2, "cache_n": 7, "predicted_n": 8}), id="llamacpp"
        ),
    ],
)
def test_usage_that_was_told_is_not_estimated(body: bytes) -> None:
    answer = answer_to([body], estimate=5000)

    assert (answer.response["usage"]["input_tokens"], answer.response["usage"]["output_tokens"]) == (9, 8)
    assert answer.notes == []


def test_a_failed_answer_costs_what_its_provider_says() -> None:
    assert answer_to([text("x") + data({"error": ERROR})], estimate=5000).response["usage"] is None


def test_usage_of_a_provider_that_counts_reasoning_apart() -> None:
    profile = Profile(reasoning_in_completion=False)
    body = chunk({}, "stop", usage(9, 8, completion_tokens_details={"reasoning_tokens": 5}))

    assert counts(answer_to([body], profile=profile)) == (9, 0, 0, 13, 5)


def test_usage_is_kept_when_the_stream_fails() -> None:
    answer = answer_to([chunk({"content": "x"}, usage=usage(5, 1)), data({"error": ERROR})])

    assert counts(answer) == (5, 0, 0, 1, 0)


# --- a full context that nobody speaks of -----------------------------------------------------------------------------

LONG, SHORT = 20_000, 200
OVERFLOW = Profile(empty_answer="overflow")
CUTTING = Profile(cuts_silently=True)
SAYS_NOTHING = chunk({"role": "assistant"})
CUT = "incomplete: max_output_tokens"
WINDOW = "model_context_window_exceeded"


@pytest.mark.parametrize(
    ("body", "profile", "estimate"),
    [
        pytest.param(chunk({}, "length"), Profile(), LONG, id="length"),
        pytest.param(chunk({"content": ""}, "length", usage(8000, 0)), Profile(), None, id="length-of-no-tokens"),
        pytest.param(completion({"content": ""}, "length"), Profile(), LONG, id="length-of-a-whole-answer"),
        pytest.param(chunk({}, WINDOW), Profile(), LONG, id="window"),
        pytest.param(chunk({}, WINDOW, usage(8000, 500)), Profile(), LONG, id="window-after-hidden-thoughts"),
        pytest.param(SAYS_NOTHING + DONE, OVERFLOW, LONG, id="no-deltas"),
        pytest.param(SAYS_NOTHING + chunk({}, "stop") + DONE, OVERFLOW, LONG, id="no-deltas-and-an-end"),
        pytest.param(DONE, OVERFLOW, LONG, id="no-chunks"),
        pytest.param(b": hi\n\n", OVERFLOW, LONG, id="only-comments"),
        pytest.param(b"", OVERFLOW, LONG, id="no-bytes"),
        pytest.param(completion({"content": ""}, None), OVERFLOW, LONG, id="whole"),
    ],
)
def test_a_full_context_is_guessed(body: bytes, profile: Profile, estimate: int | None) -> None:
    """E7."""
    answer = answer_to([body], profile=profile, estimate=estimate)

    assert answer.response["error"]["code"] == "context_length_exceeded"
    assert "longer than the model at the provider acme can read" in answer.response["error"]["message"]


@pytest.mark.parametrize(
    ("body", "profile", "estimate", "status"),
    [
        pytest.param(SAYS_NOTHING + DONE, Profile(), LONG, "failed", id="no-deltas-elsewhere"),
        pytest.param(SAYS_NOTHING + DONE, OVERFLOW, SHORT, "failed", id="no-deltas-for-a-word"),
        pytest.param(SAYS_NOTHING + DONE, OVERFLOW, None, "failed", id="no-deltas-for-who-knows"),
        pytest.param(chunk({}, "stop"), Profile(), LONG, "completed", id="nothing-to-say"),
        pytest.param(
            chunk({}, "length", usage(90, 500)), Profile(), LONG, "incomplete: max_output_tokens", id="hidden"
        ),
        pytest.param(text("x") + chunk({}, "length"), Profile(), LONG, "incomplete: max_output_tokens", id="text"),
        pytest.param(text("x") + chunk({}, WINDOW), Profile(), LONG, "incomplete: max_output_tokens", id="window"),
        pytest.param(
            chunk({"reasoning": "x"}) + chunk({}, "length"),
            Profile(),
            LONG,
            "incomplete: max_output_tokens",
            id="reasoning",
        ),
    ],
)
def test_what_is_no_sign_of_a_full_context(body: bytes, profile: Profile, estimate: int | None, status: str) -> None:
    answer = answer_to([body], profile=profile, estimate=estimate)

    assert answer.status == status
    assert (answer.response["error"] or {}).get("code") in (None, "server_error")


@pytest.mark.parametrize(("limit", "status"), [(16, CUT), (17, "failed")])
def test_a_client_that_wants_no_answer_gets_none(limit: int, status: str) -> None:
    assert answer_to([chunk({}, "length")], asked=request(max_output_tokens=limit), estimate=LONG).status == status


@pytest.mark.parametrize(
    "error",
    [
        pytest.param({"message": "This model's maximum context length is 4096 tokens"}, id="text"),
        pytest.param({"message": "Bad", "code": "context_length_exceeded"}, id="code"),
    ],
)
@pytest.mark.parametrize("said", [b"", text("Hel")], ids=["at-once", "after-output"])
def test_a_full_context_in_a_stream(said: bytes, error: dict[str, str]) -> None:
    answer = answer_to([said + data({"error": error})])

    assert answer.events[-1]["type"] == "response.failed"
    assert answer.response["error"]["code"] == "context_length_exceeded"
    assert answer.output == ([("text", "Hel", "incomplete")] if said else [])


@pytest.mark.parametrize(
    ("body", "profile", "estimate", "noted"),
    [
        pytest.param(chunk({"content": "x"}, "stop", usage(4096, 1)), CUTTING, LONG, True, id="cut"),
        pytest.param(chunk({"content": "x"}, "stop", usage(4096, 1)), Profile(), LONG, False, id="elsewhere"),
        pytest.param(chunk({"content": "x"}, "stop", usage(15_000, 1)), CUTTING, LONG, False, id="all"),
        pytest.param(chunk({"content": "x"}, "stop", usage(50, 1)), CUTTING, SHORT, False, id="short"),
        pytest.param(text("x", "stop"), CUTTING, LONG, False, id="not-told"),
    ],
)
def test_a_conversation_that_was_cut_silently_is_noted(
    body: bytes, profile: Profile, estimate: int, noted: bool
) -> None:
    answer = answer_to([body], profile=profile, estimate=estimate)

    assert any(note.startswith("input: perhaps cut") for note in answer.notes) is noted


# --- what the table does not show -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["flex", "priority", "on_demand", "standard", "auto"])
def test_service_tier(tier: str) -> None:
    answer = answer_to([chunk({"content": "x"}, "stop", service_tier=tier)])

    assert answer.response["service_tier"] == (tier if tier in ("flex", "priority") else "default")


def test_a_model_that_has_another_name_at_the_provider_keeps_the_clients() -> None:
    assert answer_to([chunk({"content": "x"}, "stop", model="acme/x-1")]).response["model"] == "test-model"


def test_call_ids_are_kept_where_they_can_be() -> None:
    body = (
        call(0, id="a", name="f", arguments="{}")
        + call(1, id="a", name="f", arguments="{}")
        + call(2, name="f", arguments="{}")
    )

    ids = [item["call_id"] for item in answer_to([body, chunk({}, "tool_calls")]).response["output"]]

    assert ids[0] == "a"
    assert len(set(ids)) == 3


def test_namespace_of_a_tool_comes_back() -> None:
    tools = {"srv__f": CalledTool("function", "f", "srv")}

    (item,) = answer_to([call(id="a", name="srv__f", arguments="{}", finish="tool_calls")], tools=tools).response[
        "output"
    ]

    assert (item["name"], item["namespace"]) == ("f", "srv")


def test_profiles_of_the_providers_keep_the_reason_of_a_refusal() -> None:
    profile = resolve(platform_named("zhipu"), model="glm-4.6")

    assert answer_to([text("Hel", "sensitive")], profile=profile).status == "incomplete: content_filter"


def test_citations() -> None:
    nested = {
        "type": "url_citation",
        "url_citation": {"url": "http://a", "title": "A", "start_index": 1, "end_index": 2},
    }
    flat = {"type": "url_citation", "url": "http://b", "title": None, "start_index": True, "end_index": "2"}

    answer = answer_to([text("Hello"), chunk({"annotations": [nested, flat, {"type": "other"}]}, "stop")])

    assert answer.response["output"][0]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "http://a", "title": "A", "start_index": 1, "end_index": 2},
        {"type": "url_citation", "url": "http://b", "title": "", "start_index": 0, "end_index": 0},
    ]


LOGPROB = {
    "token": "é",
    "logprob": -0.5,
    "bytes": None,
    "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
}


def test_logprobs() -> None:
    body = {"choices": [{"delta": {"content": "é"}, "logprobs": {"content": [LOGPROB]}, "finish_reason": "stop"}]}

    answer = answer_to([data(body)], logprobs=True)

    assert answer.response["output"][0]["content"][0]["logprobs"] == [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
        }
    ]


def test_logprobs_nobody_asked_for() -> None:
    body = {"choices": [{"delta": {"content": "é"}, "logprobs": {"content": [LOGPROB]}, "finish_reason": "stop"}]}

    assert answer_to([data(body)]).response["output"][0]["content"][0]["logprobs"] == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"token": 5, "logprob": None, "bytes": "x"},
        {"token": "a", "logprob": True, "bytes": [None, "x", 300.5]},
        {"top_logprobs": [None, 5, {}]},
    ],
)
def test_odd_logprobs(entry: dict[str, object]) -> None:
    body = {"choices": [{"delta": {"content": "x"}, "logprobs": {"content": [entry]}, "finish_reason": "stop"}]}

    assert answer_to([data(body)], logprobs=True).output == [("text", "x")]


def test_logprobs_that_are_not_numbers() -> None:
    logprobs = b'{"content":[{"token":"x","logprob":-Infinity},{"logprob":-1e999}]}'
    body = b'data: {"choices":[{"delta":{"content":"x"},"logprobs":' + logprobs + b"}]}\n\n"

    assert answer_to([body, chunk({}, "stop")], logprobs=True).output == [("text", "x")]


# --- reasoning for the next request -----------------------------------------------------------------------------------

SEALED = request(include=["reasoning.encrypted_content"])
DETAIL = {"type": "reasoning.encrypted", "data": "ab", "index": 0}


def test_reasoning_is_sealed_if_asked_for() -> None:
    answer = answer_to([chunk({"reasoning_content": "Hm."}), HELLO], asked=SEALED)

    assert answer.response["output"][0]["encrypted_content"] == 'sealed:["Hm.",[]]'


def test_fragments_of_details_are_merged() -> None:
    more = {**DETAIL, "data": "cd", "format": "x"}

    answer = answer_to(
        [chunk({"reasoning_details": [DETAIL]}), chunk({"reasoning_details": [more]}), HELLO], asked=SEALED
    )

    (reasoning, _) = answer.response["output"]
    assert json.loads(reasoning["encrypted_content"].removeprefix("sealed:")) == [
        "",
        [{**DETAIL, "data": "abcd", "format": "x"}],
    ]


def test_details_beside_the_text_belong_to_the_reasoning_before_it() -> None:
    message = {"reasoning": "Hm.", "content": "Hello", "reasoning_details": [DETAIL]}

    answer = answer_to([completion(message)], asked=SEALED)

    assert answer.output == [HM, *SAID_HELLO]
    assert json.loads(answer.response["output"][0]["encrypted_content"].removeprefix("sealed:")) == ["Hm.", [DETAIL]]


def test_reasoning_as_a_summary() -> None:
    answer = answer_to([chunk({"reasoning_content": "Hm."}), HELLO], asked=request(reasoning={"summary": "auto"}))

    assert answer.response["output"][0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert answer.response["output"][0]["content"] == []


# --- breaking off -----------------------------------------------------------------------------------------------------

RESET = ApiError.upstream("acme closed the connection.")


@pytest.mark.parametrize(
    ("body", "output", "status"),
    [
        pytest.param(b"", [], "failed", id="before-anything"),
        pytest.param(text("Hel"), PARTLY, "failed", id="in-text"),
        pytest.param(text("<thi"), [("text", "<thi", "incomplete")], "failed", id="in-a-tag"),
        pytest.param(
            chunk({"reasoning_content": "H"}), [("reasoning", "H", "incomplete")], "failed", id="in-reasoning"
        ),
        pytest.param(
            call(id="a", name="f", arguments='{"a'), [("call", "f", '{"a', "incomplete")], "failed", id="in-a-call"
        ),
        pytest.param(completion({"content": "Hello"})[:-9], [], "failed", id="in-a-whole-answer"),
        pytest.param(text("Hello", "stop"), SAID_HELLO, "completed", id="after-the-finish"),
    ],
)
def test_the_connection_breaks(body: bytes, output: list[tuple[str, ...]], status: str) -> None:
    answer = answer_to([body], broken_by=RESET)

    assert (answer.output, answer.status) == (output, status)
    if status == "failed":
        assert answer.response["error"] == {"code": "server_error", "message": "acme closed the connection."}


HALF = b"x" * (9 * 1024 * 1024)


@pytest.mark.parametrize(
    "body", [b"data: " + HALF + HALF, b"data: " + HALF + b"\ndata: " + HALF], ids=["line", "event"]
)
def test_an_event_larger_than_allowed_fails_the_stream(body: bytes) -> None:
    answer = answer_to([text("Hel"), body])

    assert (answer.output, answer.status) == (PARTLY, "failed")
    assert "sent too much" in answer.response["error"]["message"]


def test_events_stop_with_the_terminal_one() -> None:
    answer = answer_to([text("Hel") + data({"error": ERROR}) + text("lo", "stop") + DONE])

    assert answer.events[-1]["type"] == "response.failed"
