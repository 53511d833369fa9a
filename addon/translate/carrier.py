"""Blobs that clients keep for us: a JSON document → a signed text, and back to whoever has the key.

They are signed, not encrypted: their keeper had a part in the conversation anyway, and the signature only makes sure
that nothing is taken for our own words that is not.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from addon.wire.json import Json, JsonObject, dumps, loads

_SIGNATURE_BYTES = 16
_MOST_BYTES = 4 * 1024 * 1024
"""No blob is inflated to more than this."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """One kind of blob."""

    mark: str
    """What its blobs begin with: their kind, and the version of their inside."""

    def seal(self, document: JsonObject, key: bytes) -> str:
        """The blob that carries the document; the same for the same."""
        packed = zlib.compress(dumps(document).encode("utf-8", "surrogatepass"), 6)
        return self.mark + _text(self._signature(packed, key) + packed)

    def claims(self, blob: str) -> bool:
        """Whether it says that it is one of these. Only then is the key needed."""
        return blob.startswith(self.mark)

    def open(self, blob: str, key: bytes) -> Json:
        """What `seal` was given, under the same key; None for whatever it did not make."""
        if not self.claims(blob):
            return None
        try:
            packed = self._verified(blob.removeprefix(self.mark), key)
            return None if packed is None else loads(_inflated(packed))
        except (ValueError, zlib.error):
            return None

    def _signature(self, packed: bytes, key: bytes) -> bytes:
        return hmac.digest(key, self.mark.encode() + packed, hashlib.sha256)[:_SIGNATURE_BYTES]

    def _verified(self, body: str, key: bytes) -> bytes | None:
        """The packed document. base64 can be written in several ways; only ours is accepted."""
        raw = urlsafe_b64decode(body.encode("ascii"))
        signature, packed = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        is_ours = hmac.compare_digest(signature, self._signature(packed, key))
        return packed if is_ours and _text(raw) == body else None


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii")


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    document = inflater.decompress(packed, _MOST_BYTES)
    if not inflater.eof:
        raise ValueError("more than a blob may hold")
    return document
