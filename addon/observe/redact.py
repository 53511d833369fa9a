"""Text that may hold keys goes in; the same text with `[hidden]` in place of each key comes out.

Known keys are found by value. Others, such as a key that a provider quotes in an error message, by the shape of what
surrounds them.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[hidden]"

_SHORT = 8
"""A key below this length (such as a local server's `EMPTY`) is hidden only where it stands alone as a word."""

_SHAPES = (
    # Authorization: Bearer KEY. What else follows the word in error messages is left alone.
    r"(?<=\bbearer\s)(?!(?:auth\w*|tokens?|scheme|keys?)\b)[^\s\"',;]+",
    # api-key: KEY and x-api-key: KEY, as header or in JSON
    r"(?<=api-key:)\s*[^\s\"',;]+",
    r"(?<=api-key\":\")[^\"]+",
    r"(?<=api-key\":\s\")[^\"]+",
    r"(?<=api_key=)[^\s\"',;&]+",
    # Incorrect API key provided: KEY
    r"(?<=api key provided:)\s*[^\s\"',;]+",
    # Keys that begin with sk-, whole or masked
    r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_*.…-]{3,}",
    # Masked keys of any other kind. Only from the start of a word: else the time for a long one grows with its square.
    r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+\*{3,}[A-Za-z0-9_-]*",
)


_BY_SHAPE = re.compile("|".join(_SHAPES), re.IGNORECASE)


class Redactor:
    """Hides keys in log lines and in what providers say."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=lambda form: -len(form))
        self._known = re.compile("|".join(map(_literal, known))) if known else None

    def redact(self, text: str) -> str:
        """The text without any key."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _BY_SHAPE.sub(_hidden, text)


def _hidden(match: re.Match[str]) -> str:
    space = match[0][: len(match[0]) - len(match[0].lstrip())]
    return f"{space}{HIDDEN}"


def _forms(secret: str) -> tuple[str, ...]:
    """How a key may be written: as it is, within JSON, within a URL."""
    return secret, json.dumps(secret)[1:-1], quote(secret, safe="")


def _literal(form: str) -> str:
    escaped = re.escape(form)
    return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])" if len(form) < _SHORT else escaped
