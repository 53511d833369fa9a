"""What the models of a configuration can do, found out at a provider that plays them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from addon.commands.check import service_for
from addon.config import Config, ModelTarget, load_config
from addon.direct_calls import DirectCaller
from addon.live_check import Finding, LiveCheck, Verdict, serving
from addon.probes import FEATURES
from addon.routing import Router
from addon.store.learned import Learned
from tests.end_to_end.original import standing_in
from tests.end_to_end.provider import Behaviour, Provider, calls_tools, completion, fails, says, sends_json
from tests.end_to_end.provider import serving as provider_serving

KEY = "live-0123456789abcdef"

ABLE = {
    "text": says("pong"),
    "stream": says("one, ", "two"),
    "tool": calls_tools(("call_1", "get_weather", '{"city": "Paris"}')),
    "thinking": sends_json(completion("3", reasoning_content="r, r, r")),
    "image": says("Yellow."),
    "schema": says('{"name": "Rome", "country": "Italy"}'),
}
"""What a model answers that can do everything."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_serving() as provider:
        yield provider


def provider_at(base_url: str, **overrides: str) -> str:
    """One provider for `providers:`; it takes JSON schemas."""
    fields = ", ".join(f"{name}: {value}" for name, value in {"response_format": "json_schema", **overrides}.items())
    return f"{{base_url: '{base_url}', api_key: {KEY}, overrides: {{{fields}}}}}"


def config_at(base_url: str, folder: Path, **more: str) -> Config:
    lines = {"providers": f"{{acme: {provider_at(base_url)}}}", "models": "{'*': 'acme/{model}'}", **more}
    path = folder / "bridge.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return load_config(path, {})


def findings(config: Config, target: str, learned: Learned | None = None) -> dict[str, Finding]:
    check = LiveCheck(
        config,
        partial(service_for, learned or Learned(None, now=lambda: 0.0, valid=lambda overrides: True)),
        DirectCaller(timeout=10, trust=ssl.create_default_context()),
        {"acme": "$ACME_KEY"},
    )
    return {finding.feature: finding for finding in check.findings(ModelTarget(target=target))}


def verdicts(found: dict[str, Finding]) -> list[str]:
    return [found[feature.name].verdict for feature in FEATURES]


def test_a_model_that_can_do_everything(provider: Provider, tmp_path: Path):
    provider.script("able", *ABLE.values())
    found = findings(config_at(provider.base_url, tmp_path), "acme/able")
    assert verdicts(found) == ["ok"] * 6
    assert (found["text"].input_tokens, found["text"].output_tokens) == (7, 3)
    calls = provider.calls("able")
    assert [bool(call.body.get("stream")) for call in calls] == [False, True, False, False, False, False]
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in calls)


@pytest.mark.parametrize(
    ("feature", "behaviour", "verdict", "detail", "fix"),
    [
        pytest.param("text", says(""), "failed", "no", "", id="no text"),
        pytest.param("stream", says(""), "failed", "no", "", id="no text in the stream"),
        pytest.param("tool", says("Sunny."), "not supported", "the function was not called", "", id="no call"),
        pytest.param("thinking", says("3"), "not supported", "neither reasoning", "", id="no thinking"),
        pytest.param("image", says("Blue."), "not supported", "was not named", "", id="another colour"),
        pytest.param("schema", says("Rome"), "not supported", "does not fit the schema", "", id="no JSON"),
        pytest.param(
            "image", fails(400, "I am blind"), "failed", "I am blind", 'overrides: {"image_url":"none"}', id="refused"
        ),
        pytest.param("tool", fails(500, "I broke"), "failed", "I broke", "", id="broken by tools"),
    ],
)
def test_one_thing_that_a_model_cannot_do(
    feature: str, behaviour: Behaviour, verdict: str, detail: str, fix: str, provider: Provider, tmp_path: Path
):
    provider.script("lame", *{**ABLE, feature: behaviour}.values())
    found = findings(config_at(provider.base_url, tmp_path), "acme/lame")
    lame = found.pop(feature)
    assert (lame.verdict, detail in lame.detail, fix in lame.fix) == (verdict, True, True), lame
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}


@pytest.mark.parametrize(
    ("behaviour", "detail", "fix"),
    [
        pytest.param(fails(401, "wrong key"), "refused the key", "The key comes from $ACME_KEY.", id="wrong key"),
        pytest.param(fails(404, "no such model", "model_not_found"), "under `models:`", "", id="no such model"),
        pytest.param(fails(429, "slow down"), "limits the rate", "Wait a little", id="too fast"),
        pytest.param(fails(402, "pay first"), "no quota or credit", "Top up", id="no credit"),
        pytest.param(fails(503, "later"), "is overloaded or down", "", id="overloaded"),
    ],
)
def test_when_the_first_call_does_not_get_through_no_others_are_made(
    behaviour: Behaviour, detail: str, fix: str, provider: Provider, tmp_path: Path
):
    before = len(provider.calls("closed"))
    provider.script("closed", behaviour)
    found = findings(config_at(provider.base_url, tmp_path), "acme/closed")
    assert verdicts(found) == ["failed", *["not tried"] * 5]
    assert detail in found["text"].detail
    assert fix in found["text"].fix
    assert len(provider.calls("closed")) == before + 1


def test_a_model_that_refuses_words_may_yet_take_an_image(provider: Provider, tmp_path: Path):
    provider.script("odd", *{**ABLE, "text": fails(400, "images only")}.values())
    found = findings(config_at(provider.base_url, tmp_path), "acme/odd")
    assert verdicts(found) == ["failed", *["ok"] * 5]


def test_a_key_that_a_provider_quotes_stays_hidden(provider: Provider, tmp_path: Path):
    provider.script("leaky", fails(401, f"Your key is {KEY}"))
    found = findings(config_at(provider.base_url, tmp_path), "acme/leaky")
    assert "[hidden]" in found["text"].detail
    assert KEY not in str(found)


def test_healing_is_told_and_its_lesson_is_used_from_then_on(provider: Provider, tmp_path: Path):
    refusal = fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", "unsupported_parameter")
    provider.script("picky", refusal, *ABLE.values())
    learned = Learned(None, now=lambda: 0.0, valid=lambda overrides: True)
    found = findings(config_at(provider.base_url, tmp_path), "acme/picky", learned)
    assert verdicts(found) == ["ok after healing", *["ok"] * 5]
    assert "max_completion_tokens" in found["text"].detail
    assert len(provider.calls("picky")) == 7


def test_a_provider_without_a_key_is_not_called(tmp_path: Path):
    config = config_at("unused", tmp_path, providers="{deepseek: {}}", models="{x: deepseek/a}")
    found = findings(config, "deepseek/a")
    assert verdicts(found) == ["failed", *["not tried"] * 5]
    assert "DEEPSEEK_API_KEY" in found["text"].detail


def test_a_certificate_that_is_not_trusted_has_its_remedy(tmp_path: Path):
    with standing_in(tmp_path) as server:
        found = findings(config_at(f"https://127.0.0.1:{server.port}/v1", tmp_path), "acme/x")
    assert "ssl_verify_upstream_trusted_ca" in found["text"].fix


def test_an_image_that_the_model_does_not_get_is_not_supported_whatever_it_says(provider: Provider, tmp_path: Path):
    provider.script("guessing", *ABLE.values())
    providers = f"{{acme: {provider_at(provider.base_url, image_url='none')}}}"
    found = findings(config_at("", tmp_path, providers=providers), "acme/guessing")
    assert found["image"].verdict == "not supported"
    assert "the bridge left it out" in found["image"].detail


def test_an_image_may_be_described_as_in_real_calls(provider: Provider, tmp_path: Path):
    blind, seeing = provider_at(provider.base_url, image_url="none"), provider_at(provider.base_url)
    provider.script("seeing", says("A yellow square."))
    provider.script("blind", *ABLE.values())
    config = config_at(
        "",
        tmp_path,
        providers=f"{{acme: {blind}, other: {seeing}}}",
        models="{eye: other/seeing, '*': 'acme/{model}'}",
        vision="{model: eye}",
    )
    found = findings(config, "acme/blind")
    assert found["image"].verdict == "ok"
    assert "described" in found["image"].detail
    assert len(provider.calls("seeing")) == 1


def test_the_configuration_that_is_tried_differs_only_in_its_first_model(tmp_path: Path):
    more = {"clients": "{keys: [team-key]}", "models": "{'a*': acme/one, '*': acme/two}"}
    config = config_at("http://127.0.0.1:1/v1", tmp_path, **more)
    tried = serving(config, ModelTarget(target="acme/odd[*]name"))
    assert Router(tried).route("acme/odd[*]name").targets[0].model == "odd[*]name"
    assert Router(tried).route("abc").targets[0].model == "one"
    assert tried.clients.accepts(None)
    assert tried.providers == config.providers


def test_names_that_stand_in_the_configuration_already_are_served_by_the_target(tmp_path: Path):
    config = config_at("http://127.0.0.1:1/v1", tmp_path, models="{acme/one: acme/two}")
    tried = serving(config, ModelTarget(target="acme/one"))
    assert Router(tried).route("acme/one").targets[0].model == "one"
