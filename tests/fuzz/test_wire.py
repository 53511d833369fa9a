"""Whatever bytes come: decoders and parsers give values, or the errors that they are documented to raise."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from contextlib import suppress

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.answer_body import AnswerBody
from addon.wire.encoding import BadEncoding, Decoder, TooLarge, UnknownEncoding, decode
from addon.wire.json import JsonError, dump_bytes, dumps, is_cut_off, loads
from addon.wire.sse import LineTooLong, SSEParser
from tests.fuzz.mutation import CUTS, ODD, cut, damaged, fuzzed

pytestmark = pytest.mark.slow

STREAMS = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b"data: x\n\n", b"data:", b"data\n", b"event: e\n", b"error: e\r\n", b": c\r", b"\n", b"\r\n"])
).map(b"".join)


@given(STREAMS, CUTS, st.integers(1, 40))
@fuzzed(180)
def test_events_keep_within_the_limit(body: bytes, cuts: list[int], limit: int) -> None:
    parser = SSEParser(max_event_chars=limit)
    with suppress(LineTooLong):
        for portion in cut(body, cuts):
            assert all(len(event.data) <= limit for event in parser.feed(portion))
        assert all(len(event.data) <= limit for event in parser.flush())


@given(st.sampled_from([b"data: x", b"data:\n", b"x", b"data\r\n", b"error: \r", b"event: x", b": c"]))
@fuzzed(20)
def test_what_is_kept_of_a_stream_without_events_is_bounded(piece: bytes) -> None:
    """Either nothing is kept of these pieces, or the parser has enough of them at some time."""
    parser = SSEParser(max_event_chars=100)
    with suppress(LineTooLong):
        for _ in range(1000):
            assert not list(parser.feed(piece))
        assert sum(len(event.data) for event in parser.flush()) <= 100


@given(STREAMS | st.binary(max_size=200), CUTS)
@fuzzed(120)
def test_a_body_is_a_document_or_a_stream(body: bytes, cuts: list[int]) -> None:
    answer = AnswerBody()
    events = [event for portion in cut(body, cuts) for event in answer.feed(portion)] + list(answer.flush())
    assert not events or not answer.whole


ENCODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
NAMES = st.lists(st.sampled_from([*ENCODINGS, "identity", "x-gzip", "rot13", "", "\0", "GZIP "]), max_size=3)
COMPRESSED = st.builds(lambda name, plain: ENCODINGS[name](plain), st.sampled_from([*ENCODINGS]), st.binary())


@given(damaged(COMPRESSED | st.binary()), NAMES.map(",".join), CUTS, st.integers(0, 100))
@fuzzed(160)
def test_decoding(data: bytes, encoding: str, cuts: list[int], limit: int) -> None:
    with suppress(UnknownEncoding, BadEncoding, TooLarge):
        assert len(decode(data, encoding, limit=limit)) <= limit
    with suppress(UnknownEncoding, BadEncoding):
        decoder = Decoder(encoding)
        assert b"".join(map(decoder.feed, cut(data, cuts))) is not None
        decoder.finish()


BITS_OF_JSON = ["{", "}", "[", "]", ",", ":", '"', "\\u", "d800", "1e999", "-", "NaN", "null", "tru", "\\", "\0", " "]


@given(st.lists(st.sampled_from(BITS_OF_JSON) | st.text(max_size=3)).map("".join) | st.binary())
@fuzzed(160)
def test_reading_json(text: str | bytes) -> None:
    with suppress(JsonError):
        written = dump_bytes(loads(text))
        assert dump_bytes(loads(written)) == written
    if isinstance(text, str):
        is_cut_off(text)


@given(ODD)
@fuzzed(120)
def test_writing_json(value: object) -> None:
    """What was read can be written, though it was half a surrogate pair."""
    known = loads(json.dumps(value))
    assert loads(dumps(known)) == known
    assert "\n" not in dumps(known)


def test_deep_json_is_read_or_refused() -> None:
    for opening, depth in itertools.product(("[", '{"a":'), (100, 10_000, 1_000_000)):
        with suppress(JsonError):
            dumps(loads(opening * depth))
            dumps(loads(opening * depth + "1" + ("]" if opening == "[" else "}") * depth))
