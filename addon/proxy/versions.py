"""What differs between the versions of mitmproxy that the bridge runs on."""

from __future__ import annotations

from typing import Any

from mitmproxy.net.http import status_codes
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import RequestProtocolError, ResponseProtocolError

# mitmproxy 12 has an enumeration of protocol errors; mitmproxy 11 uses HTTP status codes in its place.
_CODES: Any = getattr(http, "ErrorCode", None)
_CANCEL: Any = status_codes.CLIENT_CLOSED_REQUEST if _CODES is None else _CODES.CANCEL


def request_cancelled(stream_id: int, why: str) -> RequestProtocolError:
    """Tells a connection to the server that its request is given up: HTTP/1 closes it, HTTP/2 resets the stream."""
    return RequestProtocolError(stream_id, why, _CANCEL)


def response_cut(stream_id: int, why: str) -> ResponseProtocolError:
    """Tells a connection to the client that an answer will not be ended: HTTP/1 closes it, HTTP/2 resets the stream."""
    return ResponseProtocolError(stream_id, why, _CANCEL)
