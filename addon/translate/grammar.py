"""The declared format of a custom tool → a check of what a model wrote for it.

A provider without custom tools only tells the model of the grammar; nothing holds the model to it. The check is a
help, not a gate: where a grammar cannot be read with certainty, or the text is too long, there is no check.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from addon.wire.json import JsonObject, dumps

if TYPE_CHECKING:
    from lark import Lark

_MAX_DEFINITION = 20_000
_MAX_LARK_TEXT = 50_000
"""In characters. The parser takes up to 0.3 s for so much text, where each character is a token."""

_MAX_REGEX_TEXT = 20_000
_MAX_REGEX_STEPS = 10_000_000
"""How often `re` may go back and try again: about 0.2 s."""

_MAX_EXPECTED = 12
_MAX_EXCERPT = 40


class InputCheck(Protocol):
    def problem(self, text: str) -> str | None:
        """What is wrong with the input, in a sentence for the model. None: it fits, or is too long to be checked."""
        ...


def compile_format(form: JsonObject | None) -> InputCheck | None:
    """The check that a tool's `format` asks for.

    None: it asks for none, or for one that cannot be made here. That is so for a syntax of its own dialect, for
    regular expressions that could take `re` too long, and for lark grammars if the package `lark` is missing.
    """
    match form:
        case {"type": "grammar", "syntax": "regex", "definition": str(definition)}:
            return _compiled("regex", definition)
        case {"type": "grammar", "syntax": "lark", "definition": str(definition)}:
            return _compiled("lark", definition)
        case _:
            return None


@lru_cache(maxsize=64)
def _compiled(syntax: str, definition: str) -> InputCheck | None:
    """Clients send the same tools with every request; to build a parser takes longer than to use it."""
    if len(definition) > _MAX_DEFINITION:
        return None
    return _regex_check(definition) if syntax == "regex" else _lark_check(definition)


class _RegexCheck:
    def __init__(self, definition: str, pattern: re.Pattern[str], longest: int) -> None:
        self._definition = definition
        self._pattern = pattern
        self._longest = longest

    def problem(self, text: str) -> str | None:
        if len(text) > self._longest or self._pattern.fullmatch(text):
            return None
        return f"The input as a whole does not match the regular expression {self._definition}"


REGEX_ATOM = re.compile(r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\.)|\(\?P?<(?=[A-Za-z_])|.", re.DOTALL)

_WORD_EDGES = (r"\<", r"\>", r"\b{")
"""Edges of words in Rust, plain characters in Python."""

_PYTHON_SPELLINGS = {"(?<": "(?P<", r"\z": r"\Z"}

_REPEATED = re.compile(r"[*+]|\{\d*,?\d*\}")
_REPEATED_AT_WILL = re.compile(r"[*+]|\{\d*,\d*\}")


def _regex_check(definition: str) -> InputCheck | None:
    """A check of a regular expression, which is in the syntax of Rust's `regex`.

    Named groups and the end of the text are spelled as Python wants it. What Python does not know (`\\p{…}`, flags in
    the middle), or reads differently (sets in sets, edges of words), leaves no check.
    """
    if _may_take_too_long(definition) or any(edge in definition for edge in _WORD_EDGES):
        return None
    spelled = "".join(_PYTHON_SPELLINGS.get(atom[0], atom[0]) for atom in REGEX_ATOM.finditer(definition))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _RegexCheck(definition, re.compile(spelled), _longest_text(definition))
    except (re.error, Warning, OverflowError, RecursionError):
        return None


def _may_take_too_long(pattern: str) -> bool:
    """True if something that matches more or less often is itself repeated, as in `(a+)*`.

    Rust and the grammar engines match such patterns in linear time, `re` possibly in exponential time.
    """
    groups = [False]
    for atom in REGEX_ATOM.finditer(pattern):
        if atom[0].startswith("("):
            groups.append(False)
            continue
        elastic = groups.pop() if atom[0] == ")" and len(groups) > 1 else False
        if elastic and _REPEATED.match(pattern, atom.end()):
            return True
        groups[-1] = groups[-1] or elastic or _REPEATED_AT_WILL.match(pattern, atom.end()) is not None
    return False


def _longest_text(pattern: str) -> int:
    """How long a text may be: each repeat of nearly any character can multiply the steps by the text's length."""
    wide = sum(
        1
        for atom in REGEX_ATOM.finditer(pattern)
        if atom[0].startswith((".", "[^", r"[\s\S", r"\S", r"\D", r"\W")) and _REPEATED.match(pattern, atom.end())
    )
    return min(_MAX_REGEX_TEXT, int(_MAX_REGEX_STEPS ** (1 / max(wide, 1))))


class _LarkCheck:
    def __init__(self, parser: Lark) -> None:
        self._parser = parser

    def problem(self, text: str) -> str | None:
        return None if len(text) > _MAX_LARK_TEXT else _lark_problem(self._parser, text)


_FOREIGN = re.compile(r"^[ \t]*%import[ \t]+(?!common\b)|^[ \t]*%(?:llguidance|json|regex)\b", re.MULTILINE)
"""Imports from elsewhere than lark's own `common` would read files; the rest are directives that lark has not."""

_GRAMMAR_LITERAL = re.compile(
    r"""  "(?:\\.|[^"\\\n])*"i?
    | //[^\n]*
    | /(?!/)\(?(?P<any>[.\w]|\\[A-Za-z]|\[\^?\]?(?:\\.|[^\]\\/])*\])\*\)?/(?P<flags>[imslux]*)
    | /(?!/)(?:\\.|[^/\\])*/[imslux]*""",
    re.VERBOSE,
)


def _lark_check(definition: str) -> InputCheck | None:
    """A check by lark's LALR parser, the only one of its parsers whose time grows with the text's length alone.

    Earley's takes minutes for a few thousand characters of an innocent grammar. A grammar that needs it has no check.
    LALR settles on one reading of each token, so where two are possible it may object to a text that fits by the other.
    """
    try:
        from lark import Lark
        from lark.exceptions import LarkError
    except ImportError:
        return None
    if _FOREIGN.search(definition):
        return None
    grammar = _GRAMMAR_LITERAL.sub(_without_empty_tokens, definition)
    try:
        parser = Lark(grammar, parser="lalr", lexer="contextual")
    except (LarkError, ValueError, AssertionError, RecursionError):
        return None
    slow = any(_may_take_too_long(terminal.pattern.to_regexp()) for terminal in parser.terminals)
    return None if slow else _LarkCheck(parser)


def _without_empty_tokens(literal: re.Match[str]) -> str:
    """`/.*/` as an optional `/.+/`: lark's lexers have no tokens without text."""
    if literal["any"] is None:
        return literal[0]
    return f"(/{literal['any']}+/{literal['flags']}?)"


def _lark_problem(parser: Lark, text: str) -> str | None:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        parser.parse(text)
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        return _complaint(parser, text, len(text) if at_end else error.pos_in_stream, error.accepts or error.expected)
    except UnexpectedCharacters as error:
        return _complaint(parser, text, error.pos_in_stream, error.allowed or ())
    return None


def _complaint(parser: Lark, text: str, position: int | None, expected: Iterable[str]) -> str:
    place = position or 0
    names = sorted({_shown(parser, name) for name in expected}) or ["the end of the input"]
    more = ", …" if len(names) > _MAX_EXPECTED else ""
    wanted = f"{', '.join(names[:_MAX_EXPECTED])}{more}"
    if place >= len(text):
        return f"The input ends too early for the tool's grammar; expected there: {wanted}"
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    excerpt = dumps(text[place : place + _MAX_EXCERPT].splitlines(keepends=True)[0])
    return f"The input does not fit the tool's grammar at line {line}, column {column}: {excerpt}; expected: {wanted}"


def _shown(parser: Lark, terminal: str) -> str:
    """A terminal as the grammar spells it; those without a name have one that says nothing."""
    if terminal in ("$END", "<END-OF-FILE>"):
        return "the end of the input"
    pattern = parser.get_terminal(terminal).pattern
    return dumps(pattern.value) if pattern.type == "str" else f"/{pattern.value}/"
