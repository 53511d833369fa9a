"""Values as they lie in the store: JSON in UTF-8, compressed where that pays."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, cast

from addon.store.errors import StoreError
from addon.store.records import Conversation, StoredEvent
from addon.wire.json import Json, JsonError, JsonObject, dump_bytes, loads
from addon.wire.responses import OutputItem, ResponseObject

_PLAIN: Final = b"="
_ZLIB: Final = b"z"

_TOO_SMALL: Final = 256
"""Bytes. JSON of this length hardly shrinks."""
_SAMPLED: Final = 128 * 1024
"""From this length on a sample is tried first: images in base64 take long and gain nothing worth it."""
_SAMPLE: Final = 16 * 1024
_WORTHWHILE: Final = 0.6
"""What compression has to leave of a sample at most. Of base64 it leaves about 0.76."""
_LEVEL: Final = 1
"""The highest levels save another tenth and take five times as long."""


def pack(data: bytes) -> bytes:
    if len(data) < _TOO_SMALL or not _shrinks(data):
        return _PLAIN + data
    return _ZLIB + zlib.compress(data, _LEVEL)


def _shrinks(data: bytes) -> bool:
    if len(data) < _SAMPLED:
        return True
    start = (len(data) - _SAMPLE) // 2
    return len(zlib.compress(data[start : start + _SAMPLE], _LEVEL)) < _SAMPLE * _WORTHWHILE


def unpack(packed: bytes) -> bytes:
    """
    Raises:
        StoreError: this is nothing that `pack` made.
    """
    try:
        match packed[:1]:
            case b"=":
                return packed[1:]
            case b"z":
                return zlib.decompress(packed[1:])
    except zlib.error as error:
        raise _unreadable(str(error)) from error
    raise _unreadable("unknown form")


def pack_json(value: object) -> bytes:
    return pack(dump_bytes(value))


def unpack_object(packed: bytes) -> JsonObject:
    value = _unpack_json(packed)
    if not isinstance(value, dict):
        raise _unreadable("no JSON object")
    return value


def unpack_objects(packed: bytes) -> list[JsonObject]:
    value = _unpack_json(packed)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _unreadable("no list of JSON objects")
    return cast("list[JsonObject]", value)


def _unpack_json(packed: bytes) -> Json:
    try:
        return loads(unpack(packed))
    except JsonError as error:
        raise _unreadable(str(error)) from error


def pack_response(response: ResponseObject) -> bytes:
    """The response but for its output, which is kept item by item."""
    return pack_json({**response, "output": []})


def unpack_response(packed: bytes, output: Sequence[JsonObject]) -> ResponseObject:
    response = cast("ResponseObject", unpack_object(packed))
    response["output"] = cast("list[OutputItem]", list(output))
    return response


def pack_conversation(conversation: Conversation) -> bytes:
    return pack_json({"id": conversation.id, "created_at": conversation.created_at, "metadata": conversation.metadata})


def unpack_conversation(packed: bytes) -> Conversation:
    match unpack_object(packed):
        case {"id": str(conversation_id), "created_at": int(created_at), "metadata": dict(metadata)}:
            return Conversation(conversation_id, created_at, metadata)
    raise _unreadable("no conversation")


def pack_events(events: Sequence[StoredEvent]) -> bytes:
    return pack(b"\n".join(event.data for event in events))


def unpack_events(last: int, packed: bytes) -> list[StoredEvent]:
    """The events that were packed together, the last of which has this number."""
    lines = unpack(packed).split(b"\n")
    return [StoredEvent(number, line) for number, line in enumerate(lines, start=last - len(lines) + 1)]


def _unreadable(problem: str) -> StoreError:
    return StoreError(
        f"An entry of the store cannot be read ({problem}). Something else has written there, or the medium is "
        "damaged: delete the response, or begin with an empty store."
    )
