"""Which inputs fit the grammar of a custom tool, and what a model is told of those that do not."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate import grammar
from addon.translate.grammar import InputCheck, compile_format
from addon.wire.json import Json, JsonObject

CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"
LINES = st.text(alphabet=st.characters(exclude_characters="\n\r"), min_size=1)


def objects(value: Json) -> Iterator[JsonObject]:
    if isinstance(value, dict):
        yield value
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for entry in entries:
        yield from objects(entry)


def captured(name: str, kind: str) -> list[JsonObject]:
    capture: Json = json.loads((CAPTURES / f"{name}.json").read_text())
    return [entry for entry in objects(capture) if entry.get("type") == kind]


def check_of(name: str, tool: str) -> InputCheck:
    [form] = [entry["format"] for entry in captured(name, "custom") if entry["name"] == tool]
    assert isinstance(form, dict)
    check = compile_format(form)
    assert check is not None
    return check


def form(syntax: str, definition: str) -> JsonObject:
    return {"type": "grammar", "syntax": syntax, "definition": definition}


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("codex-classic-parallel-2", "apply_patch"),
        ("codex-classic-patch-3", "apply_patch"),
        ("codex-lite-code-2", "exec"),
        ("codex-lite-notify-2", "exec"),
        ("openai-py-custom-2", "run_sql"),
    ],
)
def test_captured_inputs_fit(name: str, tool: str) -> None:
    check = check_of(name, tool)
    inputs = [call["input"] for call in captured(name, "custom_tool_call") if call["name"] == tool]
    assert inputs
    assert [check.problem(str(text)) for text in inputs] == [None] * len(inputs)


@pytest.mark.parametrize("source", ["text(1)", "// @exec: {}\nconst a = `\n`;", "\n", '{"a": [1]}'], ids=repr)
def test_javascript_fits(source: str) -> None:
    assert check_of("codex-lite-plain", "exec").problem(source) is None


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        ("*** Begin Patch\n*** Delete File: a\n*** End Patch\n", None),
        (
            "*** Begin Patch\n*** Update File: a\n*** Move to: b\n@@ def x\n a\n-\n+c\n*** End of File\n*** End Patch",
            None,
        ),
        ("*** Begin Patch\n*** Add File: a\n+\n+ü \n*** End Patch", None),
        ("", 'The input ends too early for the tool\'s grammar; expected there: "*** Begin Patch"'),
        (
            "ls\nx",
            'The input does not fit the tool\'s grammar at line 1, column 1: "ls\\n"; expected: "*** Begin Patch"',
        ),
        (
            "*** Begin Patch\n*** Add File: a\nfoo\n*** End Patch",
            'The input does not fit the tool\'s grammar at line 3, column 1: "foo\\n"; expected: "+"',
        ),
        (
            "*** Begin Patch\n*** Delete File: a\n*** End Patch\nx",
            'The input does not fit the tool\'s grammar at line 4, column 1: "x"; expected: the end of the input',
        ),
    ],
)
def test_patch(patch: str, problem: str | None) -> None:
    assert check_of("codex-classic-plain", "apply_patch").problem(patch) == problem


@given(added=st.lists(LINES | st.just(""), min_size=1), name=LINES)
def test_a_file_of_any_lines_fits(added: list[str], name: str) -> None:
    lines = "".join(f"+{line}\n" for line in added)
    patch = f"*** Begin Patch\n*** Add File: {name}\n{lines}*** End Patch"
    assert check_of("codex-classic-plain", "apply_patch").problem(patch) is None


@pytest.mark.parametrize(
    ("syntax", "definition", "fits", "fails"),
    [
        ("regex", "SELECT .*", "SELECT 1", "SELECT 1\n"),
        ("regex", r"(?<year>\d{4})-(?P<month>\d\d)\z", "2025-01", "2025-1"),
        ("regex", r"(?<!x)[(?<]\(?", "?(", "x"),
        ("regex", "a|ab", "ab", "abc"),
        ("regex", "(ab)+", "abab", "aba"),
        ("lark", 'start: "a" /x*/ "b"', "axxb", "ab c"),
        ("lark", 'start: "a" /[^b]*/ "b"', "ab", "abb"),
        ("lark", 'start: "/.*/" // /.*/\n', "/.*/", "x"),
        ("lark", "start: CNAME (NUMBER | ESCAPED_STRING)\n%import common (CNAME, NUMBER, ESCAPED_STRING)", 'a"b"', "a"),
        ("lark", 'start: item ("," item)*\nitem: WORD\n%import common.WORD\n%ignore " "', "a, b", "a b"),
    ],
)
def test_fits(syntax: str, definition: str, fits: str, fails: str) -> None:
    check = compile_format(form(syntax, definition))
    assert check is not None
    assert check.problem(fits) is None
    assert check.problem(fails)


@pytest.mark.parametrize(
    "declared",
    [
        None,
        {"type": "text"},
        {"type": "grammar", "syntax": "lark"},
        form("gbnf", "root ::= [0-9]+"),
        form("regex", "("),
        form("regex", r"\p{L}+"),
        form("regex", "[[:alpha:]]"),
        form("regex", "[a-z&&[^b]]"),
        form("regex", r"\<a\>"),
        form("regex", "(a+)+b"),
        form("regex", "(?:(x|a{2,})*)+"),
        form("regex", "a" * 30_000),
        form("lark", "start: missing"),
        form("lark", "no grammar"),
        form("lark", "start: /(a+)+/"),
        form("lark", "start: A\nA: /.*/"),
        form("lark", "start: a | b\na: /x/\nb: /x/"),
        form("lark", "%import python.NAME\nstart: NAME"),
        form("lark", "%import .secret.NAME\nstart: NAME"),
        form("lark", 'start: x\nx: %json {"type": "object"}'),
    ],
    ids=lambda declared: str(declared)[:80],
)
def test_what_cannot_be_checked_is_not(declared: JsonObject | None) -> None:
    assert compile_format(declared) is None


def test_without_lark_only_expressions_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lark", None)
    grammar._compiled.cache_clear()
    assert compile_format(form("lark", 'start: "a"')) is None
    assert compile_format(form("regex", "a")) is not None
    grammar._compiled.cache_clear()


@pytest.mark.parametrize(
    ("syntax", "definition", "text"),
    [
        ("regex", "a+", "b" * 30_000),
        ("regex", ".*a.*b.*c", "a" * 300),
        ("lark", 'start: "a"+', "b" * 60_000),
    ],
)
def test_long_inputs_are_not_checked(syntax: str, definition: str, text: str) -> None:
    check = compile_format(form(syntax, definition))
    assert check is not None
    assert check.problem(text) is None
    assert check.problem("x")


@pytest.mark.parametrize(
    ("syntax", "definition", "text"),
    [
        ("regex", ".*a.*b", "a" * 3_000),
        ("regex", ".*a.*a.*b", "a" * 215),
        ("lark", 'start: x\nx: "a" x | "a"', "a" * 49_999 + "b"),
    ],
)
def test_a_check_takes_no_long_time(syntax: str, definition: str, text: str) -> None:
    check = compile_format(form(syntax, definition))
    assert check is not None
    begin = time.process_time()
    assert check.problem(text)
    assert time.process_time() - begin < 3
