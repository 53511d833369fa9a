"""Content-Encoding: compressed bytes in any portions → plain bytes, within a limit."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import brotli
import zstandard

STEP = 256 * 1024
"""Bytes made at once, so that a decompression bomb is noticed while it is small."""


class UnknownEncoding(ValueError):
    """Not one of the encodings this module reads."""


class BadEncoding(ValueError):
    """The bytes are not what their Content-Encoding says."""


class TooLarge(ValueError):
    """The plain bytes would pass the limit."""


class Decoder:
    """Undoes a Content-Encoding header, several codings included ("gzip, br"), portion by portion.

    Args:
        encoding: the header's value; "" and "identity" change nothing.
        limit: the most plain bytes it will make in all; None for no limit.

    Raises:
        UnknownEncoding: when it is made.
        BadEncoding, TooLarge: while it is fed.
    """

    def __init__(self, encoding: str, *, limit: int | None = None) -> None:
        names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
        self._stages = [_stage(name) for name in reversed(names) if name != "identity"]
        self._limit = limit
        self._made = 0
        self._exceeded = False

    def feed(self, data: bytes) -> bytes:
        """The plain bytes that `data` brings; b"" while more input is needed."""
        plain = self.beginning(data)
        if self._exceeded:
            raise TooLarge(f"more than {self._limit} bytes when decoded")
        return plain

    def beginning(self, data: bytes) -> bytes:
        """As `feed`, but what lies beyond the limit is left away, and made no further than to notice it."""
        if self._exceeded:
            return b""
        portions: Iterator[bytes] = iter((data,))
        for stage in self._stages:
            portions = _through(stage, portions)
        out = []
        for portion in portions:
            room = len(portion) if self._limit is None else self._limit - self._made
            out.append(portion[:room])
            self._made += len(portion)
            if len(portion) > room:
                self._exceeded = True
                break
        return b"".join(out)

    def finish(self) -> None:
        """Say that all input was given. Raises BadEncoding if a stage waits for more."""
        if not all(stage.finished() for stage in self._stages):
            raise BadEncoding("the compressed data ends early")


def decode(data: bytes, encoding: str, *, limit: int | None = None) -> bytes:
    """A whole body, decoded. Raises what `Decoder` raises."""
    decoder = Decoder(encoding, limit=limit)
    plain = decoder.feed(data)
    if data:
        decoder.finish()
    return plain


class _Stage(ABC):
    """One coding: `push` gives output in portions of about STEP bytes."""

    errors: tuple[type[Exception], ...] = ()

    @abstractmethod
    def push(self, data: bytes) -> Iterator[bytes]: ...

    @abstractmethod
    def finished(self) -> bool: ...


class _Zlib(_Stage):
    """gzip and deflate; deflate both with the zlib header (the standard) and raw (what some send)."""

    errors = (zlib.error,)

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._started = False

    def push(self, data: bytes) -> Iterator[bytes]:
        if not self._started and data:
            self._started = True
            if self._wbits == zlib.MAX_WBITS and not _has_zlib_header(data):
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while data:
            if self._inflate.eof:  # gzip members may follow each other
                self._inflate = zlib.decompressobj(self._wbits)
            portion = self._inflate.decompress(data, STEP)
            yield portion
            while len(portion) == STEP:  # zlib holds output back even when it has taken all input
                portion = self._inflate.decompress(self._inflate.unconsumed_tail, STEP)
                yield portion
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def finished(self) -> bool:
        return self._inflate.eof


class _Brotli(_Stage):
    errors = (brotli.error,)

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def push(self, data: bytes) -> Iterator[bytes]:
        process: Callable[..., bytes] = self._decompressor.process
        if not hasattr(self._decompressor, "can_accept_more_data"):  # brotli < 1.2 has no output limit: tiny bites
            for start in range(0, len(data), 16):
                yield process(data[start : start + 16])
            return
        portion = process(data, output_buffer_limit=STEP)
        yield portion
        while portion and not self._decompressor.is_finished():  # it holds output back although it took all input
            portion = process(b"", output_buffer_limit=STEP)
            yield portion

    def finished(self) -> bool:
        return bool(self._decompressor.is_finished())


class _Zstd(_Stage):
    errors = (zstandard.ZstdError,)

    def __init__(self) -> None:
        self._decompress = zstandard.ZstdDecompressor().decompressobj(write_size=STEP)
        self._started = False

    def push(self, data: bytes) -> Iterator[bytes]:
        # Four bytes of zstd make 128 KiB at most: small bites keep each portion within a few megabytes.
        for start in range(0, len(data), 128):
            bite = data[start : start + 128]
            while bite:
                if self._decompress.eof:  # frames may follow each other
                    self._decompress = zstandard.ZstdDecompressor().decompressobj(write_size=STEP)
                yield self._decompress.decompress(bite)
                bite = self._decompress.unused_data if self._decompress.eof else b""

    def finished(self) -> bool:
        return bool(self._decompress.eof)


def _stage(name: str) -> _Stage:
    match name:
        case "gzip" | "x-gzip":
            return _Zlib(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Zlib(zlib.MAX_WBITS)
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
        case _:
            raise UnknownEncoding(name)


def _through(stage: _Stage, portions: Iterator[bytes]) -> Iterator[bytes]:
    try:
        for portion in portions:
            yield from stage.push(portion)
    except stage.errors as error:
        raise BadEncoding(str(error)) from error


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950: the low nibble of the first byte is 8, and the first two bytes are a multiple of 31."""
    if len(data) == 1:
        return data[0] & 0x0F == 8
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
