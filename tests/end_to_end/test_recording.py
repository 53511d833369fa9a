"""What mitmproxy records of a session: both sides as they spoke, and no provider's key anywhere."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

from tests.end_to_end.conftest import StartBridge
from tests.end_to_end.process import CLIENT_KEY, PROVIDER_KEY, Bridge, eventually, free_port
from tests.end_to_end.provider import (
    Behaviour,
    Provider,
    chunk,
    cuts,
    event,
    fails,
    says,
    sends,
    streams,
    streams_then_cuts,
    text_chunks,
)

QUOTED = f"Incorrect API key provided: {PROVIDER_KEY}. You sent Bearer {PROVIDER_KEY}."
ERROR_EVENT = event({"error": {"message": QUOTED, "code": 401}})

TELLTALES: dict[str, Behaviour] = {
    "error": fails(401, QUOTED),
    "error-header": fails(429, "slow down", x_request_id=PROVIDER_KEY, x_debug=f"Bearer {PROVIDER_KEY}"),
    "error-words": sends(QUOTED.encode(), 500, "text/plain"),
    "error-gzip": sends(
        gzip.compress(json.dumps({"error": {"message": QUOTED}}).encode()), 400, content_encoding="gzip"
    ),
    "error-200": sends(json.dumps({"error": {"message": QUOTED}}).encode()),
    "stream-error": streams(ERROR_EVENT),
    "stream-error-late": streams(event(chunk({"content": "Hi"})), ERROR_EVENT),
    "stream-cut": streams_then_cuts(event(chunk({"content": "Hi"})), b": " + QUOTED.encode() + b"\n\n"),
    "stream-after-end": streams(*map(event, text_chunks("Hi")), b"data: [DONE]\n\n", b": " + QUOTED.encode()),
    "no-http": lambda reply: reply.write(QUOTED.encode() + b"\r\n\r\n"),
    "cut": cuts,
    "fine": says("Hello."),
}
"""Answers of a provider that repeats the key it was given."""


def session(bridge: Bridge, provider: Provider) -> list[str]:
    """Every telltale, whole and streamed; what the client heard."""
    heard = []
    for name, behaviour in TELLTALES.items():
        provider.script(f"recorded-{name}", behaviour)
        for stream in (False, True):
            response = bridge.respond(f"recorded-{name}", stream=stream)
            heard.append(f"{response.headers} {response.text}")
    return heard


def assert_no_key(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "bridge.yaml":
            content = path.read_bytes()
            assert PROVIDER_KEY.encode() not in content, path
            assert PROVIDER_KEY.encode() not in b"".join(unzipped(content)), path


def unzipped(content: bytes) -> Iterator[bytes]:
    """What is in the gzip members within a file."""
    for start in (found.start() for found in re.finditer(b"\x1f\x8b\x08", content)):
        try:
            yield zlib.decompressobj(wbits=31).decompress(content[start:])
        except zlib.error:
            continue


def flows_in(path: Path) -> list[HTTPFlow]:
    with path.open("rb") as file:
        return [flow for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]


def test_no_key_in_dump_har_or_log(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(args=["-w", "flows", "--set", "hardump=session.har", "--set", "flow_detail=4", "-v"])
    heard = session(bridge, provider)
    bridge.stop()

    assert (bridge.folder / "session.har").stat().st_size > 10_000
    assert len(flows_in(bridge.folder / "flows")) == 4 * len(TELLTALES)
    assert_no_key(bridge.folder)
    assert not [each for each in heard if PROVIDER_KEY in each]
    calls = [call for call in provider.calls() if call.model.startswith("recorded-")]
    assert {call.headers["authorization"] for call in calls} == {f"Bearer {PROVIDER_KEY}"}
    assert not [call for call in calls if CLIENT_KEY in str(call.headers) or CLIENT_KEY.encode() in call.raw]


def test_no_key_in_mitmweb(start_bridge: StartBridge, provider: Provider) -> None:
    web = [
        "--no-web-open-browser",
        "--web-host",
        "127.0.0.1",
        "--set",
        "web_password=secret",
        "--web-port",
        str(free_port()),
    ]
    bridge = start_bridge(program="mitmweb", args=web)
    session(bridge, provider)
    page = re.compile(r"Web server listening at (http://[^/]+)/")
    found = eventually(lambda: page.search(bridge.log), "the pages are served")

    with httpx.Client(base_url=found[1], headers={"authorization": "Bearer secret"}, trust_env=False) as client:
        listed = client.get("/flows")
        assert len(listed.json()) == 4 * len(TELLTALES)
        pages = [listed.text, client.get("/events").text, client.get("/options").text]
        for flow in listed.json():
            for side in (side for side in ("request", "response") if flow.get(side)):
                pages.append(client.get(f"/flows/{flow['id']}/{side}/content.data").text)
                pages.append(client.get(f"/flows/{flow['id']}/{side}/content/Auto.json").text)
        pages.append(client.get("/flows/dump").content.decode("latin-1"))

    assert sum("Hello." in each for each in pages) >= 4
    assert not [each for each in pages if PROVIDER_KEY in each]


def test_both_sides_are_recorded(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(args=["-w", "flows"])
    streamed = bridge.respond(model, stream=True).text
    bridge.stop()

    attempt, call = sorted(flows_in(bridge.folder / "flows"), key=lambda flow: flow.request.host)
    assert (call.request.pretty_url, call.request.method) == ("https://api.openai.com/v1/responses", "POST")
    assert call.request.json() == {"model": model, "input": "Hi", "stream": True}
    assert call.request.headers["authorization"] == f"Bearer {CLIENT_KEY}"
    assert call.response is not None
    assert call.response.text == streamed
    assert call.comment == f"bridge: {model} -> test/{model}"

    assert attempt.request.pretty_url == f"{provider.base_url}/chat/completions"
    assert attempt.request.json()["messages"] == [{"role": "user", "content": "Hi"}]
    assert attempt.request.headers["authorization"] == "Bearer [hidden]"
    assert attempt.response is not None
    assert "chat.completion.chunk" in str(attempt.response.text)
    assert attempt.comment == f"bridge: call of test/{model}"
