"""The guard lets nothing to an intercepted host that did not come through the bridge."""

from __future__ import annotations

import gc
import json

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils

from addon.proxy.flows import Guard, OwnFlows


def flow_to(host: str, *, sni: str | None = None, header: str | None = None) -> http.HTTPFlow:
    flow = tflow.tflow(req=tutils.treq(host=host, port=443, headers=http.Headers(host=header or host)))
    flow.client_conn.sni = sni
    return flow


@pytest.fixture
def guard() -> Guard:
    guard = Guard()
    guard.intercepts = lambda host, port: (host, port) == ("api.openai.com", 443)
    return guard


@pytest.mark.parametrize(
    "flow",
    [
        flow_to("api.openai.com"),
        flow_to("203.0.113.5", sni="api.openai.com"),
        flow_to("203.0.113.5", header="api.openai.com"),
    ],
    ids=["host", "SNI", "host header"],
)
def test_it_refuses_what_did_not_come_through_the_bridge(guard: Guard, flow: http.HTTPFlow) -> None:
    flow.request.stream = True
    guard.requestheaders(flow)
    assert flow.response is not None
    assert flow.response.status_code == 503
    assert json.loads(flow.response.content or b"")["error"]["code"] == "refused_by_bridge"
    assert not flow.request.stream, "a streamed request would be on its way already"


def test_other_hosts_are_no_concern_of_it(guard: Guard) -> None:
    flow = flow_to("example.org")
    guard.requestheaders(flow)
    guard.request(flow)
    assert flow.response is None


def test_flows_of_the_bridge_pass(guard: Guard) -> None:
    flow = flow_to("api.openai.com")
    guard.own_flows.add(flow)
    guard.requestheaders(flow)
    guard.request(flow)
    assert flow.response is None


def test_a_replayed_flow_is_not_the_bridges_any_more(guard: Guard) -> None:
    flow = flow_to("api.openai.com")
    guard.own_flows.add(flow)
    copy = flow.copy()
    flow.is_replay = "request"
    for replayed in (flow, copy):
        guard.request(replayed)
        assert replayed.response is not None


def test_before_a_configuration_is_known_everything_is_refused() -> None:
    flow = flow_to("example.org")
    Guard().request(flow)
    assert flow.response is not None


def test_flows_are_forgotten_with_mitmproxy() -> None:
    own = OwnFlows()
    flow = flow_to("api.openai.com")
    own.add(flow)
    assert flow in own
    del flow
    gc.collect()
    assert len(own._flows) == 0
