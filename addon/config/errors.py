"""The one error of this package, and how it names the place."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands in the file: the keys and indexes that lead there."""


class ConfigError(Exception):
    """The configuration cannot be used. The message names the place, what is wrong there, and the remedy."""


def problem_at(source: str, at: KeyPath, problem: str) -> ConfigError:
    """The error for one key of a source (a file, or the environment)."""
    place = ".".join(str(part) for part in at)
    return ConfigError(f"{source}: {place}: {problem}" if place else f"{source}: {problem}")


def did_you_mean(word: str, known: Sequence[str], *, listed: bool = True) -> str:
    """A sentence that offers the known word nearest to a misspelt one, else (if `listed`) all of them."""
    close = get_close_matches(word, known, n=1)
    if close:
        return f" Did you mean {close[0]}?"
    return f" Known: {', '.join(known)}." if listed and known else ""


def file_trouble(error: OSError | UnicodeDecodeError) -> str:
    """Why a file could not be read, in a few words."""
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or type(error).__name__
