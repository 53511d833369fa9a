"""The bridge without a proxy: a call goes in, a plan comes out."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import brotli
import pytest
import zstandard

from addon.actions import Action, Answer, Attempt
from addon.background import Start
from addon.chat_exchange import ChatExchange
from addon.config import LiveConfig, load_config
from addon.exchange import ClientCall, Exchange, ResponsesExchange
from addon.health import Health
from addon.selection import Selection
from addon.service import Forward, Plan, Service
from addon.state import OpenStore, nothing_kept
from addon.store.learned import Learned
from addon.tries import Experience

CONFIG = """
providers:
  acme: {base_url: "https://chat.acme.test/v1", api_key: "acme-secret-key"}
models:
  fast: acme/acme-mini
  "gpt-*": acme/acme-large
"""


def service(
    tmp_path: Path,
    text: str = CONFIG,
    env: Mapping[str, str] | None = None,
    *,
    open_store: OpenStore = nothing_kept,
    start: Start | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Service:
    path = tmp_path / "bridge.yaml"
    path.write_text(text)
    count = itertools.count()
    live = LiveConfig(lambda: load_config(path, env or {}), [path])
    return Service(
        live,
        ids=lambda prefix: f"{prefix}_{next(count)}",
        now=lambda: 0.0,
        state_key=lambda: b"k" * 32,
        experience=Experience(Learned(None, now=lambda: 0.0), Selection(Health(lambda: 0.0), lambda: 0.0), clock),
        open_store=open_store,
        start=start,
    )


def call(
    method: str = "POST",
    path: str = "/v1/responses",
    body: object = None,
    *,
    raw: bytes | None = None,
    **headers: str,
) -> ClientCall:
    content = raw if raw is not None else json.dumps(body if body is not None else {}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return ClientCall(method, path, {"authorization": "Bearer sk-client", **names}, content)


def error_of(plan: object) -> tuple[int, str, str]:
    assert isinstance(plan, Answer)
    error = json.loads(plan.body)["error"]
    return plan.status, error["code"], error["message"]


HI = {"model": "gpt-5", "input": "Hi"}


def test_a_responses_call_becomes_an_exchange_with_the_routed_model(tmp_path: Path) -> None:
    plan = service(tmp_path).plan(call(body=HI))
    assert isinstance(plan, ResponsesExchange)
    (attempt,) = plan.begin()
    assert isinstance(attempt, Attempt)
    assert attempt.url == "https://chat.acme.test/v1/chat/completions"
    assert json.loads(attempt.body) == {"model": "acme-large", "messages": [{"role": "user", "content": "Hi"}]}
    assert "sk-client" not in str(attempt.headers)


def test_a_chat_call_becomes_an_exchange_with_the_routed_model(tmp_path: Path) -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    plan = service(tmp_path).plan(call(path="/v1/chat/completions?beta=true", body=body))
    assert isinstance(plan, ChatExchange)
    (attempt,) = plan.begin()
    assert isinstance(attempt, Attempt)
    assert json.loads(attempt.body)["model"] == "acme-mini"
    assert attempt.stream


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
    ],
)
def test_a_compressed_body_is_read(tmp_path: Path, encoding: str, compress: object) -> None:
    assert callable(compress)
    raw = compress(json.dumps(HI).encode())
    assert isinstance(service(tmp_path).plan(call(raw=raw, content_encoding=encoding)), ResponsesExchange)


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        pytest.param(b"{", {}, 400, "invalid_value", id="not JSON"),
        pytest.param(b"", {}, 400, "missing_required_parameter", id="empty"),
        pytest.param(b"[]", {}, 400, "invalid_value", id="not an object"),
        pytest.param(b'{"input":"x"}', {}, 400, "missing_required_parameter", id="no model"),
        pytest.param(b"x", {"content_encoding": "gzip"}, 400, "invalid_content_encoding", id="not gzip"),
        pytest.param(b"x", {"content_encoding": "lzma"}, 415, "unsupported_content_encoding", id="unknown encoding"),
        pytest.param(
            gzip.compress(b" " * 100_000), {"content_encoding": "gzip"}, 413, "request_too_large", id="too large"
        ),
        pytest.param(b'{"model":"claude","input":"x"}', {}, 404, "model_not_found", id="unknown model"),
        pytest.param(
            b'{"model":"gpt-5","input":"x","previous_response_id":"resp_1"}',
            {},
            400,
            "previous_response_not_found",
            id="state",
        ),
    ],
)
def test_a_call_that_cannot_be_served(
    tmp_path: Path, raw: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    limited = CONFIG + "limits: {body_bytes: 50000}\n"
    assert error_of(service(tmp_path, limited).plan(call(raw=raw, **headers)))[:2] == (status, code)


def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    plan = service(tmp_path).plan(call(body={"model": "gpt-5", "input": [{"type": "message", "content": "x"}]}))
    assert isinstance(plan, Answer)
    assert json.loads(plan.body)["error"]["param"] == "input[0].role"


@pytest.mark.parametrize("path", ["/v1/responses/resp_1/chart", "/v1/files", "/", "/v2/responses", "/v1x/responses"])
def test_other_paths_are_blocked_or_let_through(tmp_path: Path, path: str) -> None:
    assert error_of(service(tmp_path).plan(call("GET", path)))[:2] == (404, "not_served_by_bridge")
    assert isinstance(service(tmp_path, CONFIG + "unmatched: forward\n").plan(call("GET", path)), Forward)


def test_traces_are_accepted_and_forgotten(tmp_path: Path) -> None:
    traces = call(path="/v1/traces/ingest", body={"data": []})
    plan = service(tmp_path, CONFIG + "unmatched: forward\n").plan(traces)
    assert isinstance(plan, Answer)
    assert plan.status == 204
    assert isinstance(service(tmp_path, CONFIG + "traces: forward\n").plan(traces), Forward)


def test_a_websocket_is_refused_with_426(tmp_path: Path) -> None:
    upgrade = call("GET", connection="Upgrade", upgrade="websocket")
    assert error_of(service(tmp_path).plan(upgrade))[:2] == (426, "websocket_not_supported")


def test_models_are_listed_and_retrieved(tmp_path: Path) -> None:
    listed = service(tmp_path).plan(call("GET", "/v1/models"))
    assert isinstance(listed, Answer)
    assert [model["id"] for model in json.loads(listed.body)["data"]] == ["fast"]
    one = service(tmp_path).plan(call("GET", "/v1/models/gpt-5"))
    assert isinstance(one, Answer)
    assert json.loads(one.body)["id"] == "gpt-5"
    assert error_of(service(tmp_path).plan(call("GET", "/v1/models/claude")))[0] == 404


@pytest.mark.parametrize(
    "request_call",
    [call(body=HI), call(path="/v1/chat/completions", body={}), call("GET", "/v1/models")],
    ids=["responses", "chat", "models"],
)
def test_only_callers_with_a_key_of_the_bridge_are_served(tmp_path: Path, request_call: ClientCall) -> None:
    text = CONFIG + "clients: {keys: [team-key]}\n"
    status, code, _ = error_of(service(tmp_path, text).plan(request_call))
    assert (status, code) == (401, "invalid_api_key")


def test_a_key_of_the_bridge_opens_it(tmp_path: Path) -> None:
    text = CONFIG + "clients: {keys: [team-key]}\n"
    assert isinstance(service(tmp_path, text).plan(call(body=HI, authorization="bearer team-key")), ResponsesExchange)


def test_a_missing_key_is_the_operators_to_mend(tmp_path: Path) -> None:
    text = CONFIG.replace("acme-secret-key", "${ACME_KEY}")
    status, code, message = error_of(service(tmp_path, text).plan(call(body=HI)))
    assert (status, code) == (503, "provider_key_missing")
    assert "ACME_KEY" in message


def test_without_a_valid_configuration_nothing_is_served(tmp_path: Path) -> None:
    status, code, message = error_of(service(tmp_path, "provders: {}").plan(call(body=HI)))
    assert (status, code) == (503, "bridge_misconfigured")
    assert "provders" in message


def test_a_changed_configuration_holds_for_the_next_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge = service(tmp_path)
    bridge.plan(call(body=HI))
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG.replace("acme-large", "acme-huge"))
    plan = bridge.plan(call(body=HI))
    assert isinstance(plan, ResponsesExchange)
    assert plan.record.target == "acme/acme-huge"
    with caplog.at_level(logging.ERROR, "responses_bridge"):
        path.write_text("models: [")
        assert isinstance(bridge.plan(call(body=HI)), ResponsesExchange)
        assert isinstance(bridge.plan(call(body=HI)), ResponsesExchange)
    assert caplog.text.count("The last good one holds.") == 1, "each error is told once"


def test_a_bug_is_answered_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("addon.calls.to_chat", broken)
    status, code, message = error_of(service(tmp_path).plan(call(body=HI)))
    assert (status, code) == (500, "bridge_error")
    assert "oops" not in message
    assert "ZeroDivisionError" in caplog.text


def test_an_item_of_an_earlier_answer_can_be_referred_to(tmp_path: Path) -> None:
    bridge = service(tmp_path)
    first = bridge.plan(call(body=HI))
    assert isinstance(first, ResponsesExchange)
    first.begin()
    first.upstream_head(200, {})
    answer = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    first.upstream_data(json.dumps(answer).encode())
    (told,) = first.upstream_end()
    assert isinstance(told, Answer)
    item_id = json.loads(told.body)["output"][0]["id"]
    items = [{"type": "item_reference", "id": item_id}, {"role": "user", "content": "And?"}]

    def messages(caller: str) -> list[str]:
        plan = bridge.plan(call(body={"model": "gpt-5", "input": items}, authorization=f"Bearer {caller}"))
        assert isinstance(plan, ResponsesExchange)
        (attempt,) = plan.begin()
        assert isinstance(attempt, Attempt)
        return [message["content"] for message in json.loads(attempt.body)["messages"]]

    assert messages("sk-client") == ["Hello", "And?"]
    assert messages("sk-other") == ["And?"], "items belong to the caller that was given them"


def test_the_log_line_tells_the_essentials_and_no_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge = service(tmp_path)
    plan = bridge.plan(call(body={**HI, "truncation": "auto"}))
    assert isinstance(plan, ResponsesExchange)
    plan.begin()
    plan.upstream_lost("no route for acme-secret-key")
    with caplog.at_level(logging.INFO, "responses_bridge"):
        bridge.report(plan)
    assert "responses gpt-5 -> acme/acme-large 502 error server_error" in caplog.text
    assert "truncation" in caplog.text
    assert "acme-secret-key" not in caplog.text


# --- when a provider fails

POOL = """
providers:
  acme: {base_url: "https://chat.acme.test/v1", api_keys: [acme-secret-key-1, acme-secret-key-2]}
  spare: {base_url: "https://chat.spare.test/v1"}
models: {"gpt-*": [acme/large, spare/large]}
"""
ANSWER = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}


def begun(exchange: Plan) -> tuple[Exchange, str]:
    """An exchange whose call has been planned, and where its first attempt goes, with which key."""
    assert isinstance(exchange, Exchange)
    return exchange, attempted(exchange.begin())


def attempted(actions: Sequence[Action]) -> str:
    (attempt,) = actions
    assert isinstance(attempt, Attempt)
    key = attempt.credential.header()[1] if attempt.credential is not None else "no key"
    return f"{urlsplit(attempt.url).netloc} {key}"


def answers(exchange: Exchange, status: int, body: object = None) -> list[Action]:
    """The provider answers what is being attempted."""
    assert exchange.upstream_head(status, {}) == []
    actions = exchange.upstream_data(json.dumps(body or {"error": {"message": "no"}}).encode())
    return [*actions, *exchange.upstream_end()]


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", HI), ("/v1/chat/completions", CHAT)])
def test_a_call_goes_on_with_the_next_key_and_the_next_provider(
    tmp_path: Path, path: str, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = service(tmp_path, POOL)
    exchange, first = begun(bridge.plan(call(path=path, body=body)))
    second = attempted(answers(exchange, 401))
    third = attempted(answers(exchange, 503))
    assert [first, second, third] == [
        "chat.acme.test Bearer acme-secret-key-1",
        "chat.acme.test Bearer acme-secret-key-2",
        "chat.spare.test no key",
    ]
    assert exchange.upstream_head(200, {}) is not None
    exchange.upstream_data(json.dumps(ANSWER).encode())
    exchange.upstream_end()
    with caplog.at_level(logging.INFO, "responses_bridge"):
        bridge.report(exchange)
    assert "-> spare/large 200 completed tried=[acme/large invalid_api_key, acme/large server_error]" in caplog.text

    _, later = begun(bridge.plan(call(path=path, body=body)))
    assert later == third, "what has failed rests"


def test_a_client_is_told_who_answered_and_who_was_tried(tmp_path: Path) -> None:
    exchange, _ = begun(service(tmp_path, POOL).plan(call(body=HI)))
    attempted(answers(exchange, 429))
    attempted(answers(exchange, 500))
    (told,) = answers(exchange, 200, ANSWER)
    assert isinstance(told, Answer)
    assert told.headers["x-bridge-target"] == "spare/large"
    assert told.headers["x-bridge-tried"] == "acme/large rate_limit_exceeded, acme/large server_error"


def test_keys_take_turns_call_by_call(tmp_path: Path) -> None:
    bridge = service(tmp_path, POOL)
    keys = [begun(bridge.plan(call(body=HI)))[1][-1] for _ in range(4)]
    assert keys == ["1", "2", "1", "2"]


def test_a_conversation_stays_with_the_key_that_served_it(tmp_path: Path) -> None:
    bridge = service(tmp_path, POOL)
    talk = {**HI, "prompt_cache_key": "talk"}
    exchange, first = begun(bridge.plan(call(body=talk)))
    answers(exchange, 200, ANSWER)
    assert [begun(bridge.plan(call(body=talk)))[1] for _ in range(3)] == [first] * 3
    other = bridge.plan(call(body=talk, authorization="Bearer sk-other"))
    assert begun(other)[1] != first, "another caller's conversation of that name"


def test_no_more_targets_are_tried_than_the_configuration_allows(tmp_path: Path) -> None:
    bridge = service(tmp_path, POOL + "failover: {attempts: 2}\n")
    exchange, _ = begun(bridge.plan(call(body=HI)))
    attempted(answers(exchange, 401))
    (told,) = answers(exchange, 503)
    assert isinstance(told, Answer)
    assert told.status == 503
    assert told.headers["retry-after"] == "1", "the spare provider is well"


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", HI), ("/v1/chat/completions", CHAT)])
def test_a_stream_is_opened_when_the_configuration_says(tmp_path: Path, path: str, body: dict[str, object]) -> None:
    bridge = service(tmp_path, POOL + "keepalive: {early_headers_after_s: 7}\n")
    exchange, _ = begun(bridge.plan(call(path=path, body={**body, "stream": True})))
    assert exchange.alarm == 7


def test_a_changed_configuration_gives_every_target_another_chance(tmp_path: Path) -> None:
    bridge = service(tmp_path, POOL)
    exchange, first = begun(bridge.plan(call(body=HI)))
    attempted(answers(exchange, 401))
    (tmp_path / "bridge.yaml").write_text(POOL.replace("acme-secret-key-1", "acme-better-key-1"))
    _, later = begun(bridge.plan(call(body=HI)))
    assert first.endswith("acme-secret-key-1")
    assert later.endswith("acme-better-key-1")
