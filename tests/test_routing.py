from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.config import Config, load_config
from addon.routing import MissingKey, NoProvider, RemoteNotAllowed, Router, Target, UnknownModel

FILE = """
providers:
  dashscope: {api_key: dash-key}
  my-vllm: {base_url: "http://127.0.0.1:8000/v1", profile: vllm, api_key: none}
models:
  qwen-remote: dashscope/qwen-turbo
  "gpt-*-mini": dashscope/qwen-flash
  "gpt-*": [dashscope/qwen3-max, my-vllm/qwen3-32b]
  gpt-5: my-vllm/never-reached
  "local/*": my-vllm/{model}
"""


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map("{}~#~".format)
"""Keys of all characters, none of which is a word that appears anywhere by itself."""


def config_of(tmp_path: Path, text: str, **env: str) -> Config:
    path = tmp_path / "bridge.yaml"
    path.write_text(text, "utf-8")
    return load_config(path, env)


def target_of(tmp_path: Path, text: str, model: str = "m", **env: str) -> Target:
    return Router(config_of(tmp_path, text, **env)).route(model).targets[0]


@pytest.mark.parametrize(
    ("asked", "served_by"),
    [
        ("qwen-remote", ["dashscope/qwen-turbo"]),
        ("gpt-5-mini", ["dashscope/qwen-flash"]),
        ("gpt-5", ["dashscope/qwen3-max", "my-vllm/qwen3-32b"]),
        ("local/a/b", ["my-vllm/local/a/b"]),
    ],
)
def test_the_first_match_wins(tmp_path: Path, asked: str, served_by: list[str]):
    router = Router(config_of(tmp_path, FILE))
    route = router.route(asked)
    assert route.name == asked
    assert [f"{target.provider}/{target.model}" for target in route.targets] == served_by
    assert router.describes(asked)


@pytest.mark.parametrize("asked", ["claude", "GPT-5", "qwen-remote2", ""])
def test_an_unknown_model(tmp_path: Path, asked: str):
    router = Router(config_of(tmp_path, FILE))
    assert not router.describes(asked)
    with pytest.raises(UnknownModel) as caught:
        router.route(asked)
    assert caught.value.known == router.served_models() == ("qwen-remote", "gpt-5")
    assert str(caught.value) == (
        f"The model '{asked}' is not served here. Ask for one of: qwen-remote, gpt-5, or add an entry for it to models "
        'in the configuration of the bridge ("*" matches every name).'
    )


def test_an_unknown_model_where_no_name_is_spelt_out(tmp_path: Path):
    with pytest.raises(UnknownModel, match="Ask for another, or add an entry"):
        Router(config_of(tmp_path, "models: {'q*': ollama/a}\n")).route("x" * 1000)


def test_a_missing_key(tmp_path: Path):
    router = Router(config_of(tmp_path, "providers: {dashscope: {api_key: '${MY_KEY}'}}\n"))
    with pytest.raises(MissingKey) as caught:
        router.route("any")
    assert str(caught.value) == (
        "The bridge has no key for the provider dashscope: the environment variable MY_KEY is not set. "
        "Set it where the bridge runs, or give providers.dashscope.api_key in its configuration, "
        "and restart the bridge."
    )
    assert (caught.value.provider, caught.value.variables) == ("dashscope", ("MY_KEY",))


def test_any_of_several_variables_would_do(tmp_path: Path):
    with pytest.raises(MissingKey, match="none of the environment variables DASHSCOPE_API_KEY, ALIBABA_API_KEY is set"):
        target_of(tmp_path, "models: {'*': dashscope/a}\n")


def test_a_target_without_its_key_is_passed_over(tmp_path: Path):
    route = Router(config_of(tmp_path, "models: {'*': [deepseek/a, ollama/b]}\n")).route("m")
    assert [target.provider for target in route.targets] == ["ollama"]


def test_no_provider():
    with pytest.raises(NoProvider) as caught:
        Router(load_config(None, {})).route("m")
    assert str(caught.value) == load_config(None, {}).findings.no_provider
    with pytest.raises(NoProvider, match=r"Write a bridge\.yaml"):
        Router(Config()).route("m")


def test_a_remote_that_is_not_allowed_is_refused_even_past_loading(tmp_path: Path):
    config = config_of(tmp_path, "models: {'*': deepseek/a}\n", DEEPSEEK_API_KEY="k")
    guarded = config.model_copy(update={"allowed_remotes": ("127.0.0.1",)})
    with pytest.raises(RemoteNotAllowed) as caught:
        Router(guarded).route("m")
    assert str(caught.value) == (
        "The provider deepseek is at api.deepseek.com, which the bridge may not call: the host is not in "
        "allowed_remotes. Add it there, or to BRIDGE_REMOTES, if requests may go to it."
    )


def test_errors_have_stable_codes():
    codes = [error.code for error in (UnknownModel, MissingKey, RemoteNotAllowed, NoProvider)]
    assert codes == ["model_not_found", "provider_key_missing", "remote_not_allowed", "no_provider"]


POOL = """
providers: {deepseek: {api_keys: [k1, k2]}, ollama: {}}
models:
  o: [ollama/a, deepseek/b]
  w: {targets: [{target: ollama/a, weight: 3}, {target: deepseek/b, weight: 5}], balance: weighted}
"""


def test_a_target_is_one_for_each_key_of_its_provider(tmp_path: Path):
    route = Router(config_of(tmp_path, POOL)).route("o")
    assert [(target.label, target.key_name) for target in route.targets] == [
        ("ollama/a", "ollama#0"),
        ("deepseek/b", "deepseek#1"),
        ("deepseek/b", "deepseek#2"),
    ]
    headers = [target.credential.header() if target.credential else None for target in route.targets]
    assert headers == [None, ("Authorization", "Bearer k1"), ("Authorization", "Bearer k2")]


def test_the_keys_of_a_provider_have_its_share_together(tmp_path: Path):
    route = Router(config_of(tmp_path, POOL)).route("w")
    assert [target.key_name for target in route.targets] == ["deepseek#1", "deepseek#2", "ollama#0"]
    assert route.weights == (2.5, 2.5, 3)


def test_a_single_key_has_a_name_too(tmp_path: Path):
    assert target_of(tmp_path, "providers: {deepseek: {api_key: k}}\n").key_name == "deepseek#1"


def test_weights_order_the_targets_and_are_kept(tmp_path: Path):
    text = """
models:
  w: {targets: [ollama/a, {target: vllm/b, weight: 3}, {target: lmstudio/c, weight: 3}], balance: weighted}
  o: {targets: [ollama/a, {target: vllm/b, weight: 3}]}
"""
    router = Router(config_of(tmp_path, text))
    weighted, ordered = router.route("w"), router.route("o")
    assert [target.model for target in weighted.targets] == ["b", "c", "a"]
    assert (weighted.weights, weighted.balance) == ((3, 3, 1), "weighted")
    assert [target.model for target in ordered.targets] == ["a", "b"]
    assert (ordered.weights, ordered.balance) == ((1, 3), "order")


# URLs


AZURE = """
providers:
  azure-deployment: {{api_key: k, vars: {{resource: my-res, api_version: "2024-10-21"{more}}}}}
"""


@pytest.mark.parametrize(
    ("text", "model", "url"),
    [
        pytest.param(
            "models: {'*': dashscope/q}\nproviders: {dashscope: {api_key: k}}\n",
            "m",
            "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions",
            id="built in",
        ),
        pytest.param(
            "providers: {llm: {base_url: 'http://127.0.0.1:8000/v1/'}}\n",
            "m",
            "http://127.0.0.1:8000/v1/chat/completions",
            id="slash at the end",
        ),
        pytest.param(
            "providers: {llm: {base_url: 'http://127.0.0.1:8000'}}\n",
            "m",
            "http://127.0.0.1:8000/chat/completions",
            id="no path",
        ),
        pytest.param(
            "providers: {llm: {base_url: 'https://llm.example.com/v1/chat/completions?a=1', query: {b: '{model}'}}}\n",
            "x/y z",
            "https://llm.example.com/v1/chat/completions?a=1&b=x%2Fy+z",
            id="whole endpoint and query",
        ),
        pytest.param(
            AZURE.format(more=""),
            "gpt-5",
            "https://my-res.openai.azure.com/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21",
            id="deployment by model",
        ),
        pytest.param(
            AZURE.format(more=", deployment: mine"),
            "gpt-5",
            "https://my-res.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2024-10-21",
            id="deployment given",
        ),
        pytest.param(
            AZURE.format(more=""),
            "../../x?y#z",
            "https://my-res.openai.azure.com/openai/deployments/..%2F..%2Fx%3Fy%23z/chat/completions"
            "?api-version=2024-10-21",
            id="a model cannot leave its place",
        ),
    ],
)
def test_urls(tmp_path: Path, text: str, model: str, url: str):
    assert target_of(tmp_path, text, model).url == url


def test_static_headers_of_profile_and_provider(tmp_path: Path):
    text = "providers: {ollama: {headers: {X-A: own}, overrides: {headers: {X-A: profile, X-B: profile}}}}\n"
    assert target_of(tmp_path, text).headers == {"X-A": "own", "X-B": "profile"}


def test_aliases_of_a_profile(tmp_path: Path):
    text = "providers: {ollama: {overrides: {model_map: {small: 'qwen3:0.6b'}}}}\n"
    assert target_of(tmp_path, text, "small").model == "qwen3:0.6b"
    assert target_of(tmp_path, text, "other").model == "other"


# Credentials


@pytest.mark.parametrize(
    ("provider", "header", "hidden"),
    [
        ("{api_key: k}", ("Authorization", "Bearer k"), ("Authorization", "Bearer [hidden]")),
        ("{api_key: k, overrides: {auth: 'header:api-key'}}", ("api-key", "k"), ("api-key", "[hidden]")),
        ("{api_keys: [k, l], overrides: {auth: 'header:api-key'}}", ("api-key", "k"), ("api-key", "[hidden]")),
    ],
)
def test_the_header_of_a_key(tmp_path: Path, provider: str, header: tuple[str, str], hidden: tuple[str, str]):
    credential = target_of(tmp_path, f"providers: {{deepseek: {provider}}}\n").credential
    assert credential is not None
    assert (credential.header(), credential.hidden()) == (header, hidden)


@pytest.mark.parametrize(
    "provider", ["{api_key: none}", "{api_key: k, overrides: {auth: none}}", "{api_keys: [k], overrides: {auth: none}}"]
)
def test_no_key_no_header(tmp_path: Path, provider: str):
    assert target_of(tmp_path, f"providers: {{deepseek: {provider}}}\n").credential is None


@given(KEYS)
def test_no_key_shows_in_a_target(key: str):
    config = load_config(None, {"BRIDGE_PROVIDER": "deepseek", "BRIDGE_API_KEY": key})
    route = Router(config).route("m")
    credential = route.targets[0].credential
    assert credential is not None
    assert credential.header() == ("Authorization", f"Bearer {key}")
    assert key not in f"{route!r} {route} {credential!r} {credential.hidden()}"
