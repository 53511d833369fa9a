"""The addon in mitmproxy's hands: options, and which connections it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from mitmproxy import exceptions, tls
from mitmproxy.addons import proxyserver
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer
from mitmproxy.test import taddons

from addon.exchange import ClientCall, Exchange
from addon.proxy.flows import Guard
from addon.proxy.hooks import Bridge
from addon.proxy.layer import BridgeLayer

CONFIG = "providers: {acme: {base_url: 'http://127.0.0.1:9/v1'}}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    monkeypatch.setenv("BRIDGE_CONFIG", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("BRIDGE_PROVIDER", "BRIDGE_MODEL", "BRIDGE_BASE_URL", "BRIDGE_API_KEY", "BRIDGE_REMOTES"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def mitmproxy() -> Iterator[taddons.context]:
    with taddons.context(proxyserver.Proxyserver()) as context:
        yield context
    context.master.event_loop.close()


def configured(mitmproxy: taddons.context) -> Bridge:
    bridge = Bridge()
    mitmproxy.master.addons.add(bridge)
    bridge.configure(set())
    return bridge


def connection(mitmproxy: taddons.context, sni: str | None, *, tls_established: bool = True) -> Context:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    context = Context(client, mitmproxy.options)
    context.server = Server(address=("203.0.113.5", 443))
    ServerTLSLayer(context)
    ClientTLSLayer(context)
    client.sni = sni
    if tls_established:
        client.timestamp_tls_setup = 1
    return context


def test_options_are_set_as_the_bridge_needs_them(config: Path, mitmproxy: taddons.context) -> None:
    configured(mitmproxy)
    options = mitmproxy.options
    assert options.connection_strategy == "lazy"
    assert options.upstream_cert is False
    assert options.listen_host == "127.0.0.1"
    assert r"^api\.openai\.com:[0-9]+$" in options.allow_hosts


def test_options_of_the_user_are_left_alone(config: Path, mitmproxy: taddons.context) -> None:
    mitmproxy.options.update(listen_host="0.0.0.0", allow_hosts=["mine"])
    configured(mitmproxy)
    assert mitmproxy.options.listen_host == "0.0.0.0"
    assert mitmproxy.options.allow_hosts == ["mine"]


def test_a_faulty_configuration_is_told_at_the_start(
    config: Path, mitmproxy: taddons.context, caplog: pytest.LogCaptureFixture
) -> None:
    config.write_text("provders: {}")
    bridge = configured(mitmproxy)
    assert [record.levelname for record in caplog.records] == ["ERROR"], "which makes mitmproxy end"
    assert "provders" in caplog.text
    nextlayer = NextLayer(connection(mitmproxy, "api.openai.com"))
    bridge.next_layer(nextlayer)
    assert isinstance(nextlayer.layer, BridgeLayer), "where mitmproxy goes on all the same, calls get an error"


def test_a_faulty_option_leaves_the_configuration_as_it_was(config: Path, mitmproxy: taddons.context) -> None:
    configured(mitmproxy)
    with pytest.raises(exceptions.OptionsError, match="The configuration before holds"):
        mitmproxy.options.update(bridge_config="/nowhere/bridge.yaml")
    assert mitmproxy.options.bridge_config == ""


def test_the_guard_stands_beside_the_script(config: Path, mitmproxy: taddons.context) -> None:
    configured(mitmproxy)
    guard = mitmproxy.master.addons.get(Guard.name)
    assert isinstance(guard, Guard)
    assert guard.intercepts("api.openai.com", 443)
    assert not guard.intercepts("example.org", 443)


@pytest.mark.parametrize(
    ("sni", "established", "taken"),
    [
        ("api.openai.com", True, True),
        ("eu.api.openai.com", True, True),
        ("api.openai.com", False, False),
        ("api.openai.com.example.org", True, False),
        (None, True, False),
    ],
)
def test_it_takes_the_connections_of_its_hosts_once_tls_stands(
    config: Path, mitmproxy: taddons.context, sni: str | None, established: bool, taken: bool
) -> None:
    bridge = configured(mitmproxy)
    nextlayer = NextLayer(connection(mitmproxy, sni, tls_established=established))
    bridge.next_layer(nextlayer)
    assert isinstance(nextlayer.layer, BridgeLayer) == taken


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [((b"h2", b"http/1.1"), b"http/1.1"), ((b"h2",), None), ((), None)],
    ids=["both", "h2 alone", "none"],
)
def test_clients_are_offered_http_1_where_they_take_it(
    config: Path, mitmproxy: taddons.context, offers: tuple[bytes, ...], chosen: bytes | None
) -> None:
    bridge = configured(mitmproxy)
    context = connection(mitmproxy, "api.openai.com", tls_established=False)
    context.client.alpn_offers = offers
    bridge.tls_clienthello(tls.ClientHelloData(context, cast(tls.ClientHello, None)))
    assert context.client.alpn == chosen


def test_the_log_tells_what_rests_and_no_key(
    config: Path, mitmproxy: taddons.context, caplog: pytest.LogCaptureFixture
) -> None:
    config.write_text("providers: {acme: {base_url: 'http://127.0.0.1:9/v1', api_key: acme-secret-key}}\n")
    service = configured(mitmproxy)._service
    assert service is not None
    body = b'{"model": "acme-secret-key\\n2 rests for ever", "input": "Hi"}'
    exchange = service.plan(ClientCall("POST", "/v1/responses", {}, body))
    assert isinstance(exchange, Exchange)
    exchange.begin()
    exchange.upstream_head(500, {})
    exchange.upstream_end()
    assert "acme/[hidden]?2 rests for ever rests for 5 s (500 server_error)" in caplog.messages
