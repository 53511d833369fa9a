"""Which flows are the bridge's own, and the guard against all others that are bound for an intercepted host."""

from __future__ import annotations

import json
from collections.abc import Callable
from weakref import WeakSet

from mitmproxy import http

from addon.proxy.traffic import Traffic


class OwnFlows:
    """The flows that go through a `BridgeLayer`, or are its attempts. Forgotten when mitmproxy forgets them.

    A flow is known by being the very object: one that is replayed, or loaded from a file, is another.
    """

    def __init__(self) -> None:
        self._flows: WeakSet[http.HTTPFlow] = WeakSet()

    def add(self, flow: http.HTTPFlow) -> None:
        self._flows.add(flow)

    def __contains__(self, flow: http.HTTPFlow) -> bool:
        return flow in self._flows and flow.is_replay is None


class Guard:
    """Refuses every request to an intercepted host that did not come through the bridge.

    It is an addon of its own, beside the script: when the script is reloaded and breaks, mitmproxy is left without the
    bridge, and would send to the original host whatever comes.
    """

    name = "responses-bridge-guard"

    def __init__(self) -> None:
        self.own_flows = OwnFlows()
        self.traffic = Traffic()
        self.options: set[str] = set()
        """mitmproxy's options that the bridge has set, and may set again."""
        self.intercepts: Callable[[str, int], bool] = _everything

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._refuse(flow)

    def request(self, flow: http.HTTPFlow) -> None:
        self._refuse(flow)

    def _refuse(self, flow: http.HTTPFlow) -> None:
        if flow in self.own_flows or flow.response is not None:
            return
        sni = flow.client_conn.sni
        hosts = {flow.request.host, flow.request.pretty_host, *([sni] if sni else [])}
        if any(self.intercepts(host, flow.request.port) for host in hosts):
            flow.request.stream = False
            flow.response = refusal(
                "This request did not come to the bridge in a way that it serves, and was kept from its original "
                "host. The bridge serves HTTPS through the proxy, and no flow that is replayed. If it was reloaded, "
                "its log says what is wrong.",
            )


def refusal(message: str) -> http.Response:
    """503 in OpenAI's shape."""
    error = {"message": message, "type": "bridge_error", "param": None, "code": "refused_by_bridge"}
    headers = {"content-type": "application/json", "x-should-retry": "false"}
    return http.Response.make(503, json.dumps({"error": error}), headers)


def _everything(host: str, port: int) -> bool:
    """Before the first configuration is known."""
    return True
