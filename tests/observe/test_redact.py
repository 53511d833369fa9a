import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon import routing
from addon.observe import redact
from addon.observe.redact import Redactor

LONG_KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        ("authorization: bearer abc.def, more", "authorization: bearer [hidden], more"),
        ("Invalid bearer token", "Invalid bearer token"),
        ("use Bearer authentication", "use Bearer authentication"),
        ("api-key: abc123", "api-key: [hidden]"),
        ('{"x-api-key": "abc 123"}', '{"x-api-key": "[hidden]"}'),
        ('{"api-key":"abc"}', '{"api-key":"[hidden]"}'),
        ("https://x/y?api_key=abc&b=1", "https://x/y?api_key=[hidden]&b=1"),
        ("Incorrect API key provided: sk-abc***xyz. Find yours", "Incorrect API key provided: [hidden] Find yours"),
        ("Incorrect API key provided: abcdefgh", "Incorrect API key provided: [hidden]"),
        ("the key sk-proj-Abc_123-x is wrong", "the key [hidden] is wrong"),
        ("no key for a****z here", "no key for [hidden] here"),
        ("task-runner and risk-free", "task-runner and risk-free"),
        ("nothing to hide", "nothing to hide"),
        ("", ""),
    ],
)
def test_keys_are_found_by_their_surroundings(text: str, shown: str):
    assert Redactor().redact(text) == shown


@given(LONG_KEYS, st.text(), st.text())
def test_a_known_key_never_stays(key: str, before: str, after: str):
    shown = Redactor([key]).redact(f"{before}{key}{after}")
    assert key not in shown


@given(LONG_KEYS)
def test_a_known_key_is_found_within_json(key: str):
    body = json.dumps({"error": {"message": f"wrong: {key}"}})
    assert Redactor([key]).redact(body) == '{"error": {"message": "wrong: [hidden]"}}'


def test_a_key_within_another_does_not_leave_its_rest():
    assert Redactor(["abcdefgh", "abcdefgh-ijkl"]).redact("x abcdefgh-ijkl y") == "x [hidden] y"


def test_a_short_key_is_hidden_as_a_word_only():
    assert Redactor(["x1"]).redact("x1 in box1: 'x1'") == "[hidden] in box1: '[hidden]'"


def test_empty_secrets_hide_nothing():
    assert Redactor(["", ""]).redact("text") == "text"


def test_one_placeholder_everywhere():
    assert redact.HIDDEN == routing.HIDDEN
