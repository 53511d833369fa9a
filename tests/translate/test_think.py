"""Thinking between tags, however the text is cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.think import ThinkSplitter

TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))


def split(portions: Sequence[str], tags: Sequence[tuple[str, str]] = TAGS) -> tuple[str, str]:
    """What was thought, and what was said."""
    splitter = ThinkSplitter(tags)
    pieces = [*(piece for portion in portions for piece in splitter.feed(portion)), *splitter.flush()]
    kinds = [piece.kind for piece in pieces]
    assert kinds == sorted(kinds), "thinking comes first"
    return (
        "".join(piece.text for piece in pieces if piece.kind == "reasoning"),
        "".join(piece.text for piece in pieces if piece.kind == "text"),
    )


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("Hello", "", "Hello"),
        ("<think>Hm</think>Hello", "Hm", "Hello"),
        ("<think>\nHm\n\n</think>\n\nHello", "Hm", "\n\nHello"),
        (" \n<think>Hm</think>", "Hm", ""),
        ("[THINK]Hm[/THINK]Hello", "Hm", "Hello"),
        ("<think>Hm[/THINK]</think>Hello", "Hm[/THINK]", "Hello"),
        ("<think>Hm", "Hm", ""),
        ("<think>Hm</thi", "Hm</thi", ""),
        ("<think>a < b</think>", "a < b", ""),
        ("<think></think>Hello", "", "Hello"),
        ("<think>Hm</think><think>x</think>", "Hm", "<think>x</think>"),
        ("Hm</think>Hello", "", "Hm</think>Hello"),
        ("a<think>b</think>", "", "a<think>b</think>"),
        ("<thing>", "", "<thing>"),
        ("<thi", "", "<thi"),
        (" \n", "", " \n"),
        ("", "", ""),
    ],
)
def test_split(text: str, thought: str, said: str) -> None:
    assert split([text]) == (thought, said)
    assert split(list(text)) == (thought, said)


def test_without_tags_all_is_text() -> None:
    assert split(["<think>Hm</think>"], ()) == ("", "<think>Hm</think>")


def test_text_is_not_held_back_once_it_is_clear() -> None:
    splitter = ThinkSplitter(TAGS)

    assert [piece.text for piece in splitter.feed("<thi")] == []
    assert [piece.text for piece in splitter.feed("s is")] == ["<this is"]
    assert [piece.text for piece in splitter.feed(" <think>")] == [" <think>"]


def test_thinking_is_not_held_back() -> None:
    splitter = ThinkSplitter(TAGS)

    assert [piece.text for piece in splitter.feed("<think>Hm, a</")] == ["Hm, a"]


TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "/", "think>", "[THINK]", "\n", " ", "a", "é"]), max_size=8
)


@given(TEXTS.map("".join), st.lists(st.integers(0, 40), max_size=6))
def test_any_cut_gives_the_same(text: str, cuts: list[int]) -> None:
    ends = sorted(cut % (len(text) + 1) for cut in cuts)
    portions = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]

    assert split(portions) == split([text])
