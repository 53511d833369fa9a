"""Every scenario has a test that bears its id."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

COUNTS = {"a": 12, "b": 12, "c": 19, "d": 11, "e": 14, "f": 5, "g": 12}
FILES = {file.name[5]: file for file in Path(__file__).parent.glob("test_[a-g]_*.py")}
TEST = re.compile(r"^def test_([a-g])(\d+)_\w+\(", re.M)


@pytest.mark.parametrize("group", COUNTS)
def test_every_scenario_has_a_test(group: str) -> None:
    found = TEST.findall(FILES[group].read_text("utf-8"))

    assert {letter for letter, _ in found} == {group}
    assert {int(number) for _, number in found} == set(range(1, COUNTS[group] + 1))


def test_there_are_85() -> None:
    assert sum(COUNTS.values()) == 85
