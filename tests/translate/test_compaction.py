from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.compaction import (
    RETAINED_TOKENS,
    SUMMARY_PROMPT,
    Summary,
    exceeds,
    open_summary,
    retained,
    seal_summary,
    since_summary,
    summary_items,
    summary_message,
    summary_of,
)
from addon.translate.estimate import estimate_tokens
from addon.translate.messages import to_messages
from addon.translate.notes import Notes
from addon.wire.json import Json, dumps
from addon.wire.responses import Item, Message, read_request
from tests.translate.histories import IMAGE, ORIGIN, PROFILES, PlainNames, any_items, disturbed, items_of
from tests.translate.valid_history import assert_valid_history

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"
KEY = bytes(range(32))

keys = st.binary(min_size=32, max_size=32)
clean_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

# --- the carrier ------------------------------------------------------------------------------------------------------


@given(text=clean_text, key=keys)
def test_what_was_sealed_comes_back(text: str, key: bytes) -> None:
    blob = seal_summary(Summary(text), key)
    assert blob == seal_summary(Summary(text), key)
    assert blob.startswith("rc1.")
    assert blob.isascii()
    assert open_summary(blob, key) == Summary(text)


@given(text=clean_text, place=st.integers(0), char=st.characters())
def test_any_other_character_anywhere_breaks_it(text: str, place: int, char: str) -> None:
    blob = seal_summary(Summary(text), KEY)
    index = place % len(blob)
    changed = blob[:index] + char + blob[index + 1 :]
    assert open_summary(changed, KEY) == (Summary(text) if changed == blob else None)


def test_every_character_counts() -> None:
    """The last ones of base64, with bits to spare, not the least."""
    for text in ("", "a", "ab", "abc"):
        blob = seal_summary(Summary(text), KEY)
        for index, char in enumerate(blob):
            for other in "Aa0_-=!\n ü":
                if other != char:
                    assert open_summary(blob[:index] + other + blob[index + 1 :], KEY) is None


@given(text=clean_text, addition=st.text(min_size=1))
def test_nothing_can_be_taken_away_or_added(text: str, addition: str) -> None:
    blob = seal_summary(Summary(text), KEY)
    assert all(open_summary(blob[:end], KEY) is None for end in range(len(blob)))
    assert open_summary(blob + addition, KEY) is None
    assert open_summary(addition + blob, KEY) is None


@given(text=clean_text, key=keys, other=keys)
def test_another_key_does_not_open_it(text: str, key: bytes, other: bytes) -> None:
    assert (open_summary(seal_summary(Summary(text), key), other) is None) == (key != other)


@given(
    st.text()
    | st.text().map("rc1.".__add__)
    | st.binary().map(lambda inside: "rc1." + base64.urlsafe_b64encode(inside).decode())
)
def test_what_was_not_sealed_here_is_nothing(blob: str) -> None:
    assert open_summary(blob, KEY) is None


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="not packed"),
        pytest.param(zlib.compress(b"[]"), id="list"),
        pytest.param(zlib.compress(b"{}"), id="no text"),
        pytest.param(zlib.compress(b'{"text":1}'), id="text of another type"),
        pytest.param(zlib.compress(b'{"text":'), id="not JSON"),
        pytest.param(zlib.compress(b'{"text":"\xff"}'), id="not UTF-8"),
        pytest.param(zlib.compress(b'{"text":"cut"}')[:-3], id="cut"),
        pytest.param(zlib.compress(b'{"text":"' + b"a" * (4 * 1024 * 1024) + b'"}'), id="bomb"),
        pytest.param(zlib.compress(b"[" * 100_000), id="deep"),
    ],
)
def test_a_well_signed_blob_with_a_strange_inside_is_nothing(packed: bytes) -> None:
    assert open_summary(signed(packed), KEY) is None


def test_an_inside_with_more_in_it_can_be_read() -> None:
    """So a later version may add to it and still be read by this one."""
    assert open_summary(signed(zlib.compress(b'{"text":"t","more":[1]}')), KEY) == Summary("t")


def test_half_surrogates_do_not_break_the_seal() -> None:
    assert open_summary(seal_summary(Summary("a\ud83d\0"), KEY), KEY) == Summary("a\ufffd\ufffd")


def signed(packed: bytes) -> str:
    signature = hmac.new(KEY, b"rc1." + packed, hashlib.sha256).digest()[:16]
    return "rc1." + base64.urlsafe_b64encode(signature + packed).decode()


def test_a_summary_made_today_can_be_read_for_good() -> None:
    """As a client has kept it. If this fails, the prefix needs another number."""
    kept = "rc1.u31F1YJ5Zhlf5JXIsBAkx3icq1YqSa0oUbJSykjNyclXqgUAL1EFlA=="
    assert open_summary(kept, KEY) == Summary("hello")


# --- a model's answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "summary"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param(" \n", None, id="white space"),
        pytest.param("\nGoal: x \n", Summary("Goal: x"), id="text"),
        pytest.param("a\0", Summary("a\ufffd"), id="NUL"),
    ],
)
def test_the_summary_in_an_answer(answer: str, summary: Summary | None) -> None:
    assert summary_of(answer) == summary


@pytest.mark.parametrize("char", ["a", "中", "😀", "\x01", '"'])
def test_a_summary_without_end_is_cut_so_that_its_seal_can_be_opened(char: str) -> None:
    summary = summary_of(char * 5_000_000)
    assert summary is not None
    assert summary.text.endswith("cut off here]")
    assert open_summary(seal_summary(summary, KEY), KEY) == summary


# --- asking for it and telling it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@settings(max_examples=30)
@given(items=any_items | disturbed())
def test_whatever_was_said_the_request_for_a_summary_is_a_valid_history(profile: Profile, items: list[Item]) -> None:
    messages = to_messages(
        summary_items(items), instructions=None, names=PlainNames(), profile=profile, origin=ORIGIN, notes=Notes()
    )
    assert_valid_history(messages, profile)
    assert messages[-1]["role"] == "user"
    assert dumps(messages[-1]["content"]).rstrip('"]}').endswith(dumps(SUMMARY_PROMPT).strip('"'))


def test_codex_asks_for_a_compaction() -> None:
    capture = json.loads((CAPTURES / "codex-lite-compaction-request.json").read_text("utf-8"))
    items = read_request(json.dumps(capture["request"]["body"]).encode()).items()
    assert items[-1].type == "compaction_trigger"
    asked = summary_items(items)
    assert asked[:-1] == items[:-1]
    assert asked[-1] == Message(role="user", content=SUMMARY_PROMPT)
    assert [item.type for item in retained(items)] == ["additional_tools", *["message"] * 6]


def test_the_message_says_what_it_is_and_where_it_ends() -> None:
    message = summary_message(Summary("Goal: make it work."))
    assert message.startswith("[Summary of the conversation so far]\n")
    assert message.endswith("\n\nGoal: make it work.\n\n[End of the summary]")


# --- what stays -------------------------------------------------------------------------------------------------------

TOOLS: dict[str, Any] = {"type": "additional_tools", "role": "developer", "tools": []}
RULES: dict[str, Any] = {"role": "developer", "content": "Be brief."}
WORK: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Let me see."},
    {"type": "reasoning", "summary": []},
    {"type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "ok"},
]
COMPACTION: dict[str, Any] = {"type": "compaction", "encrypted_content": "rc1.x"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_users_messages_and_what_is_in_force_stay_in_their_order() -> None:
    items = items_of([TOOLS, RULES, user("one"), *WORK, COMPACTION, user("two"), RULES, *WORK])
    assert retained(items) == items_of([TOOLS, RULES, user("one"), user("two"), RULES])


def test_of_many_messages_the_latest_stay() -> None:
    items = items_of([RULES, *(user(f"{number:04}" * 1000) for number in range(50))])
    kept = retained(items, budget=5000)
    assert kept == [items[0], *items[-5:]]


def test_the_oldest_that_stays_may_be_cut_in_its_middle() -> None:
    kept = retained(items_of([user("a"), user("b" * 40_000 + "c" * 40_000), user("d" * 4000)]), budget=2000)
    assert kept == items_of([user("b" * 1920 + "\n[… 76160 characters left out …]\n" + "c" * 1920), user("d" * 4000)])


def test_a_scrap_is_not_worth_keeping() -> None:
    items = items_of([user("a" * 4000), user("b" * 3600)])
    assert retained(items, budget=1000) == [items[1]]


def test_a_message_that_is_cut_keeps_its_id_and_tells_of_its_attachments() -> None:
    image = {"type": "input_image", "image_url": IMAGE}
    text = {"type": "input_text", "text": "Look"}
    (kept,) = retained(items_of([{"role": "user", "id": "msg_1", "content": [text, image, image]}]), budget=1500)
    assert kept.model_dump(exclude_none=True) == {
        "type": "message",
        "role": "user",
        "id": "msg_1",
        "content": [{"type": "input_text", "text": "Look\n[attachments of this message were left out]"}],
    }


@given(
    parts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    repeat=st.integers(1, 500),
    budget=st.integers(0, 600),
)
def test_what_stays_is_bounded(parts: list[str], repeat: int, budget: int) -> None:
    kept = retained(items_of([user(part * repeat) for part in parts]), budget)
    texts: list[Json] = [item.content for item in kept if isinstance(item, Message) and isinstance(item.content, str)]
    assert estimate_tokens({"messages": texts}) - 4 * len(texts) <= budget
    assert retained(kept, budget) == kept


@given(items=any_items)
def test_what_stays_stays_the_next_time(items: list[Item]) -> None:
    kept = retained(items)
    assert retained(kept) == kept
    assert len(dumps([item.model_dump() for item in kept])) < 8 * RETAINED_TOKENS


def test_what_is_summed_up_is_not_told_again() -> None:
    items = items_of([TOOLS, RULES, user("one"), *WORK, COMPACTION, user("two"), *WORK])
    assert since_summary(items, 7) == items_of([TOOLS, RULES, user("one"), COMPACTION, user("two"), *WORK])


def test_a_history_the_client_has_shortened_stays_as_it_is() -> None:
    agent = {"type": "agent_message", "author": "/a", "recipient": "/b", "content": "Do it."}
    items = items_of([TOOLS, RULES, agent, user("one " * 50_000), COMPACTION, user("two"), *WORK])
    assert since_summary(items, 4) == items


# --- when a conversation is due for one -------------------------------------------------------------------------------


def test_a_threshold_is_exceeded_by_more_than_itself() -> None:
    body = {"messages": [{"role": "user", "content": "four" * 95}]}
    assert estimate_tokens(body) == 100
    assert not exceeds(body, 100)
    assert exceeds(body, 99)
