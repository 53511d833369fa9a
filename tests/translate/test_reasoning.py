from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.providers.platforms import profile_for
from addon.providers.profile import Profile
from addon.translate.carrier import Carrier
from addon.translate.history import Thought
from addon.translate.notes import Notes
from addon.translate.reasoning import (
    NO_MEMORY,
    Sealed,
    claims_reasoning,
    read_sealed,
    recall,
    seal,
    sealer,
    thinking_params,
    unseal,
)
from addon.wire.responses import Reasoning, TextPart
from tests.translate.histories import KEY, MEMORY

clean_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | clean_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(clean_text, inner, max_size=3),
    max_leaves=10,
)
details = st.lists(st.dictionaries(clean_text, json_values, max_size=4), max_size=3).map(tuple)


extras = st.dictionaries(clean_text, st.dictionaries(clean_text, json_values, max_size=2), max_size=3)


@settings(deadline=None)
@given(text=clean_text, details=details, origin=clean_text, calls=extras)
def test_what_was_sealed_comes_back(text: str, details: tuple[Any, ...], origin: str, calls: dict[str, Any]) -> None:
    sealed = Sealed(text, details, origin, calls)
    blob = seal(sealed, KEY)
    assert blob == seal(sealed, KEY)
    assert blob.startswith("rb2.")
    assert claims_reasoning(blob)
    opened = unseal(blob, KEY)
    assert opened == sealed
    assert json.dumps([opened.details, dict(opened.calls)]) == json.dumps([details, calls]), "order and all"


@pytest.mark.parametrize("key", [bytes(32), bytes(range(1, 33))])
def test_another_key_does_not_open_it(key: bytes) -> None:
    assert unseal(seal(Sealed("hm", (), "o"), KEY), key) is None


@settings(deadline=None)
@given(st.none() | st.text() | st.text().map("rb2.".__add__))
def test_what_was_not_sealed_here_is_nothing(blob: str | None) -> None:
    assert unseal(blob, KEY) is None


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"text": "t"}, id="of nobody"),
        pytest.param({"origin": 1}, id="origin"),
        pytest.param({"origin": "o", "text": 1}, id="text"),
        pytest.param({"origin": "o", "details": {}}, id="details"),
        pytest.param({"origin": "o", "calls": []}, id="calls"),
    ],
)
def test_a_well_signed_blob_with_a_strange_inside_is_nothing(inside: dict[str, Any]) -> None:
    assert unseal(Carrier("rb2.").seal(inside, KEY), KEY) is None


def test_an_inside_with_more_or_less_in_it_can_be_read() -> None:
    """So a later version may add to it and still be read by this one."""
    blob = Carrier("rb2.").seal({"origin": "o", "text": "t", "mood": "curious"}, KEY)
    assert unseal(blob, KEY) == Sealed("t", (), "o")


def test_reasoning_sealed_today_can_be_read_for_good() -> None:
    """As a client has kept it. If this fails, the prefix needs another number."""
    kept = (
        "rb2.ZoVjhRX_gNcUPJMW8O7KqnicHYtBCoAgEEXv8tdCuPUqETLYUIKp2CwM6e45_dX7D95A"
        "afGIGQ51uWAg3GWeU3lnoZhuuHVAnsrTd7ybQaCkevzgrdLMGvlQsnAWFQRn37kPGdUgag=="
    )
    assert unseal(kept, KEY) == Sealed("hm", ({"type": "x"},), "p/m", {"call_1": {"extra_content": {"a": 1}}})


def test_half_surrogates_do_not_break_the_seal() -> None:
    broken = Sealed("a\ud83d", ({"data": "\udc00"},), "o")
    assert unseal(seal(broken, KEY), KEY) == Sealed("a\ufffd", ({"data": "\ufffd"},), "o")


def test_no_list_is_a_record() -> None:
    assert read_sealed([]) is None


@pytest.mark.parametrize(
    ("key", "said", "carried"),
    [
        pytest.param(KEY, ("hm", (), {}), Thought("hm"), id="text"),
        pytest.param(KEY, ("", ({"a": 1},), {}), Thought("", ({"a": 1},)), id="details"),
        pytest.param(KEY, ("", (), {"c": {"x": 1}}), Thought("", (), {"c": {"x": 1}}), id="calls"),
        pytest.param(KEY, ("", (), {}), None, id="nothing"),
        pytest.param(None, ("hm", (), {}), None, id="no key"),
    ],
)
def test_what_an_item_carries(key: bytes | None, said: tuple[Any, Any, Any], carried: Thought | None) -> None:
    blob = sealer("p/m", key)(*said)
    item = Reasoning(type="reasoning", encrypted_content=blob)
    assert recall(item, "p/m", MEMORY, Notes()) == carried


@pytest.mark.parametrize(
    ("item", "thought", "noted"),
    [
        pytest.param({"encrypted_content": "gAAAA"}, None, True, id="made elsewhere"),
        pytest.param({"encrypted_content": seal(Sealed("x", (), "p/other"), KEY)}, None, True, id="another model"),
        pytest.param(
            {
                "encrypted_content": seal(Sealed("x", (), "p/other"), KEY),
                "content": [TextPart(type="reasoning_text", text="x")],
            },
            None,
            True,
            id="another model, with its text",
        ),
        pytest.param({"encrypted_content": seal(Sealed("", (), "p/m"), KEY)}, None, False, id="nothing in it"),
        pytest.param(
            {"content": [TextPart(type="reasoning_text", text="x")]},
            Thought("x", is_open=True),
            False,
            id="in the open",
        ),
        pytest.param({}, None, False, id="empty"),
    ],
)
def test_whose_reasoning_goes_back(item: dict[str, Any], thought: Thought | None, noted: bool) -> None:
    notes = Notes()
    assert recall(Reasoning(type="reasoning", **item), "p/m", MEMORY, notes) == thought
    assert bool(len(notes)) == noted


def test_without_memory_nothing_is_read() -> None:
    blob = seal(Sealed("x", (), "p/m"), KEY)
    assert recall(Reasoning(type="reasoning", encrypted_content=blob), "p/m", NO_MEMORY, Notes()) is None
    assert NO_MEMORY.recall("any") is None


EFFORT = {"thinking_style": "effort"}
ALWAYS = {"thinking_style": "effort", "thinking_default": "always"}
SPLIT = {"thinking_style": "reasoning_split", "effort_values": ()}
BUDGET = {"thinking_style": "enable_thinking", "effort_values": ()}


@pytest.mark.parametrize(
    ("effort", "profile", "body", "active", "noted"),
    [
        pytest.param(None, {}, {}, None, False, id="nothing said, nothing known"),
        pytest.param(None, {"thinking_default": "on"}, {}, True, False, id="nothing said, on"),
        pytest.param(None, {**EFFORT}, {}, False, False, id="nothing said, off"),
        pytest.param(None, SPLIT, {"reasoning_split": True}, False, False, id="what is always sent"),
        pytest.param("high", {}, {}, None, True, id="no switch"),
        pytest.param("none", {}, {}, None, False, id="no switch and not thinking"),
        pytest.param("none", {"thinking_default": "on"}, {}, True, True, id="no switch to turn it off"),
        pytest.param("low", EFFORT, {"reasoning_effort": "low"}, True, False, id="effort"),
        pytest.param("ultra", EFFORT, {"reasoning_effort": "high"}, True, True, id="too high"),
        pytest.param("minimal", EFFORT, {"reasoning_effort": "low"}, True, True, id="too low"),
        pytest.param("enormous", EFFORT, {"reasoning_effort": "medium"}, True, True, id="unknown"),
        pytest.param(
            "medium", {**EFFORT, "effort_values": ("low", "high")}, {"reasoning_effort": "low"}, True, True, id="tie"
        ),
        pytest.param(
            "xhigh",
            {**EFFORT, "effort_map": {"xhigh": "extreme"}},
            {"reasoning_effort": "extreme"},
            True,
            False,
            id="another name",
        ),
        pytest.param(
            "none", {**EFFORT, "effort_values": ("none", "low")}, {"reasoning_effort": "none"}, False, False, id="none"
        ),
        pytest.param("none", EFFORT, {"reasoning_effort": "low"}, True, True, id="no effort none"),
        pytest.param(
            "minimal",
            {**EFFORT, "effort_values": ("none", "high"), "effort_map": {"minimal": "none"}},
            {"reasoning_effort": "none"},
            False,
            False,
            id="an effort that is off",
        ),
        pytest.param("none", ALWAYS, {"reasoning_effort": "low"}, True, True, id="always on: the least"),
        pytest.param(
            "none",
            {**ALWAYS, "effort_map": {"none": "tiny"}},
            {"reasoning_effort": "tiny"},
            True,
            True,
            id="always on: the least by name",
        ),
        pytest.param("none", {**ALWAYS, "effort_values": ()}, {}, True, True, id="always on: no efforts"),
        pytest.param(
            "none",
            {**SPLIT, "thinking_default": "always"},
            {"reasoning_split": True},
            True,
            True,
            id="always on: what is always sent",
        ),
        pytest.param(
            "high",
            {"thinking_style": "thinking_type"},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            True,
            False,
            id="thinking_type on",
        ),
        pytest.param(
            "none", {"thinking_style": "thinking_type"}, {"thinking": {"type": "disabled"}}, False, False, id="off"
        ),
        pytest.param(
            "high",
            {"thinking_style": "thinking_type", "effort_values": ()},
            {"thinking": {"type": "enabled"}},
            True,
            True,
            id="on without efforts",
        ),
        pytest.param("high", BUDGET, {"enable_thinking": True}, True, True, id="no budget"),
        pytest.param(
            "high", {"thinking_style": "reasoning_obj"}, {"reasoning": {"effort": "high"}}, True, False, id="object"
        ),
        pytest.param(
            "high",
            {"thinking_style": "reasoning_obj", "effort_values": ()},
            {},
            True,
            True,
            id="an object emptied of its placeholder goes",
        ),
        pytest.param(
            "high",
            {"thinking_style": "template_kwargs", "thinking_on": {"a": {}, "b": {"c": ["$effort", 1]}}},
            {"a": {}, "b": {"c": ["$effort", 1]}},
            True,
            True,
            id="the profile's own fragment",
        ),
    ],
)
def test_how_much_is_asked_for(
    effort: str | None, profile: dict[str, Any], body: dict[str, Any], active: bool | None, noted: bool
) -> None:
    notes = Notes()
    assert thinking_params(effort, Profile(**profile), notes=notes) == (body, active)
    assert [note.what for note in notes] == (["reasoning.effort"] if noted else [])


LEAST = {"thinking_budget_min": 1024}
BUDGETS = {**BUDGET, "thinking_budgets": {"low": 1000, "high": 8000}}


@pytest.mark.parametrize(
    ("effort", "limit", "profile", "body", "noted"),
    [
        pytest.param("high", None, {}, {"enable_thinking": True, "thinking_budget": 8000}, False, id="by effort"),
        pytest.param("low", 50_000, {}, {"enable_thinking": True, "thinking_budget": 1000}, False, id="far from it"),
        pytest.param("high", 4096, {}, {"enable_thinking": True, "thinking_budget": 2048}, False, id="half"),
        pytest.param("high", 1500, {}, {"enable_thinking": True, "thinking_budget": 1000}, False, id="the smallest"),
        pytest.param("high", 900, {}, {"enable_thinking": True, "thinking_budget": 899}, False, id="little room"),
        pytest.param("high", 1, {}, {"enable_thinking": True, "thinking_budget": 1}, False, id="no room at all"),
        pytest.param("max", None, {}, {"enable_thinking": True}, True, id="no budget for it"),
        pytest.param("low", None, LEAST, {"enable_thinking": True, "thinking_budget": 1024}, False, id="raised"),
        pytest.param("high", 1500, LEAST, {"enable_thinking": True, "thinking_budget": 1024}, False, id="at least"),
        pytest.param("high", 1025, LEAST, {"enable_thinking": True, "thinking_budget": 1024}, False, id="just room"),
        pytest.param("high", 1024, LEAST, {"enable_thinking": False}, True, id="no room for the least"),
        pytest.param(None, 100, LEAST, {}, False, id="no room, and nothing asked for"),
        pytest.param(
            "high",
            100,
            {**LEAST, "thinking_default": "always"},
            {"enable_thinking": True, "thinking_budget": 1024},
            False,
            id="no room, and no way to turn it off",
        ),
        pytest.param("none", None, {}, {"enable_thinking": False}, False, id="off"),
        pytest.param(None, None, {}, {}, False, id="nothing said"),
        pytest.param(
            "high",
            None,
            {"thinking_on": {"reasoning_effort": "$effort", "b": "$budget"}, "effort_values": ["high"]},
            {"reasoning_effort": "high", "b": 8000},
            False,
            id="both",
        ),
        pytest.param(
            "high", None, {"thinking_on": {"enable_thinking": True}}, {"enable_thinking": True}, True, id="no place"
        ),
    ],
)
def test_the_budget(
    effort: str | None, limit: int | None, profile: dict[str, Any], body: dict[str, Any], noted: bool
) -> None:
    notes = Notes()
    assert thinking_params(effort, Profile(**{**BUDGETS, **profile}), notes=notes, limit=limit)[0] == body
    assert bool(len(notes)) == noted


@pytest.mark.parametrize("effort", [None, "none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra", "?"])
@pytest.mark.parametrize(
    ("platform", "model"),
    [("deepseek", "deepseek-v4"), ("moonshot", "kimi-k3"), ("zhipu", "glm-5.2"), ("openai", "gpt-5"), ("vllm", "m")],
)
def test_no_placeholder_leaves_the_house(platform: str, model: str, effort: str | None) -> None:
    body, _ = thinking_params(effort, profile_for(platform, model=model), notes=Notes())
    assert "$" not in str(body)
