"""Whatever items come, in whatever order: the history that goes out is valid, and grows at its end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.messages import to_messages
from addon.translate.notes import Notes
from addon.wire.chat import ChatMessage
from addon.wire.json import dumps
from addon.wire.responses import Item
from tests.translate.histories import (
    MEMORY,
    ORIGIN,
    PROFILES,
    PlainNames,
    any_items,
    conversations,
    disturbed,
    items_of,
)
from tests.translate.valid_history import assert_valid_history

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
WITH_TOOLS = {name: profile for name, profile in PROFILES.items() if profile.tools}
every_profile_with_tools = pytest.mark.parametrize("profile", WITH_TOOLS.values(), ids=WITH_TOOLS)


def convert(items: list[Item], profile: Profile, instructions: str | None = None) -> list[ChatMessage]:
    return to_messages(
        items,
        instructions=instructions,
        names=PlainNames(),
        profile=profile,
        origin=ORIGIN,
        notes=Notes(),
        memory=MEMORY,
    )


@every_profile
@settings(max_examples=50, deadline=None)
@given(items=any_items, instructions=st.sampled_from([None, "", "Be brief."]))
def test_any_items_make_a_valid_history(profile: Profile, items: list[Item], instructions: str | None) -> None:
    assert_valid_history(convert(items, profile, instructions), profile)


@every_profile
@settings(max_examples=50, deadline=None)
@given(items=disturbed())
def test_a_disturbed_conversation_makes_a_valid_history(profile: Profile, items: list[Item]) -> None:
    assert_valid_history(convert(items, profile), profile)


@every_profile
@settings(max_examples=50, deadline=None)
@given(items=any_items)
def test_same_items_same_bytes(profile: Profile, items: list[Item]) -> None:
    assert dumps(convert(items, profile)) == dumps(convert(items, profile))


@every_profile
@settings(max_examples=50, deadline=None)
@given(first=conversations(prefix="a"), more=st.data())
def test_a_longer_history_begins_with_the_shorter_one(
    profile: Profile, first: list[dict[str, Any]], more: st.DataObject
) -> None:
    """The client sends what it sent, what the model answered, and its reply to that."""
    if profile.replay in ("tool_loop", "after_tools"):
        profile = profile.model_copy(update={"replay": "always"})
    answer = more.draw(
        st.sampled_from(
            [
                [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks"}],
                [
                    {"type": "function_call", "call_id": "z", "name": "run", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "z", "output": "ok"},
                ],
            ]
        )
    )
    shorter, longer = convert(items_of(first), profile), convert(items_of([*first, *answer]), profile)
    assert longer[: len(shorter)] == shorter


@every_profile_with_tools
@settings(max_examples=50, deadline=None)
@given(items=conversations())
def test_each_call_and_each_result_arrives_once(profile: Profile, items: list[dict[str, Any]]) -> None:
    messages = convert(items_of(items), profile)
    calls = [call for message in messages if message["role"] == "assistant" for call in message.get("tool_calls", [])]
    assert len(calls) == sum(item.get("type", "").endswith("_call") for item in items)
    assert "aborted" not in [message["content"] for message in messages if message["role"] == "tool"]
