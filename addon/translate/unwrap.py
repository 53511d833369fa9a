"""The arguments of an emulated custom tool, as pieces of the text {"input": …} → the bare text, while they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from addon.wire.json import Json, JsonError, JsonObject, dumps, is_cut_off, loads

_ALIASES = ("input", "patch", "command", "code", "script", "text", "content", "arguments")
"""The key that was asked for, and those that models use in its stead."""

_ANY_ALIAS = "|".join(_ALIASES)

_INPUT_HEAD = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"input"[ \t\r\n]*:[ \t\r\n]*"')
_ALIAS_HEAD = re.compile(rf'[ \t\r\n]*\{{[ \t\r\n]*"(?:{_ANY_ALIAS})"[ \t\r\n]*:[ \t\r\n]*"')
_PATCH_HEAD = re.compile(rf"{_ALIAS_HEAD.pattern}(?=(?:\s|\\[nrt])*\*\*\* Begin Patch)")

_HEAD_SIZE = 256
"""Within so many characters it must be certain that the text can be streamed. A fixed number, so that the decision
does not depend on how the text was cut, and does not take ever longer."""

_PATCH_BEGINS = "*** Begin Patch"

_HEX = "[0-9a-fA-F]"
_HIGH = rf"[dD][89abAB]{_HEX}{{2}}"
_LOW = rf"[dD][c-fC-F]{_HEX}{{2}}"

_TOKEN = re.compile(
    rf"""(?P<plain>[^"\\]+)
    | (?P<quote>")
    | (?P<open>\\(?:u(?:{_HEX}{{0,3}}|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?))?\Z)
    | (?P<pair>\\u{_HIGH}\\u{_LOW})
    | (?P<unit>\\u{_HEX}{{4}})
    | (?P<escape>\\.)""",
    re.VERBOSE | re.DOTALL,
)
"""What the inside of a JSON string is made of. `open`: the text's end, if what follows can change what it means."""

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_OBJECT_ENDS = re.compile(r'(?:,[ \t\r\n]*)?\}[^"]*\Z')
"""The end of an object whose value was read, and what a model writes behind it: brackets too many, a fence."""

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*[\w+.#-]*")

_HEREDOC = re.compile(
    r"""\s*(?:(?:apply_patch|applypatch|cat)[ \t]*)?<<-?[ \t]*(["']?)(\w+)\1[ \t]*(?:\|[ \t]*apply_?patch[ \t]*)?\n"""
)
"""The first line of a shell command that feeds a patch to the tool. A command that does something else too (changes
the directory, say) is none: the rest would be lost."""


class InputUnwrapper:
    """Pieces of JSON text → the text in it, live.

    An object that begins with a string under `input` is streamed; keys behind it are ignored. Everything else is held
    until `finish`, since only the whole shows what it is (`{"command": "apply_patch", "input": …}`). What was given
    out is never taken back.

    Inside a streamed string, line ends and tabs may stand as they are, and so may a backslash that begins no escape.

    Args:
        patch: the tool takes a patch in the format that begins with `*** Begin Patch`. A string that begins so is
            streamed under any of the usual keys, and one in a here-document or a fence is taken out of it.
    """

    def __init__(self, *, patch: bool = False) -> None:
        self.whole = False
        """After `finish`: the arguments came to their end. As in `is_cut_off`, wrong JSON counts as whole, but not
        where its text may have ended too early, at a quotation mark that should have been escaped."""
        self.closed = False
        """After `finish`: they are a whole JSON document, so they came to their end even if the model was stopped."""
        self._patch = patch
        self._head = _PATCH_HEAD if patch else _INPUT_HEAD
        self._start = ""
        self._held: list[str] = []
        self._value: _StringReader | None = None
        self._given: list[str] = []

    @property
    def text(self) -> str:
        """Everything given out so far."""
        return "".join(self._given)

    def feed(self, piece: str) -> str:
        """The text that this piece makes certain; empty while nothing is."""
        if self._value is not None:
            return self._give(self._value.feed(piece))
        self._held.append(piece)
        if len(self._start) == _HEAD_SIZE:
            return ""
        self._start += piece[: _HEAD_SIZE - len(self._start)]
        head = self._head.match(self._start)
        if head is None:
            return ""
        self._value = _StringReader()
        so_far = "".join(self._held)
        self._held.clear()
        return self._give(self._value.feed(so_far[head.end() :]))

    def finish(self) -> str:
        """The rest of the text, after the last piece. Of arguments that are cut off nothing more is given out."""
        if self._value is not None:
            self.whole, self.closed = self._value.ended_well()
            return ""
        held = "".join(self._held)
        self._held.clear()
        self.whole = not held.strip() or not is_cut_off(held)
        self.closed = _is_document(held)
        return self._give(_text_of(held, patch=self._patch)) if self.whole else ""

    def _give(self, text: str) -> str:
        if text:
            self._given.append(text)
        return text


class BareInput:
    """The input of one of chat's own custom tools, which comes as it is. Reads as `InputUnwrapper` does.

    Nothing in it tells whether it came to its end: it did if the model says that it has finished.
    """

    def __init__(self) -> None:
        self.whole = True
        self.closed = False
        self._given: list[str] = []

    def feed(self, piece: str) -> str:
        self._given.append(piece)
        return piece

    def finish(self) -> str:
        return ""

    @property
    def text(self) -> str:
        return "".join(self._given)


class _StringReader:
    """The inside of a JSON string → its text, while it comes; and whether the object around it ends as one does."""

    def __init__(self) -> None:
        self._open = ""
        self._ended = False
        self._rest: list[str] = []

    def feed(self, piece: str) -> str:
        if self._ended:
            self._rest.append(piece)
            return ""
        return "".join(self._read(self._open + piece))

    def _read(self, text: str) -> Iterator[str]:
        self._open = ""
        for token in _TOKEN.finditer(text):
            match token.lastgroup:
                case "plain":
                    yield token[0]
                case "quote":
                    self._ended = True
                    self._rest.append(text[token.end() :])
                    return
                case "open":
                    self._open = token[0]
                case "pair":
                    yield _pair(token[0])
                case "unit":
                    yield _unit(token[0])
                case _:
                    yield _ESCAPES.get(token[0][1], token[0])

    def ended_well(self) -> tuple[bool, bool]:
        """Whether the object came to its end, and whether it did so as a whole document."""
        if not self._ended:
            return False, False
        closed = _is_document(f'{{"":""{self.rest}')
        return closed or _OBJECT_ENDS.match(self.rest) is not None, closed

    @property
    def rest(self) -> str:
        """What stands behind the string."""
        return "".join(self._rest).strip()


def _pair(escapes: str) -> str:
    high, low = int(escapes[2:6], 16), int(escapes[8:12], 16)
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _unit(escape: str) -> str:
    """The character of one \\u escape. Half of a surrogate pair is none."""
    code = int(escape[2:], 16)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)


def _text_of(arguments: str, *, patch: bool) -> str:
    """The text in arguments that were not streamed."""
    if not arguments.strip():
        return ""
    try:
        document = loads(arguments)
    except JsonError:
        text = _text_of_wrong_json(arguments)
        return _patch_in(text) if patch else text
    if patch:
        patches = [found for found in map(_patch_in, _strings(document)) if _is_patch(found)]
        if len(patches) == 1:
            return patches[0]
    match document:
        case str():
            return document
        case dict():
            return _text_of_object(document)
        case _:
            return arguments


def _text_of_object(document: JsonObject) -> str:
    if "input" in document:
        return _spelled(document["input"])
    texts = {key: value for key, value in document.items() if isinstance(value, str)}
    if len(texts) == 1:
        [(key, text)] = texts.items()
        if len(document) == 1 or key in _ALIASES:
            return text
    return dumps(document) if document else ""


def _spelled(value: Json) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return dumps(value)


def _text_of_wrong_json(arguments: str) -> str:
    """Text that is no JSON, taken out of its fence; or an object in a fence, or with a slip in its only string."""
    text = _unfenced(arguments)
    head = _ALIAS_HEAD.match(text)
    if head is None:
        return text
    reader = _StringReader()
    value = reader.feed(text[head.end() :])
    return value if reader.rest == "}" else text


def _unfenced(text: str) -> str:
    """The inside of a fenced block, if the text is one and nothing else."""
    opening, _, body = text.strip().partition("\n")
    mark = _FENCE.fullmatch(opening.rstrip())
    if mark is None:
        return text
    inside, line_end, closing = f"\n{body}".rpartition("\n")
    if not line_end or closing != mark[1] or f"\n{mark[1]}" in inside:
        return text
    return inside.removeprefix("\n").removesuffix("\r")


def _patch_in(text: str) -> str:
    """The patch that a fence or a here-document holds, else the text as it is."""
    inner = _unfenced(text)
    heredoc = _HEREDOC.match(inner)
    if heredoc is not None:
        inner = inner[heredoc.end() :]
        stripped = inner.rstrip()
        if stripped.endswith(f"\n{heredoc[2]}"):
            inner = stripped.removesuffix(f"\n{heredoc[2]}")
    return inner if _is_patch(inner) else text


def _is_patch(text: str) -> bool:
    return text.lstrip().startswith(_PATCH_BEGINS)


def _strings(document: Json) -> Iterator[str]:
    """The strings of a document, its object's values, and those in lists (a command as its words)."""
    match document:
        case str():
            yield document
        case list():
            yield from (entry for entry in document if isinstance(entry, str))
        case dict():
            for value in document.values():
                if not isinstance(value, dict):
                    yield from _strings(value)
        case _:
            return


def _is_document(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True
