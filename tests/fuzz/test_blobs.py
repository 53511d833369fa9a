"""Whatever comes back of what clients and databases keep for the bridge: what was put in, or nothing, or one error."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.store.errors import StoreError
from addon.store.packing import pack, pack_json, unpack, unpack_conversation, unpack_object, unpack_objects
from addon.translate.carrier import Carrier
from addon.translate.compaction import Summary, claims_summary, open_summary, seal_summary
from addon.translate.reasoning import read_sealed, unseal
from tests.fuzz.mutation import ODD, damaged, fuzzed
from tests.wire.test_json import JSON_VALUES

pytestmark = pytest.mark.slow

KEY = b"k" * 32
CARRIER = Carrier("x1.")
OBJECTS = st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4)
MARKS = st.sampled_from(["", "x1.", "rb2.", "rc1."])


@given(OBJECTS, st.binary(min_size=1, max_size=40))
@fuzzed(100)
def test_what_was_sealed_is_opened(document: dict[str, Any], key: bytes) -> None:
    blob = CARRIER.seal(document, key)
    assert CARRIER.open(blob, key) == document
    assert CARRIER.open(blob, key + b"x") is None


@given(damaged(OBJECTS.map(lambda document: CARRIER.seal(document, KEY).encode())), OBJECTS)
@fuzzed(120)
def test_what_was_changed_is_not(blob: bytes, document: dict[str, Any]) -> None:
    opened = CARRIER.open(blob.decode("utf-8", "replace"), KEY)
    assert opened is None or CARRIER.seal(opened, KEY).encode() == blob


@given(st.builds("{}{}".format, MARKS, st.text()))
@fuzzed(120)
def test_any_text(text: str) -> None:
    assert CARRIER.open(text, KEY) is None
    assert open_summary(text, KEY) is None
    assert unseal(text, KEY) is None
    claims_summary(text)


@given(ODD)
@fuzzed(120)
def test_any_document_under_our_seal(document: Any) -> None:
    """Another version of the bridge may have put something else into it."""
    if isinstance(document, dict):
        for mark, read in (("rb2.", unseal), ("rc1.", open_summary)):
            read(Carrier(mark).seal(document, KEY), KEY)
    sealed = read_sealed(document)
    assert sealed is None or read_sealed(sealed.document()) == sealed


@given(st.text())
@fuzzed(100)
def test_summaries_come_back(text: str) -> None:
    opened = open_summary(seal_summary(Summary(text), KEY), KEY)
    assert opened is not None
    assert open_summary(seal_summary(opened, KEY), KEY) == opened


@given(st.binary())
@fuzzed(100)
def test_packing(data: bytes) -> None:
    assert unpack(pack(data)) == data


@given(damaged(st.binary() | JSON_VALUES.map(pack_json)))
@fuzzed(120)
def test_unpacking(packed: bytes) -> None:
    for read in (unpack, unpack_object, unpack_objects, unpack_conversation):
        with suppress(StoreError):
            read(packed)
