from __future__ import annotations

from typing import Any

import pytest

from addon.providers.profile import Profile
from addon.translate.history import AnsweredCall, AssistantTurn, Heard, Thought
from addon.translate.memory import Kept, SignedMemory, call_key, kept_of, remembered, text_key
from addon.translate.notes import Notes
from addon.translate.reasoning import Sealed, read_sealed, seal
from addon.wire.responses import read_item
from tests.translate.histories import KEY, ORIGIN

LONG = "A sentence that is long enough to be said only once."
THOUGHT = Thought("hm", ({"type": "x"},), {"call_1": {"extra_content": 1}})
EVERYWHERE = Profile(replay="always", replay_scope="all_turns")


def call(call_id: str = "call_1", arguments: str = '{"a":"b c"}', **more: object) -> Any:
    return read_item({"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments, **more})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(call(), True, id="itself"),
        pytest.param(call(id="fc_1", status="completed", namespace="n"), True, id="kept in another form"),
        pytest.param(call(arguments='{ "a":\n "b c"}\n'), True, id="written with spaces"),
        pytest.param(call(arguments='{"a":"\\u0062 c"}'), True, id="written with escapes"),
        pytest.param(call(arguments='{"a":"b d"}'), False, id="other arguments"),
        pytest.param(call("call_2"), False, id="another id"),
        pytest.param(call(arguments='{"a":"\\u00'), False, id="cut off"),
    ],
)
def test_what_a_call_is_known_by(other: Any, same: bool) -> None:
    assert (call_key(other) == call_key(call())) == same


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"type": "custom_tool_call", "input": "a"}, {"type": "custom_tool_call", "input": "b"}),
        ({"type": "tool_search_call", "arguments": {"q": 1}}, {"type": "tool_search_call", "arguments": {"q": 2}}),
        ({"type": "shell_call", "action": {"commands": ["a"]}}, {"type": "shell_call", "action": {"commands": ["b"]}}),
        (
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["a"]}},
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["b"]}},
        ),
        (
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "b"}},
        ),
    ],
    ids=lambda item: item["type"],
)
def test_calls_of_every_kind_are_told_apart(first: Any, second: Any) -> None:
    keys = [call_key(read_item({**item, "call_id": "call_1"})) for item in (first, first, second)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("text", "same"), [(LONG, True), (f"\n{LONG} ", True), (LONG + "!", False), ("Done.", False), ("", False)]
)
def test_what_a_text_is_known_by(text: str, same: bool) -> None:
    assert (text_key(text) == text_key(LONG)) == same


def test_short_texts_are_known_by_nothing() -> None:
    assert text_key("Done." + " " * 100) is None


MESSAGE: Any = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": LONG, "annotations": [], "logprobs": []}],
}
CALL: Any = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":"b c"}',
}


@pytest.mark.parametrize(
    ("output", "thought", "keys"),
    [
        pytest.param([MESSAGE, CALL], THOUGHT, [call_key(call())], id="calls"),
        pytest.param([CALL, {**CALL, "call_id": "b"}], THOUGHT, [call_key(call()), call_key(call("b"))], id="parallel"),
        pytest.param([MESSAGE], THOUGHT, [text_key(LONG)], id="text"),
        pytest.param(
            [{**MESSAGE, "content": [{"type": "refusal", "refusal": LONG}]}], THOUGHT, [text_key(LONG)], id="no"
        ),
        pytest.param([{**MESSAGE, "content": []}], THOUGHT, None, id="nothing said"),
        pytest.param([CALL], Thought(""), None, id="nothing thought"),
    ],
)
def test_what_is_kept_of_an_answer(output: Any, thought: Thought, keys: list[str] | None) -> None:
    assert kept_of(output, thought) == (None if keys is None else Kept(tuple(keys), thought))


def test_a_record_says_whose_it_is() -> None:
    assert read_sealed(Kept(("k",), THOUGHT).record(ORIGIN)) == Sealed("hm", THOUGHT.details, ORIGIN, THOUGHT.calls)


def turn(*calls: str, text: str = "", thought: Thought | None = None) -> AssistantTurn:
    answered = tuple(AnsweredCall(f"chat_{i}", "f", "{}", (), call_id=i, key=f"key {i}") for i in calls)
    return AssistantTurn(text, thought, answered)


def memory(**records: Sealed) -> SignedMemory:
    found = {key.replace("_", " ", 1): sealed.document() for key, sealed in records.items()}
    return SignedMemory(key=lambda: KEY, find=found.get)


KNOWN = memory(key_call_1=Sealed("hm", THOUGHT.details, ORIGIN, THOUGHT.calls))
OPEN = Thought("mine", is_open=True)


@pytest.mark.parametrize(
    ("before", "thought", "extras"),
    [
        pytest.param(turn("call_1"), Thought("hm", THOUGHT.details), [{"extra_content": 1}], id="dropped"),
        pytest.param(turn("call_2", "call_1"), Thought("hm", THOUGHT.details), [{}, {"extra_content": 1}], id="half"),
        pytest.param(turn("call_2"), None, [{}], id="unknown"),
        pytest.param(turn("call_1", thought=Thought("kept")), Thought("kept"), [{}], id="kept"),
        pytest.param(
            turn("call_1", thought=OPEN), Thought("mine", THOUGHT.details), [{"extra_content": 1}], id="in the open"
        ),
        pytest.param(turn("call_2", thought=OPEN), OPEN, [{}], id="in the open and unknown"),
        pytest.param(turn(text=LONG), None, [], id="text, unknown"),
    ],
)
def test_what_is_remembered(before: AssistantTurn, thought: Thought | None, extras: list[object]) -> None:
    after = remembered(before, KNOWN, ORIGIN, EVERYWHERE, Notes())
    assert isinstance(after, AssistantTurn)
    assert (after.thought, [call.extra for call in after.calls]) == (thought, extras)


@pytest.mark.parametrize(("thought", "noted"), [(None, 0), (OPEN, 1)])
def test_what_another_model_thought_is_left_out(thought: Thought | None, noted: int) -> None:
    notes = Notes()
    before = turn("call_1", thought=thought)
    after = remembered(before, KNOWN, "there/other", EVERYWHERE, notes)
    assert after == turn("call_1")
    assert len(notes) == noted


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        (EVERYWHERE, True),
        (Profile(replay="always"), False),
        (Profile(replay="never", replay_scope="all_turns"), False),
    ],
)
def test_texts_are_looked_for_only_where_their_reasoning_is_wanted(profile: Profile, found: bool) -> None:
    key = text_key(LONG)
    by_text = SignedMemory(
        key=lambda: KEY, find=lambda asked: Sealed("hm", (), ORIGIN).document() if asked == key else {}
    )
    after = remembered(turn(text=LONG), by_text, ORIGIN, profile, Notes())
    assert after == turn(text=LONG, thought=Thought("hm") if found else None)


def test_the_user_has_no_reasoning() -> None:
    heard = Heard("user", ())
    assert remembered(heard, KNOWN, ORIGIN, EVERYWHERE, Notes()) is heard


def test_without_a_key_nothing_that_clients_kept_is_trusted() -> None:
    blob = seal(Sealed("hm", (), ORIGIN), KEY)
    assert SignedMemory(key=lambda: KEY, find={}.get).unseal(blob) == Sealed("hm", (), ORIGIN)
    assert SignedMemory(key=lambda: None, find={}.get).unseal(blob) is None


def test_the_key_is_asked_for_only_if_needed() -> None:
    def no_key() -> bytes:
        raise AssertionError("not needed")

    assert SignedMemory(key=no_key, find={}.get).unseal("gAAAA") is None
