"""Entry point: `mitmdump -s addon/bridge.py` (or mitmproxy, or mitmweb).

mitmproxy runs this file as a script: it is not in `sys.modules`, its folder is on `sys.path` as long as it is loaded,
and it runs again whenever it changes. If the bridge cannot be loaded, nothing at all is let through.
"""

import logging
import sys
from pathlib import Path

from mitmproxy import http

_ROOT = str(Path(__file__).resolve().parent.parent)


class _Refuse:
    """Stands in for a bridge that could not be loaded: its hosts are unknown, so everything is refused."""

    name = "responses-bridge"

    def __init__(self, problem: str) -> None:
        self._message = f"The bridge could not be loaded, so nothing is let through. {problem}"

    def http_connect(self, flow: http.HTTPFlow) -> None:
        flow.response = self._refusal()

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        flow.request.stream = False
        flow.response = self._refusal()

    def tcp_start(self, flow: "object") -> None:
        kill = getattr(flow, "kill", None)
        if callable(kill):
            kill()

    def _refusal(self) -> http.Response:
        text = self._message.replace("\\", "/").replace('"', "'")
        body = (
            f'{{"error": {{"message": "{text}", "type": "bridge_error", "param": null, "code": "bridge_not_loaded"}}}}'
        )
        return http.Response.make(503, body, {"content-type": "application/json", "x-should-retry": "false"})


def _load() -> object:
    sys.path[:] = [_ROOT, *(entry for entry in sys.path if entry not in (_ROOT, f"{_ROOT}/addon"))]
    for name in [name for name in sys.modules if name == "addon" or name.startswith("addon.")]:
        del sys.modules[name]  # this file has changed: so may have what it imports
    try:
        from addon.proxy.hooks import Bridge
    except Exception as error:
        logging.getLogger("responses_bridge").exception("The bridge could not be loaded; everything is refused.")
        return _Refuse(f"{type(error).__name__}: {error}")
    return Bridge()


addons = [_load()]
