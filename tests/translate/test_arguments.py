from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.translate.arguments import object_text


@pytest.mark.parametrize(
    ("raw", "text", "bent"),
    [
        pytest.param("{}", "{}", False, id="empty object"),
        pytest.param(' {"a": 1}\n', ' {"a": 1}\n', False, id="bytes are kept"),
        pytest.param("  ", "{E}", False, id="nothing"),
        pytest.param("null", "{E}", False, id="null"),
        pytest.param('{"a":{"b":[1,2', '{"a":{"b":[1,2]}}', True, id="cut off in a list"),
        pytest.param('{"cmd":"ls', '{"cmd":"ls"}', True, id="cut off in a string"),
        pytest.param("{", "{}", True, id="cut off at once"),
        pytest.param("[1,2]", '{"input":[1,2]}', True, id="list"),
        pytest.param('"x"', '{"input":"x"}', True, id="string"),
        pytest.param("[1,2", '{"input":"[1,2"}', True, id="cut off list"),
        pytest.param('{"a":1}</tool_call>', '{"a":1}', True, id="more behind the object"),
        pytest.param('{"a":"\\ud83d"}', '{"a":"\ufffd"}', True, id="half surrogate"),
        pytest.param('{"a":Infinity}', '{"a":null}', True, id="infinity"),
    ],
)
def test_arguments(raw: str, text: str, bent: bool) -> None:
    assert object_text(raw, empty="{E}") == (text, bent)


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from('{}[]",:1aNn\\ ')))
def test_any_text_becomes_an_object(raw: str) -> None:
    text, _ = object_text(raw, empty="{}")
    assert isinstance(json.loads(text, parse_constant=pytest.fail), dict)
