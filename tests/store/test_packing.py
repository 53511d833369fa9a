"""What is packed comes out as it went in, and is small where it can be."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.store.errors import StoreError
from addon.store.packing import pack, unpack, unpack_conversation, unpack_object, unpack_objects

TEXT = b"All work and no play makes Jack a dull boy. " * 20_000


@given(st.binary(max_size=2000))
def test_any_bytes_come_back(data: bytes) -> None:
    assert unpack(pack(data)) == data


@pytest.mark.parametrize("data", [TEXT[:1000], TEXT], ids=["some", "much"])
def test_text_is_compressed(data: bytes) -> None:
    assert unpack(pack(data)) == data
    assert len(pack(data)) < len(data) / 4


@pytest.mark.parametrize("data", [b"{}", base64.b64encode(os.urandom(200_000))], ids=["short", "image"])
def test_what_gains_little_is_left_alone(data: bytes) -> None:
    assert pack(data) == b"=" + data


@pytest.mark.parametrize("packed", [b"", b"?", b"z", b"zabc", b"=[", b"=[]", b"={}", b"=[1]", b"=null"])
def test_what_was_never_packed_is_an_error(packed: bytes) -> None:
    for read in (unpack_object, unpack_objects, unpack_conversation):
        if (read, packed) not in [(unpack_object, b"={}"), (unpack_objects, b"=[]")]:
            with pytest.raises(StoreError, match="cannot be read"):
                read(packed)
