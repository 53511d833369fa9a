"""The fields: defaults, fragments by style, and what a value may be."""

import pytest
from pydantic import ValidationError

from addon.providers.profile import STYLE_FRAGMENTS, Profile, ThinkingStyle


def test_every_field_is_described() -> None:
    assert [name for name, field in Profile.model_fields.items() if not field.description] == []


def test_the_default_profile_suits_an_unknown_server() -> None:
    profile = Profile()
    assert (profile.id, profile.chat_path, profile.auth) == ("generic", "/chat/completions", "bearer")
    assert (profile.max_tokens_field, profile.instruction_role, profile.system_policy) == (
        "max_tokens",
        "system",
        "single",
    )
    assert profile.thinking_style == "none"
    assert "store" in profile.drop_params
    assert "logit_bias" not in profile.drop_params


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Profile().__setattr__("tools", False)


@pytest.mark.parametrize("style", STYLE_FRAGMENTS)
def test_fragments_come_from_the_style(style: ThinkingStyle) -> None:
    profile = Profile(thinking_style=style)
    assert (profile.on_fragment, profile.off_fragment, profile.auto_fragment) == STYLE_FRAGMENTS[style]


def test_own_fragments_beat_the_style_even_when_empty() -> None:
    profile = Profile(
        thinking_style="enable_thinking", thinking_on={"think": "$effort"}, thinking_off={}, thinking_auto={"a": 1}
    )
    assert (profile.on_fragment, profile.off_fragment, profile.auto_fragment) == ({"think": "$effort"}, {}, {"a": 1})


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param("high", "high", id="accepted"),
        pytest.param("xhigh", "max", id="mapped"),
        pytest.param("low", "low", id="accepted-beats-mapped"),
        pytest.param("ultra", None, id="unknown-is-left-out"),
    ],
)
def test_efforts(asked: str, sent: str | None) -> None:
    profile = Profile(effort_values=("low", "high", "max"), effort_map={"xhigh": "max", "low": "high"})
    assert profile.effort_for(asked) == sent


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("thinking_style", "magic", "Input should be 'none'", id="vocabulary"),
        pytest.param("auth", "basic", "pattern", id="auth"),
        pytest.param("clamp", {"temperature": [2, 1]}, "above the upper limit", id="limits"),
        pytest.param("overflow_patterns", ["("], "not a valid regular expression", id="pattern"),
        pytest.param("cached_paths", ["cached_tokens"], "pattern", id="pointer"),
        pytest.param("tool_id", {"max_length": 9}, "Extra inputs", id="nested-key"),
        pytest.param("idle_timeout_s", 0, "greater than 0", id="timeout"),
    ],
)
def test_wrong_values_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Profile.model_validate({field: value})
