from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.providers.platforms import profile_for
from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.reasoning import Sealed, seal, thinking_params, unseal

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


@settings(deadline=None)
@given(text=clean_text, details=details, origin=clean_text)
def test_what_was_sealed_comes_back(text: str, details: tuple[Any, ...], origin: str) -> None:
    sealed = Sealed(text, details, origin)
    blob = seal(sealed)
    assert blob == seal(sealed)
    assert blob.isascii()
    assert blob.startswith("rb1.")
    opened = unseal(blob)
    assert opened == sealed
    assert [list(detail) for detail in opened.details] == [list(detail) for detail in details]


@settings(deadline=None)
@given(
    st.text() | st.text().map("rb1.".__add__) | st.binary().map(lambda b: "rb1." + base64.urlsafe_b64encode(b).decode())
)
def test_what_was_not_sealed_here_is_nothing(blob: str) -> None:
    assert unseal(blob) is None


@settings(deadline=None)
@given(st.binary())
def test_packed_garbage_is_nothing(inside: bytes) -> None:
    assert unseal(packed(inside)) is None


@pytest.mark.parametrize(
    "inside",
    [
        b"[]",
        b"{}",
        b'{"text":1,"details":[],"origin":"o"}',
        b'{"text":"","details":{},"origin":"o"}',
        b'{"text":"","details":[]}',
        b"[" * 100_000,
        b'{"text":"' + b"a" * (4 * 1024 * 1024) + b'","details":[],"origin":"o"}',
    ],
    ids=["list", "empty", "text", "details", "origin", "deep", "bomb"],
)
def test_a_forged_blob_is_nothing(inside: bytes) -> None:
    assert unseal(packed(inside)) is None


@pytest.mark.parametrize("blob", [None, "", "gAAAAAx", "rb1.", "rb1.ü", "rb2.x"])
def test_a_foreign_blob_is_nothing(blob: str | None) -> None:
    assert unseal(blob) is None


def test_a_blob_cut_short_is_nothing() -> None:
    blob = seal(Sealed("long enough to be cut", (), "o"))
    for end in range(len(blob)):
        assert unseal(blob[:end]) is None


def test_half_surrogates_do_not_break_the_seal() -> None:
    assert unseal(seal(Sealed("a\ud83d", ({"data": "\udc00"},), "o"))) == Sealed("a\ufffd", ({"data": "\ufffd"},), "o")


def packed(inside: bytes) -> str:
    return "rb1." + base64.urlsafe_b64encode(zlib.compress(inside)).decode()


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


def test_a_budget_is_sent_where_there_is_a_place_for_it() -> None:
    body, _ = thinking_params("high", Profile(**BUDGET), notes=Notes(), budget=1000)
    assert body == {"enable_thinking": True, "thinking_budget": 1000}


@pytest.mark.parametrize("effort", [None, "none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra", "?"])
@pytest.mark.parametrize(
    ("platform", "model"),
    [("deepseek", "deepseek-v4"), ("moonshot", "kimi-k3"), ("zhipu", "glm-5.2"), ("openai", "gpt-5"), ("vllm", "m")],
)
def test_no_placeholder_leaves_the_house(platform: str, model: str, effort: str | None) -> None:
    body, _ = thinking_params(effort, profile_for(platform, model=model), notes=Notes())
    assert "$" not in str(body)
