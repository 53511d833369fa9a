"""Text for the terminal: columns that line up, paragraphs that fit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
"""Columns that any terminal in use has."""


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Each row as a line, its cells below one another."""
    widths = [max(len(row[at]) if at < len(row) else 0 for row in rows) for at in range(max(map(len, rows), default=0))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return [f"{indent}{line}".rstrip() for line in lines]


def wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """A paragraph: its first line begins with `first`, the others with `rest` or as many blanks.

    URLs and names stay whole, even where they are too long for a line.
    """
    following = " " * len(first) if rest is None else rest
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=following, break_long_words=False, break_on_hyphens=False
    )
    return lines or [first.rstrip()]
