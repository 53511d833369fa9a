from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.providers.profile import ToolIdRule
from addon.translate.call_ids import CallIds

RULES = {
    "default": ToolIdRule(),
    "nine": ToolIdRule(max_len=9, exact_len=9, charset="[A-Za-z0-9]"),
    "forty": ToolIdRule(max_len=40),
    "long": ToolIdRule(max_len=100, exact_len=100),
    "digits": ToolIdRule(max_len=12, charset="[0-9]"),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def assign(rule: ToolIdRule, wanted: list[str]) -> list[str]:
    ids = CallIds(rule)
    return [ids.assign(one) for one in wanted]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (["call_1", "x-Y_9"], ["call_1", "x-Y_9"]),
        (["", "a", ""], ["call_1", "a", "call_3"]),
        (["a", "a", "a_2", "a"], ["a", "a_2", "a_2_2", "a_3"]),
    ],
)
def test_fitting_ids_are_kept_and_double_ones_numbered(wanted: list[str], given: list[str]) -> None:
    assert assign(ToolIdRule(), wanted) == given


@every_rule
@settings(deadline=None)
@given(
    wanted=st.lists(st.text(max_size=70) | st.sampled_from(["call_a", "a" * 70, "functions.run:0", "", "123456789"]))
)
def test_ids_fit_are_unique_and_depend_on_the_past_alone(rule: ToolIdRule, wanted: list[str]) -> None:
    ids = assign(rule, wanted)
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert re.fullmatch(f"(?:{rule.charset})+", one)
        assert len(one) == rule.exact_len if rule.exact_len else len(one) <= rule.max_len
    assert assign(rule, wanted[: len(wanted) // 2]) == ids[: len(wanted) // 2]


def test_an_id_is_the_same_in_every_history() -> None:
    rule = RULES["nine"]
    assert assign(rule, ["call_long_id"]) == assign(rule, ["other_long_id", "call_long_id"])[1:]


def test_a_rule_without_enough_ids_does_not_hang() -> None:
    assert len(assign(ToolIdRule(max_len=1, exact_len=1, charset="[a]"), ["x", "y"])) == 2
