"""Reading JSON that is nearly right, writing JSON that is right, and telling what was cut off."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.json import MAX_DEPTH, JsonError, clean, depth, dumps, is_cut_off, loads

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a":[1,2.5,null,true,"x"]}', {"a": [1, 2.5, None, True, "x"]}, id="plain"),
        pytest.param(b"\xef\xbb\xbf[]", [], id="byte-order-mark"),
        pytest.param('"\\ud83d\\ude00"', "😀", id="whole-surrogate-pair"),
        pytest.param('"a\\ud83d"', "a�", id="high-surrogate"),
        pytest.param('{"\\udc00":["\\udc00"]}', {"�": ["�"]}, id="low-surrogate-in-a-key"),
        pytest.param("[NaN,Infinity,-Infinity]", [None, None, None], id="not-numbers"),
        pytest.param('"a\nb\tc"', "a\nb\tc", id="raw-control-characters"),
    ],
)
def test_loads(text: str | bytes, value: object) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "{", "{'a':1}", "[1,]", "nul", "<html>", b"\xff\xfe\xfd", "[" * 100_000, "9" * 5000]
)
def test_what_is_not_json(text: str | bytes) -> None:
    with pytest.raises(JsonError):
        loads(text)


def test_the_error_says_where() -> None:
    with pytest.raises(JsonError, match="line 2 column 1"):
        loads('{"a":1,\n}')


@given(JSON_VALUES)
def test_there_and_back(value: object) -> None:
    assert loads(dumps(value)) == value


def test_dumps_is_one_line_with_nothing_escaped_but_what_must_be() -> None:
    assert dumps({"a": ["é\n", 1]}) == '{"a":["é\\n",1]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_dumps_never_writes_what_is_not_json(number: float) -> None:
    assert dumps({"a": [number, 1.5], "b": (number,)}) == '{"a":[null,1.5],"b":[null]}'


@given(st.text(alphabet=st.characters(), max_size=20))
def test_clean_text_can_always_be_sent(text: str) -> None:
    cleaned = clean(text)

    assert cleaned.encode().decode() == cleaned
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)


def test_clean() -> None:
    assert clean("plain") == "plain"
    assert clean("a\0b") == "a�b"
    assert clean("é\ud83d\0") == "é��"


@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4), st.booleans(), st.data())
def test_every_beginning_of_an_object_is_cut_off(value: object, ascii_only: bool, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    end = data.draw(st.integers(0, len(text) - 1))

    assert is_cut_off(text[:end])
    assert not is_cut_off(text)
    assert not is_cut_off(f" {text}\n")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", True),
        ("  ", True),
        ("{", True),
        ('{"a', True),
        ('{"a":"\\', True),
        ('{"a":"\\ud83d', True),
        ('"x', True),
        ('{"a":"x\ny', True),
        ("{'a': {", True),
        ('{"a":oops', True),
        ('{"a":"{\\"', True),
        ('{"a":"}"}', False),
        ('{"a":"x\ny"}', False),
        ("{'a':1}", False),
        ("{}{}", False),
        ("{}x", False),
        ("[}", False),
        ("*** Begin Patch", False),
        ('say "hi', False),
        ("tru", False),
        ("1", False),
        ('"x"', False),
        ('{"a":oops}', False),
    ],
)
def test_is_cut_off(text: str, cut: bool) -> None:
    assert is_cut_off(text) is cut


def test_a_long_text_full_of_quotes_is_read_in_one_go() -> None:
    assert is_cut_off('{"a":"' + '\\"{' * 300_000)


def nesting(value: object) -> int:
    match value:
        case list():
            return 1 + max(map(nesting, value), default=0)
        case dict():
            return 1 + max(map(nesting, value.values()), default=0)
        case _:
            return 0


@given(JSON_VALUES)
def test_depth(value: object) -> None:
    assert depth(json.dumps(value)) == nesting(value)
    assert depth(json.dumps(value).encode()) == nesting(value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 202 + "]" * 202, id="arrays"),
        pytest.param('{"a":' * 202 + "1" + "}" * 202, id="objects"),
        pytest.param('["\\ud800",' + "[" * 400 + "]" * 401, id="with-half-a-pair"),
        pytest.param("[NaN," + "[" * 400 + "]" * 401, id="with-no-number"),
        pytest.param("[" * 1_000_000, id="a-stack-of-its-own"),
    ],
)
def test_what_is_nested_too_deeply(text: str) -> None:
    with pytest.raises(JsonError):
        loads(text)


def test_what_is_as_deep_as_may_be_can_be_written_too() -> None:
    text = '{"a":' * MAX_DEPTH + '"\\ud800"' + "}" * MAX_DEPTH
    assert depth(dumps(loads(text))) == MAX_DEPTH
