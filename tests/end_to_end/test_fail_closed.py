"""Whatever goes wrong, nothing reaches the original host, for which a server on loopback stands in.

That the stand-in would notice is shown in `test_http.py`, where calls are forwarded on purpose.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.original import Original
from tests.end_to_end.process import ROOT, Bridge, events_of, eventually
from tests.end_to_end.provider import PATIENCE_S, Provider, chunk, event, fails, says, streams
from tests.grammar import check_stream

HOOKS = [
    "client_connected",
    "next_layer",
    "tls_clienthello",
    "tls_start_client",
    "tls_established_client",
    "http_connect",
    "requestheaders",
    "request",
    "responseheaders",
    "response",
    "server_connect",
    "server_connected",
]


@pytest.fixture(autouse=True)
def nothing_leaves(original: Original, start_bridge: StartBridge) -> Iterator[None]:
    yield
    assert original.untouched, original.requests


def refused(response: httpx.Response, status: int = 503) -> bool:
    return response.status_code == status and set(response.json()) == {"error"}


# --- what raises


def test_another_addon_raises(start_bridge: StartBridge) -> None:
    bridge = start_bridge(addons=["raises"], may_crash=True, wait=False)
    switch = bridge.folder / "raise-in"
    switch.write_text("")

    for hook in HOOKS:
        switch.write_text(hook)
        assert bridge.respond("m").status_code == 200, hook
        assert f"raised in {hook}" in bridge.log


def test_another_addon_raises_in_the_error_hook(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(addons=["raises"], may_crash=True, wait=False)
    (bridge.folder / "raise-in").write_text("error")
    provider.script(model, lambda reply: reply.cut())

    assert refused(bridge.respond(model), 502)


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        pytest.param("addon.service:Service._plan", 500, id="the-plan"),
        pytest.param("addon.proxy.hooks:Bridge.next_layer", 503, id="next-layer"),
        pytest.param("addon.exchange:ResponsesExchange.begin", 500, id="begin"),
        pytest.param("addon.exchange:ResponsesExchange._feed", 500, id="feed"),
    ],
)
def test_the_bridge_is_broken(start_bridge: StartBridge, broken: str, status: int) -> None:
    bridge = start_bridge(addons=["breaks"], env={"BREAKS": broken}, may_crash=True)

    assert bridge.respond("m").status_code == status


def test_the_bridge_breaks_in_the_middle_of_a_stream(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    broken = "addon.translate.stream:StreamConverter.end"
    bridge = start_bridge(addons=["breaks"], env={"BREAKS": broken}, may_crash=True)
    provider.script(model, streams(event(chunk({"content": "Hel"}))))

    events = events_of(bridge.respond(model, stream=True).text)

    check_stream(events)
    assert [each["type"] for each in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "bridge_error"


# --- configuration


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param("modles: {}", ("bridge.yaml", "modles", "models"), id="typo"),
        pytest.param("models: {'*': nobody/x}", ("bridge.yaml", "nobody"), id="provider"),
    ],
)
def test_a_broken_configuration_stops_the_start(start_bridge: StartBridge, config: str, words: tuple[str, ...]) -> None:
    bridge = start_bridge(config, wait=False, may_crash=True)

    assert bridge.process.wait(PATIENCE_S) != 0
    assert all(word in bridge.log for word in words), bridge.log


def test_an_edit_of_the_configuration_is_taken_up(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(config_for(provider, models="{'*': test/before}"))
    assert bridge.respond("m").headers["x-bridge-target"] == "test/before"

    bridge.configure(config_for(provider, models="{'*': test/after}"))

    assert bridge.respond("m").headers["x-bridge-target"] == "test/after"


def test_a_broken_edit_changes_nothing(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(config_for(provider, models="{'*': test/before}"))

    bridge.configure("models: [")
    assert bridge.respond("m").headers["x-bridge-target"] == "test/before"
    bridge.logged("The last good one holds.")
    (bridge.folder / "bridge.yaml").unlink()
    assert bridge.respond("m").headers["x-bridge-target"] == "test/before"
    bridge.configure(config_for(provider, models="{'*': test/after}"))
    assert bridge.respond("m").headers["x-bridge-target"] == "test/after"


def test_no_configuration_at_all(start_bridge: StartBridge) -> None:
    response = start_bridge("{}").respond("m")

    assert refused(response)
    assert response.json()["error"]["code"] == "no_provider"


# --- the script is loaded again


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the bridge's sources that a test may spoil."""
    shutil.copytree(ROOT / "addon", tmp_path / "copy" / "addon", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy" / "addon"


def rewrite(script: Path, text: str) -> None:
    """Change a script all at once, so that mitmproxy sees the change, and sees it once."""
    later = script.stat().st_mtime + 10
    draft = script.with_suffix(".new")
    draft.write_text(text)
    os.utime(draft, (later, later))
    draft.replace(script)


def test_a_reload_that_fails(start_bridge: StartBridge, copied: Path) -> None:
    script = copied / "bridge.py"
    good = script.read_text()
    bridge = start_bridge(script=script, may_crash=True)
    assert bridge.respond("m").status_code == 200

    rewrite(script, "this is no Python")
    bridge.logged("error in script")
    assert refused(bridge.respond("m"))
    rewrite(script, good + "\n")
    eventually(lambda: serves(bridge), "the mended bridge serves")


def serves(bridge: Bridge) -> bool:
    try:
        return bridge.respond("m").status_code == 200
    except httpx.ProxyError:  # CONNECT was refused
        return False


def test_a_reload_of_modules_that_fail(start_bridge: StartBridge, copied: Path) -> None:
    script, service = copied / "bridge.py", copied / "service.py"
    good = service.read_text()
    bridge = start_bridge(script=script, may_crash=True)
    with bridge.client() as kept:
        assert kept.get("/v1/models").status_code == 200

        service.write_text("this is no Python")
        rewrite(script, script.read_text() + "\n")
        bridge.logged("The bridge could not be loaded")
        assert not serves(bridge)
        assert refused(kept.get("/v1/models"))
        service.write_text(good + "\n")
        rewrite(script, script.read_text() + "\n")
        eventually(lambda: serves(bridge), "the mended bridge serves")


def test_good_reloads(start_bridge: StartBridge, copied: Path) -> None:
    """Connections that were open before are served as well as new ones."""
    script = copied / "bridge.py"
    bridge = start_bridge(script=script)
    with bridge.client() as kept:
        assert kept.get("/v1/models").status_code == 200
        for load in ("second", "third"):
            rewrite(script, script.read_text() + f"logging.info('the {load} load')\n")
            bridge.logged(f"the {load} load")
            eventually(lambda: serves(bridge), "the bridge serves")
            assert kept.get("/v1/models").status_code == 200


def test_a_bridge_that_cannot_be_loaded(start_bridge: StartBridge, copied: Path) -> None:
    (copied / "service.py").write_text("this is no Python")
    bridge = start_bridge(script=copied / "bridge.py", may_crash=True, wait=False)

    assert bridge.process.wait(PATIENCE_S) != 0


# --- options and addons that have bodies streamed


def test_limits_of_the_proxy(start_bridge: StartBridge) -> None:
    """They are not for the bridge, which has a limit of its own."""
    bridge = start_bridge(args=["--set", "stream_large_bodies=1", "--set", "body_size_limit=1"])
    with bridge.client() as client:
        assert client.post("/v1/responses", json={"model": "m", "input": "Hi" * 9999}).status_code == 200
        stream = client.post("/v1/responses", json={"model": "m", "input": "Hi" * 9999, "stream": True})
        assert "event: response.completed" in stream.text


def test_an_addon_that_streams(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(addons=["streams"])
    provider.script(model, says("Hello."), says("Hello."), fails(500, "the reason"))

    assert bridge.respond(model).json()["status"] == "completed"
    assert "event: response.completed" in bridge.respond(model, stream=True).text
    assert "the reason" in bridge.respond(model).text


# --- other ways to the host


def test_plain_http(start_bridge: StartBridge) -> None:
    bridge = start_bridge()
    with bridge.client(base_url="http://api.openai.com") as client:
        assert refused(client.post("/v1/responses", json={"model": "m", "input": "Hi"}))
    with bridge.client(base_url="http://api.openai.com:443") as client:
        assert refused(client.get("/v1/models"))
    with bridge.client(base_url="http://api.openai.com:8080") as client:
        assert refused(client.get("/v1/models"))


def test_a_host_header_that_says_something_else(bridge: Bridge) -> None:
    with bridge.client() as client:
        answer = client.post("/v1/responses", json={"model": "m", "input": "Hi"}, headers={"host": "example.com"})
        assert answer.status_code == 200


def test_replay_of_a_recorded_flow(start_bridge: StartBridge, model: str, provider: Provider) -> None:
    """The provider's flow may be sent again, without a key; the client's may not."""
    first = start_bridge(args=["-w", "flows"])
    assert first.respond(model).status_code == 200
    first.stop()

    second = start_bridge(args=["-C", str(first.folder / "flows")], wait=False)

    second.process.wait(PATIENCE_S)
    assert "503" in second.log
    assert all("[hidden]" in call.headers["authorization"] for call in provider.calls(model)[1:])
