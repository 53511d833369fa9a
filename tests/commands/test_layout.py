"""Columns and paragraphs."""

from addon.commands.layout import WIDTH, aligned, wrapped


def test_cells_stand_below_one_another():
    assert aligned([("a", "bb"), ("ccc", "d"), ("", "e")]) == ["  a    bb", "  ccc  d", "       e"]


def test_rows_may_be_of_different_lengths():
    assert aligned([("a",), ("b", "c")], indent="") == ["a", "b  c"]
    assert aligned([]) == []


def test_a_paragraph_keeps_its_indent_and_the_width():
    lines = wrapped("word " * 60, "  - ")
    assert lines[0].startswith("  - word")
    assert all(line.startswith("    word") for line in lines[1:])
    assert max(map(len, lines)) <= WIDTH


def test_a_long_word_stays_whole():
    url = "https://example.com/" + "x" * WIDTH
    assert url in wrapped(f"See {url}")


def test_no_text_is_still_a_line():
    assert wrapped("", "  - ") == ["  -"]
