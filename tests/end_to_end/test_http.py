"""HTTP itself: encodings, limits, paths, hosts, HTTP/2, the WebSocket upgrade, and curl."""

from __future__ import annotations

import gzip
import json
import shutil
import ssl
import subprocess
import zlib
from collections.abc import Callable, Iterator

import brotli
import httpx
import pytest
import zstandard

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.original import ANSWER, Original
from tests.end_to_end.process import CLIENT_KEY, Bridge, clean_environment, events_of
from tests.end_to_end.provider import PATIENCE_S, Provider, says
from tests.end_to_end.wire import Http2, connect
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response

MIB = 1024 * 1024


@pytest.fixture
def client(bridge: Bridge) -> Iterator[httpx.Client]:
    with bridge.client() as client:
        yield client


def error_of(response: httpx.Response) -> dict[str, object]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


# --- the two forms of an answer


def test_a_whole_answer(client: httpx.Client, model: str) -> None:
    response = client.post("/v1/responses", json={"model": model, "input": "Hi"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    validate_response(response.json())


def test_a_stream(client: httpx.Client, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    response = client.post("/v1/responses", json={"model": model, "input": "Hi", "stream": True})

    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    check_stream(events)
    for event in events:
        validate_event(event)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("stream", "words"),
    [
        pytest.param(False, '"status":"completed"', id="whole"),
        pytest.param(True, "event: response.completed", id="stream"),
    ],
)
@pytest.mark.parametrize("version", ["--http1.1", "--http2", "--http2-prior-knowledge"])
def test_curl(bridge: Bridge, model: str, stream: bool, words: str, version: str) -> None:
    body = json.dumps({"model": model, "input": "Hi", "stream": stream})
    command = ["curl", "-sS", "--fail", "--no-buffer", version, "-x", bridge.url, "--cacert", str(bridge.ca)]
    headers = ["-H", f"Authorization: Bearer {CLIENT_KEY}", "-H", "Content-Type: application/json"]
    url = "https://api.openai.com/v1/responses"

    result = subprocess.run(
        [*command, *headers, "-d", body, url], capture_output=True, timeout=PATIENCE_S, env=clean_environment()
    )

    assert result.returncode == 0, result.stderr
    assert words in result.stdout.decode()


# --- request bodies

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def post_encoded(client: httpx.Client, body: bytes, encoding: str) -> httpx.Response:
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    return client.post("/v1/responses", content=body, headers=headers)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encoded_bodies(client: httpx.Client, provider: Provider, model: str, encoding: str) -> None:
    body = json.dumps({"model": model, "input": "Hi, encoded"}).encode()

    response = post_encoded(client, ENCODERS[encoding](body), encoding)

    assert response.status_code == 200, response.text
    assert provider.call(model).body["messages"][0]["content"] == "Hi, encoded"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb(client: httpx.Client, encoding: str) -> None:
    """100 MiB of blanks, in a few kilobytes."""
    response = post_encoded(client, ENCODERS[encoding](b" " * (100 * MIB)), encoding)

    assert response.status_code == 413
    assert error_of(response)["code"] == "request_too_large"


def test_an_unknown_encoding(client: httpx.Client) -> None:
    response = post_encoded(client, b"{}", "rot13")

    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_content_encoding"


@pytest.mark.parametrize(
    "body", [pytest.param(b"not gzip", id="not-gzip"), pytest.param(gzip.compress(b"{}" * 99)[:-12], id="cut-short")]
)
def test_a_broken_encoding(client: httpx.Client, body: bytes) -> None:
    response = post_encoded(client, body, "gzip")

    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_content_encoding"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "missing_required_parameter", id="empty"),
        pytest.param(b"{", "invalid_value", id="not-json"),
        pytest.param(b"[]", "invalid_value", id="not-an-object"),
        pytest.param(b'{"input": "Hi"}', "missing_required_parameter", id="no-model"),
        pytest.param(b"\xff\xfe", "invalid_value", id="not-utf-8"),
    ],
)
def test_bodies_that_are_no_request(client: httpx.Client, body: bytes, code: str) -> None:
    response = client.post("/v1/responses", content=body)

    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request_error"


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(config_for(provider, limits="{body_bytes: 100000}"))
    with connect(bridge, "http/1.1") as connection:
        connection.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 500000\r\n\r\n")
        connection.sendall(b" " * 200_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
        connection.sendall(b" " * 300_000)
        assert not b"".join(iter(lambda: connection.recv(65536), b"")).startswith(b"HTTP/")

    with connect(bridge, "h2") as connection:
        client = Http2(connection)
        assert client.request("POST", "/v1/responses", b" " * 150_000)[0] == 413
        assert client.request("GET", "/v1/models")[0] == 200


# --- paths and hosts


@pytest.mark.parametrize("path", ["/v1/responses?beta=true", "/v1/responses/", "/v1/responses/?a=1&b=2"])
def test_ways_to_write_the_path(client: httpx.Client, model: str, path: str) -> None:
    assert client.post(path, json={"model": model, "input": "Hi"}).status_code == 200


@pytest.mark.parametrize("region", ["us", "eu", "ae", "au", "in", "jp"])
def test_regional_hosts(bridge: Bridge, model: str, region: str) -> None:
    with bridge.client(base_url=f"https://{region}.api.openai.com") as client:
        assert client.post("/v1/responses", json={"model": model, "input": "Hi"}).status_code == 200


def test_traces_are_accepted_and_forgotten(client: httpx.Client) -> None:
    response = client.post("/v1/traces/ingest", json={"data": [{"prompt": "secret"}]})

    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("POST", "/v1/embeddings"),
        ("GET", "/"),
        ("POST", "/v2/responses"),
        ("DELETE", "/v1/models/x"),
        ("OPTIONS", "*"),
    ],
)
def test_other_paths_are_blocked(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_served_by_bridge"


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/v1/models")

    assert (response.status_code, response.content) == (200, b"")


def test_other_paths_are_forwarded_when_that_is_wanted(
    start_bridge: StartBridge, provider: Provider, original: Original, model: str
) -> None:
    """Also the control of all tests with a stand-in: what is forwarded does reach it."""
    bridge = start_bridge(config_for(provider, unmatched="forward", traces="forward"))
    with bridge.client() as client:
        assert client.get("/v1/files?limit=2").content == ANSWER
        assert client.post("/v1/traces/ingest", json={}).content == ANSWER
        assert client.post("/v1/responses", json={"model": model, "input": "Hi"}).json()["status"] == "completed"

    assert [request.split(b" HTTP")[0] for request in original.requests] == [
        b"GET /v1/files?limit=2",
        b"POST /v1/traces/ingest",
    ]


def test_other_hosts_are_tunnelled_undecrypted(bridge: Bridge, original: Original) -> None:
    """The client sees the certificate of the server it asked for, not one that the proxy made."""
    context = ssl.create_default_context(cafile=str(original.certificate))
    url = f"https://localhost:{original.port}"
    with httpx.Client(proxy=bridge.url, verify=context, trust_env=False) as client:
        assert client.get(url).content == ANSWER

    own = ssl.create_default_context(cafile=str(bridge.ca))
    with httpx.Client(proxy=bridge.url, verify=own, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(url)


# --- the WebSocket upgrade

HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/?x=1"])
def test_an_upgrade_is_refused(client: httpx.Client, path: str) -> None:
    response = client.get(path, headers=HANDSHAKE)

    assert response.status_code == 426
    assert error_of(response)["code"] == "websocket_not_supported"


def test_http2_alone(bridge: Bridge, provider: Provider, model: str) -> None:
    provider.script(model, says("Hello."))
    body = json.dumps({"model": model, "input": "Hi"}).encode()
    with connect(bridge, "h2") as connection:
        client = Http2(connection)

        assert client.request("GET", "/v1/models")[0] == 200
        assert client.request("POST", "/v1/responses", body)[0] == 200
        assert client.request("GET", "/v1/nothing")[0] == 404


def test_an_extended_connect_is_refused_and_the_connection_lives_on(
    bridge: Bridge, provider: Provider, model: str
) -> None:
    body = json.dumps({"model": model, "input": "Hi"}).encode()
    with connect(bridge, "h2") as connection:
        client = Http2(connection)

        status, refusal = client.request("CONNECT", "/v1/responses", protocol="websocket")
        assert status == 426
        assert json.loads(refusal)["error"]["code"] == "websocket_not_supported"
        status, answer = client.request("POST", "/v1/responses", body)
        assert status == 200
        validate_response(json.loads(answer))


@pytest.mark.parametrize("offer", [("h2", "http/1.1"), ("http/1.1",), ()], ids=["both", "one", "none"])
def test_clients_get_http_1_where_they_take_it(bridge: Bridge, offer: tuple[str, ...]) -> None:
    with connect(bridge, *offer) as connection:
        assert connection.selected_alpn_protocol() in ("http/1.1", None)
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_http_1_0(bridge: Bridge, model: str) -> None:
    """No chunked encoding: the end of a stream is the end of the connection."""
    body = json.dumps({"model": model, "input": "Hi", "stream": True}).encode()
    with connect(bridge) as connection:
        connection.sendall(
            b"POST /v1/responses HTTP/1.0\r\nHost: api.openai.com\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"200" in head.split(b"\r\n")[0]
    assert b"transfer-encoding" not in head.lower()
    check_stream(events_of(rest.decode()))
