"""What a configuration amounts to, without a call."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from addon.commands.survey import RouteFacts, Survey, TargetFacts, key_sources, survey
from addon.config import load_config

KEY = "sk-0123456789abcdef"


def looked_at(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Survey:
    path = folder / "bridge.yaml"
    path.write_text(text)
    return survey(load_config(path, environment or {}), environment or {})


def test_where_calls_go(tmp_path: Path):
    found = looked_at(
        tmp_path,
        "providers: {deepseek: {}, box: {base_url: 'http://127.0.0.1:8000/v1'}}\n"
        "models: {ds: deepseek/deepseek-chat, 'gpt-*': [deepseek/x, box/y], '*': 'box/{model}'}\n",
        {"DEEPSEEK_API_KEY": KEY},
    )
    assert found.source == tmp_path / "bridge.yaml"
    assert [(each.name, each.base_url, each.profile, each.key) for each in found.providers] == [
        ("deepseek", "https://api.deepseek.com", "deepseek", "key from $DEEPSEEK_API_KEY"),
        ("box", "http://127.0.0.1:8000/v1", "generic", "no key is sent"),
    ]
    deepseek, box = "https://api.deepseek.com/chat/completions", "http://127.0.0.1:8000/v1/chat/completions"
    assert found.routes == (
        RouteFacts("ds", "order", (TargetFacts("deepseek/deepseek-chat", deepseek, "chat"),)),
        RouteFacts("gpt-*", "order", (TargetFacts("deepseek/x", deepseek, "chat"), TargetFacts("box/y", box, "chat"))),
        RouteFacts("*", "order", (TargetFacts("box/{model}", box, "chat"),)),
    )
    assert not found.problems


def test_a_model_in_the_url_stands_there_as_it_is_written(tmp_path: Path):
    provider = f"{{api_key: {KEY}, vars: {{resource: res, api_version: '2024-10-21'}}}}"
    found = looked_at(tmp_path, f"providers: {{azure-deployment: {provider}}}\n")
    assert "/openai/deployments/{model}/chat/completions" in found.routes[0].targets[0].url


def test_a_provider_may_be_called_by_its_own_responses_api(tmp_path: Path):
    found = looked_at(tmp_path, "providers: {ollama: {mode: responses}}\n")
    assert found.providers[0].mode == "responses"
    (target,) = found.routes[0].targets
    assert (target.url, target.api) == ("http://localhost:11434/v1/responses", "responses")


def test_models_that_nothing_can_serve_are_told_once_for_each_cause(tmp_path: Path):
    found = looked_at(tmp_path, "models: {a: deepseek/x, b: deepseek/y, c: [deepseek/z, ollama/z]}\n")
    (problem,) = found.problems
    assert problem.startswith("models a, b: nothing can serve them. ")
    assert "DEEPSEEK_API_KEY" in problem
    assert [provider.ready for provider in found.providers] == [False, True]
    assert found.routes[2].serves


def test_nothing_is_configured():
    found = survey(load_config(None, {}), {})
    assert "No provider is configured." in found.problems[0]


@pytest.mark.parametrize(
    ("provider", "environment", "source"),
    [
        pytest.param("{}", {"DEEPSEEK_API_KEY": KEY}, "$DEEPSEEK_API_KEY", id="its own variable"),
        pytest.param("{api_key: '${TEAM}'}", {"TEAM": KEY}, "$TEAM", id="another variable"),
        pytest.param("{api_keys: ['${ONE}', '${TWO}']}", {"ONE": KEY, "TWO": f"{KEY}2"}, "$ONE, $TWO", id="several"),
        pytest.param(f"{{api_key: {KEY}}}", {}, "the configuration itself", id="written down"),
        pytest.param("{api_key: a}", {"SHELL_LEVEL": "a"}, "the configuration itself", id="equal by chance"),
        pytest.param("{api_key_file: key}", {"X": KEY}, "the file key", id="a file"),
    ],
)
def test_where_a_key_comes_from(provider: str, environment: Mapping[str, str], source: str, tmp_path: Path):
    (tmp_path / "key").write_text(KEY)
    path = tmp_path / "bridge.yaml"
    path.write_text(f"providers: {{deepseek: {provider}}}\n")
    assert key_sources(load_config(path, environment), environment) == {"deepseek": source}


def test_a_profile_in_a_file_is_told_with_the_file(tmp_path: Path):
    (tmp_path / "acme.toml").write_text('id = "acme"\nbase = "vllm"\nevidence = "U"\nchecked = "2026-11"\n')
    found = looked_at(tmp_path, "providers: {box: {profile: ./acme.toml}}\n")
    assert found.providers[0].profile == "acme (acme.toml)"
    assert found.routes[0].targets[0].url == "http://localhost:8000/v1/chat/completions"
