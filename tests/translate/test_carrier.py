from __future__ import annotations

import base64
import hashlib
import hmac
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.translate.carrier import Carrier
from addon.wire.json import JsonObject

CARRIER = Carrier("rt1.")
KEY = bytes(range(32))

keys = st.binary(min_size=32, max_size=32)
clean_text = st.text(st.characters(exclude_categories=["Cs"]))
documents = st.dictionaries(clean_text, clean_text | st.integers(-(2**53), 2**53) | st.none(), max_size=4)


def signed(packed: bytes) -> str:
    signature = hmac.new(KEY, b"rt1." + packed, hashlib.sha256).digest()[:16]
    return "rt1." + base64.urlsafe_b64encode(signature + packed).decode()


@settings(deadline=None)
@given(document=documents, key=keys)
def test_a_document_comes_back(document: JsonObject, key: bytes) -> None:
    blob = CARRIER.seal(document, key)
    assert blob == CARRIER.seal(document, key)
    assert blob.isascii()
    assert CARRIER.claims(blob)
    assert CARRIER.open(blob, key) == document


@settings(deadline=None)
@given(document=documents, place=st.integers(0), char=st.characters())
def test_any_other_character_anywhere_breaks_it(document: JsonObject, place: int, char: str) -> None:
    blob = CARRIER.seal(document, KEY)
    index = place % len(blob)
    changed = blob[:index] + char + blob[index + 1 :]
    assert CARRIER.open(changed, KEY) == (document if changed == blob else None)


@settings(deadline=None)
@given(document=documents, addition=st.text(min_size=1))
def test_nothing_can_be_taken_away_or_added(document: JsonObject, addition: str) -> None:
    blob = CARRIER.seal(document, KEY)
    assert all(CARRIER.open(blob[:end], KEY) is None for end in range(len(blob)))
    assert CARRIER.open(blob + addition, KEY) is None
    assert CARRIER.open(addition + blob, KEY) is None


@settings(deadline=None)
@given(document=documents, key=keys, other=keys)
def test_another_key_does_not_open_it(document: JsonObject, key: bytes, other: bytes) -> None:
    assert (CARRIER.open(CARRIER.seal(document, key), other) is None) == (key != other)


def test_a_blob_of_one_kind_does_not_pass_for_another() -> None:
    blob = CARRIER.seal({}, KEY)
    assert Carrier("rt2.").open("rt2." + blob.removeprefix("rt1."), KEY) is None


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="not packed"),
        pytest.param(zlib.compress(b'{"a":'), id="not JSON"),
        pytest.param(zlib.compress(b'{"a":"\xff"}'), id="not UTF-8"),
        pytest.param(zlib.compress(b'{"a":"cut"}')[:-3], id="cut"),
        pytest.param(zlib.compress(b'{"a":"' + b"a" * (4 * 1024 * 1024) + b'"}'), id="bomb"),
        pytest.param(zlib.compress(b"[" * 100_000), id="deep"),
    ],
)
def test_a_well_signed_blob_with_a_strange_inside_is_nothing(packed: bytes) -> None:
    assert CARRIER.open(signed(packed), KEY) is None


def test_half_surrogates_do_not_break_the_seal() -> None:
    assert CARRIER.open(CARRIER.seal({"a": "a\ud83d"}, KEY), KEY) == {"a": "a\ufffd"}
