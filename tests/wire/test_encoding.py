"""Content encodings: any portions, several codings, broken data, and bombs."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.encoding import BadEncoding, Decoder, TooLarge, UnknownEncoding, decode


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def zstd_stream(data: bytes) -> bytes:
    """A frame that does not tell its size, as streaming clients make it."""
    compress = zstandard.ZstdCompressor().compressobj()
    return compress.compress(data) + compress.flush()


def brotli_compress(data: bytes) -> bytes:
    return bytes(brotli.compress(data, quality=3))


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP ", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw-deflate": ("deflate", raw_deflate),
    "brotli": ("br", brotli_compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "zstd-stream": ("zstd", zstd_stream),
    "two": ("gzip, br", lambda data: brotli_compress(gzip.compress(data))),
    "three": ("zstd,identity, deflate , gzip", lambda data: gzip.compress(zlib.compress(zstd_stream(data)))),
    "none": ("", bytes),
    "identity": ("identity", bytes),
}
coding = pytest.mark.parametrize(("encoding", "compress"), CODINGS.values(), ids=CODINGS)
PLAIN = b"Hello, " * 20


@coding
@given(plain=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_split_gives_the_same_bytes(
    encoding: str, compress: Callable[[bytes], bytes], plain: bytes, cuts: list[int]
) -> None:
    packed = compress(plain)
    ends = sorted(cut % (len(packed) + 1) for cut in cuts)
    decoder = Decoder(encoding, limit=len(plain))

    portions = [decoder.feed(packed[start:end]) for start, end in zip([0, *ends], [*ends, len(packed)], strict=True)]

    assert b"".join(portions) == plain
    if packed:
        decoder.finish()
    assert decode(packed, encoding) == plain


@coding
def test_large_data_comes_out_whole(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    plain = b"".join(number.to_bytes(4, "big") for number in range(300_000))
    packed = compress(plain)

    assert decode(packed, encoding) == plain
    decoder = Decoder(encoding)
    assert b"".join(decoder.feed(packed[at : at + 1000]) for at in range(0, len(packed), 1000)) == plain


@coding
def test_bytes_come_out_as_they_go_in(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """What was flushed by the sender is not held back."""
    decoder = Decoder(encoding)
    packed = compress(PLAIN)

    assert decoder.feed(packed) == PLAIN


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_frames_may_follow_each_other(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress

    assert decode(compress(b"Hello, ") + compress(b"world"), encoding) == b"Hello, world"
    decoder = Decoder(encoding)
    assert [decoder.feed(compress(b"a")), decoder.feed(compress(b"b"))] == [b"a", b"b"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_broken_data(encoding: str) -> None:
    with pytest.raises(BadEncoding):
        decode(b"This is not compressed at all.", encoding)


@coding
def test_data_that_ends_early(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    if encoding in ("", "identity"):
        return
    with pytest.raises(BadEncoding):
        decode(compress(PLAIN)[:-1], encoding)


def test_no_data_is_no_data() -> None:
    assert decode(b"", "gzip") == b""


@pytest.mark.parametrize("encoding", ["compress", "gzip, snappy", "utf-8"])
def test_unknown_encoding(encoding: str) -> None:
    with pytest.raises(UnknownEncoding):
        Decoder(encoding)


@coding
def test_the_limit_counts_all_portions(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(PLAIN)

    assert decode(packed, encoding, limit=len(PLAIN)) == PLAIN
    decoder = Decoder(encoding, limit=len(PLAIN) - 1)
    with pytest.raises(TooLarge, match=f"more than {len(PLAIN) - 1} bytes"):
        list(map(decoder.feed, (bytes([byte]) for byte in packed)))


BOMB = 256 * 1024 * 1024
LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """256 MiB of zeros, made in steps."""
    step = bytes(1024 * 1024)

    def by(compress: Callable[[bytes], bytes], flush: Callable[[], bytes]) -> bytes:
        return b"".join(compress(step) for _ in range(BOMB // len(step))) + flush()

    deflate, zipped = zlib.compressobj(1), zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    zstd, br = zstandard.ZstdCompressor(level=1).compressobj(), brotli.Compressor(quality=1)
    return {
        "deflate": by(deflate.compress, deflate.flush),
        "gzip": by(zipped.compress, zipped.flush),
        "zstd": by(zstd.compress, zstd.flush),
        "br": by(br.process, br.finish),
    }


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "zstd", "br", "gzip, gzip"])
def test_a_bomb_is_noticed_while_it_is_small(encoding: str, bombs: dict[str, bytes]) -> None:
    packed = gzip.compress(bombs["gzip"]) if encoding == "gzip, gzip" else bombs[encoding]
    decoder = Decoder(encoding, limit=LIMIT)

    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decoder.feed(packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12 * LIMIT


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 100))
def test_the_beginning_is_what_fits(portions: list[bytes], limit: int) -> None:
    decoder = Decoder("", limit=limit)
    assert b"".join(map(decoder.beginning, portions)) == b"".join(portions)[:limit]


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "zstd", "br"])
def test_the_beginning_of_a_bomb(encoding: str, bombs: dict[str, bytes]) -> None:
    decoder = Decoder(encoding, limit=LIMIT)
    assert decoder.beginning(bombs[encoding]) == bytes(LIMIT)
    assert decoder.beginning(bombs[encoding]) == b""
