"""The bare text of a custom tool's arguments, however they are written and cut."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.unwrap import InputUnwrapper

PATCH = "*** Begin Patch\n*** Update File: a.txt\n@@\n-b\n+c\n*** End Patch"


@dataclass(frozen=True)
class Case:
    id: str
    arguments: str
    text: str
    patch: bool = False
    whole: bool = True


def case(id: str, arguments: str, text: str, *, patch: bool = False, whole: bool = True) -> Case:
    return Case(id, arguments, text, patch, whole)


def fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```"


def heredoc(command: str, text: str = PATCH, end: str = "\nEOF") -> str:
    return f"{command}\n{text}{end}"


CASES = [
    case("asked-for", '{"input": "SELECT 1"}', "SELECT 1"),
    case("empty-input", '{"input": ""}', ""),
    case("spaces", ' \n{ "input"\t:\r\n"x" }\n ', "x"),
    case("escapes", r'{"input": "\"\\\/\b\f\n\r\tA"}', '"\\/\b\f\n\r\tA'),
    case("pair", r'{"input": "\ud83d\ude00"}', "😀"),
    case("half-pairs", r'{"input": "\ud83d \ude00\ud83d\ud83d\ude00\ud83d\n"}', "\ufffd \ufffd\ufffd😀\ufffd\n"),
    case("line-ends-as-they-are", '{"input": "a\n\tb\r\n"}', "a\n\tb\r\n"),
    case("no-escapes", r'{"input": "\d+\u12 \`"}', r"\d+\u12 \`"),
    case("key-spelled-otherwise", r'{"\u0069nput": "x"}', "x"),
    case("wrapped-twice", r'{"input": "{\"input\": \"x\"}"}', '{"input": "x"}'),
    case("fence-in-json", json.dumps({"input": fenced("x")}), fenced("x")),
    case("more-keys", '{"input": "x", "why": "y"}', "x"),
    case("input-twice", '{"input": "x", "input": "y"}', "x"),
    case("input-later", '{"why": "y", "input": "x"}', "x"),
    case("input-after-an-alias", '{"command": "apply_patch", "input": "x"}', "x"),
    case("behind-the-object", '{"input": "x"}}\n```', "x"),
    case("comma-too-many", '{"input": "x",}', "x"),
    case("input-is-an-object", '{"input": {"a": [1, "é"]}}', '{"a":[1,"é"]}'),
    case("input-is-a-list", '{"input": ["a", 1]}', '["a",1]'),
    case("input-is-a-number", '{"input": 5}', "5"),
    case("input-is-null", '{"input": null}', ""),
    case("alias", '{"code": "x"}', "x"),
    case("alias-and-options", '{"code": "x", "timeout": 5}', "x"),
    case("alias-and-text", '{"code": "x", "why": "y"}', '{"code":"x","why":"y"}'),
    case("alias-with-a-slip", r'{"code": "\d"}', r"\d"),
    case("alias-with-a-slip-and-more", r'{"code": "\d", "a": 1}', r'{"code": "\d", "a": 1}'),
    case("any-single-key", '{"sql": "x"}', "x"),
    case("another-key-and-options", '{"sql": "x", "a": 1}', '{"sql":"x","a":1}'),
    case("no-text", '{"a": 1}', '{"a":1}'),
    case("empty-object", " {} ", ""),
    case("nothing", "", ""),
    case("blank", " \n", ""),
    case("bare-string", ' "x\\n" ', "x\n"),
    case("raw", " print('hi')\n", " print('hi')\n"),
    case("raw-list", "[1, 2]", "[1, 2]"),
    case("raw-number", "42", "42"),
    case("raw-patch", PATCH, PATCH),
    case("raw-braces", "{ let a = 1; }", "{ let a = 1; }"),
    case("fence", fenced("x = 1\n", "python"), "x = 1\n"),
    case("fence-with-space", f"\n{fenced('x', ' js ')}\n", "x"),
    case("fence-crlf", "```js\r\nx\r\n```\r\n", "x"),
    case("fence-of-tildes", "~~~\n```\n~~~", "```"),
    case("empty-fence", "```\n```", ""),
    case("open-fence", "```\nx", "```\nx"),
    case("one-line-of-fence", "```x```", "```x```"),
    case("two-fences", f"{fenced('x')}\n{fenced('y')}", f"{fenced('x')}\n{fenced('y')}"),
    case("text-around-the-fence", f"Here:\n{fenced('x')}", f"Here:\n{fenced('x')}"),
    case("object-in-a-fence", fenced('{"input": "x"}', "json"), "x"),
    case("heredoc-for-another-tool", heredoc("apply_patch <<'EOF'"), heredoc("apply_patch <<'EOF'")),
    case("patch", json.dumps({"input": PATCH}), PATCH, patch=True),
    case("patch-with-line-ends", json.dumps({"input": f"\n{PATCH}\n"}), f"\n{PATCH}\n", patch=True),
    case("patch-alias", json.dumps({"patch": PATCH, "why": "y"}), PATCH, patch=True),
    case("patch-another-key", json.dumps({"why": "y", "diff": PATCH}), PATCH, patch=True),
    case("patch-raw", PATCH, PATCH, patch=True),
    case("patch-fenced", fenced(PATCH, "diff"), PATCH, patch=True),
    case("patch-fenced-in-json", json.dumps({"input": fenced(PATCH)}), PATCH, patch=True),
    case("patch-heredoc", json.dumps({"input": heredoc("apply_patch <<'EOF'")}), PATCH, patch=True),
    case("patch-heredoc-raw", heredoc('applypatch << "EOF" ') + "\n", PATCH, patch=True),
    case("patch-heredoc-fenced", fenced(heredoc("cat <<EOF | apply_patch"), "bash"), PATCH, patch=True),
    case("patch-heredoc-open", heredoc("<<'EOF'", end="\n"), f"{PATCH}\n", patch=True),
    case("patch-of-words", json.dumps({"command": ["apply_patch", PATCH]}), PATCH, patch=True),
    case("patch-of-a-shell", json.dumps(["bash", "-lc", heredoc("apply_patch <<'EOF'")]), PATCH, patch=True),
    case(
        "heredoc-elsewhere", heredoc("cd x && apply_patch <<'EOF'"), heredoc("cd x && apply_patch <<'EOF'"), patch=True
    ),
    case("heredoc-of-no-patch", heredoc("cat <<'EOF'", "x"), heredoc("cat <<'EOF'", "x"), patch=True),
    case("no-patch", '{"input": "x"}', "x", patch=True),
    case("cut-in-the-text", '{"input": "ab', "ab", whole=False),
    case("cut-in-a-pair", r'{"input": "ab\ud83d\ude', "ab", whole=False),
    case("cut-behind-the-text", '{"input": "ab"', "ab", whole=False),
    case("cut-in-another-key", '{"input": "ab", "c', "ab", whole=False),
    case("cut-before-the-text", '{"input": ', "", whole=False),
    case("cut-alias", '{"code": "ab', "", whole=False),
    case("cut-list", '["a", ', "", whole=False),
    case("cut-string", '"ab', "", whole=False),
    case("quotes-unescaped", '{"input": "say "hi" now"}', "say ", whole=False),
    case("quotes-unescaped-at-a-brace", '{"input": "f({"a": "}")"}', "f({", whole=False),
    case("said-twice", '{"input": "x"}{"input": "x"}', "x", whole=False),
]


def read(pieces: Sequence[str], *, patch: bool = False) -> InputUnwrapper:
    """The unwrapper after these pieces, of which everything given out is in its text."""
    unwrapper = InputUnwrapper(patch=patch)
    given = ""
    for piece in pieces:
        given += unwrapper.feed(piece)
        assert unwrapper.text == given
        assert not unwrapper.whole
    given += unwrapper.finish()
    assert unwrapper.text == given
    return unwrapper


def cut(text: str, at: Sequence[int]) -> list[str]:
    places = [0, *sorted(place % (len(text) + 1) for place in at), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_text(case: Case) -> None:
    unwrapper = read([case.arguments], patch=case.patch)
    assert (unwrapper.text, unwrapper.whole) == (case.text, case.whole)
    unwrapper = InputUnwrapper(patch=case.patch)
    unwrapper.feed(case.arguments)
    unwrapper.finish()
    assert unwrapper.text == case.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_cut_gives_the_same(case: Case) -> None:
    expected = (case.text, case.whole)
    splits = [cut(case.arguments, [place]) for place in range(len(case.arguments))]
    for pieces in (list(case.arguments), *splits):
        unwrapper = read(pieces, patch=case.patch)
        assert (unwrapper.text, unwrapper.whole) == expected


@pytest.mark.parametrize(
    ("pieces", "given", "patch"),
    [
        pytest.param(['{"inp', 'ut": "a', "b\\", "n", '"}'], ["", "a", "b", "\n", ""], False, id="input"),
        pytest.param(
            ['{"input":"', "\\ud83d", "\\ude00", "\\ud8ff", "x"], ["", "", "😀", "", "\ufffdx"], False, id="pair"
        ),
        pytest.param(['{"input":"a"', ',"b":"', 'c"}'], ["a", "", ""], False, id="more-keys"),
        pytest.param(['{"code":"a', 'b"}'], ["", ""], False, id="alias"),
        pytest.param(['{"patch":"*** Begin', " Patch", "\\n"], ["", "*** Begin Patch", "\n"], True, id="patch"),
        pytest.param(['{"input":"\\n*** Begin Patch', "x"], ["\n*** Begin Patch", "x"], True, id="patch-line-end"),
        pytest.param(['{"input":"apply_patch <<', "E"], ["", ""], True, id="heredoc"),
        pytest.param([" " * 300, '{"input":"x'], ["", ""], False, id="far-behind"),
    ],
)
def test_text_is_given_out_once_it_is_certain(pieces: list[str], given: list[str], patch: bool) -> None:
    unwrapper = InputUnwrapper(patch=patch)
    assert [unwrapper.feed(piece) for piece in pieces] == given


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        ('{"input": "x"}', True),
        ('{"input": "x", "a": 1}', True),
        ('{"code": "x"}', True),
        ("{}", True),
        ('{"input": "x"}}', False),
        ('{"input": "x', False),
        ("print(1)", False),
        ("", False),
    ],
)
def test_closed_means_a_whole_document(arguments: str, closed: bool) -> None:
    assert read([arguments]).closed is closed


TEXTS = st.text() | st.text(alphabet='a"\\{}[]:,\n\r\t/u0d8cé😀\x00 `')
SPACES = st.text(alphabet=" \t\r\n", max_size=3)
CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=8)


@st.composite
def spellings(draw: st.DrawFn, text: str) -> str:
    """One of the ways to write the text as a JSON string."""
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=draw(st.booleans()))
    spelled = "".join(_escaped(character) if draw(st.booleans()) else _plain(character) for character in text)
    return f'"{spelled}"'


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _plain(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1].replace("/", "\\/")


@st.composite
def wrapped(draw: st.DrawFn, text: str) -> str:
    s1, s2, s3, s4, s5 = (draw(SPACES) for _ in range(5))
    return f'{s1}{{{s2}"input"{s3}:{s4}{draw(spellings(text))}{s5}}}{s1}'


@given(text=TEXTS, at=CUTS, patch=st.booleans(), data=st.data())
def test_every_text_comes_back_from_every_spelling(text: str, at: list[int], patch: bool, data: st.DataObject) -> None:
    text = f"*** Begin Patch\n{text}" if patch else text
    unwrapper = read(cut(data.draw(wrapped(text)), at), patch=patch)
    assert (unwrapper.text, unwrapper.whole, unwrapper.closed) == (text, True, True)


@given(text=TEXTS, end=st.integers(min_value=0), at=CUTS, data=st.data())
def test_a_beginning_is_never_whole_and_gives_a_beginning(
    text: str, end: int, at: list[int], data: st.DataObject
) -> None:
    arguments = data.draw(wrapped(text)).strip()
    unwrapper = read(cut(arguments[: 1 + end % (len(arguments) - 1)], at))
    assert not unwrapper.whole
    assert not unwrapper.closed
    assert text.startswith(unwrapper.text)


FRAGMENTS = [
    '{"input": "', '{"patch":"', "*** Begin Patch", "\\n", "\\", "\\ud83d", "\\ude00", '"', '"}', "}", '","a":1}',
    "```js\n", "\n```", "apply_patch <<'EOF'\n", "\nEOF", '["', " ", "x", "\\u00e", "\\x", "\n",
]  # fmt: skip


@given(
    arguments=st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    at=CUTS,
    patch=st.booleans(),
)
def test_every_cut_of_anything_gives_the_same(arguments: str, at: list[int], patch: bool) -> None:
    one, other = read([arguments], patch=patch), read(cut(arguments, at), patch=patch)
    assert (one.text, one.whole, one.closed) == (other.text, other.whole, other.closed)


KEYS = st.sampled_from(["input", "patch", "code", "a", ""]) | st.text()
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(document=DOCUMENTS, patch=st.booleans())
def test_no_document_is_too_odd(document: object, patch: bool) -> None:
    unwrapper = read([json.dumps(document)], patch=patch)
    assert unwrapper.whole
    assert unwrapper.closed


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param('{"input": "' + "\\n\\ud83d\\ude00" * 20_000 + '"}', id="escapes"),
        pytest.param('{"input": "x"' + " " * 400_000, id="spaces-behind"),
        pytest.param("{" + " " * 400_000 + '"input": "x"}', id="spaces-before"),
        pytest.param("x" * 400_000, id="raw"),
        pytest.param("``` " + " " * 400_000 + "!\n```", id="fence"),
        pytest.param("cat <<" + "E" * 400_000, id="heredoc"),
        pytest.param('{"code": "' + "\\d" * 200_000 + '"}', id="slips"),
    ],
)
@pytest.mark.parametrize("patch", [False, True])
def test_time_grows_with_the_length_only(arguments: str, patch: bool) -> None:
    begin = time.process_time()
    unwrapper = InputUnwrapper(patch=patch)
    for character in arguments:
        unwrapper.feed(character)
    unwrapper.finish()
    assert time.process_time() - begin < 5
