"""File, environment and options together: who serves, with which key, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.config import Config, ConfigError, load_config
from addon.config.model import provider_profile
from addon.config.remotes import Remote

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map("{}~#~".format)
"""Keys of all characters, none of which is a word that appears anywhere by itself."""


def load(tmp_path: Path, text: str, overrides: dict[str, str] | None = None, **env: str) -> Config:
    path = tmp_path / "bridge.yaml"
    path.write_text(text, "utf-8")
    return load_config(path, env, overrides or {})


def error_of(tmp_path: Path, text: str, overrides: dict[str, str] | None = None, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, overrides, **env)
    return str(caught.value).replace(f"{tmp_path / 'bridge.yaml'}: ", "")


def routes(config: Config) -> dict[str, list[str]]:
    return {name: [target.target for target in route.targets] for name, route in config.models.items()}


def keys_of(config: Config, name: str) -> list[str]:
    return [key.get_secret_value() for key in config.providers[name].keys]


def key_of(config: Config, name: str) -> str | None:
    key = config.providers[name].api_key
    return key.get_secret_value() if key is not None else None


def test_defaults():
    config = Config()
    assert config.hosts == (
        "api.openai.com",
        "us.api.openai.com",
        "eu.api.openai.com",
        "ae.api.openai.com",
        "au.api.openai.com",
        "in.api.openai.com",
        "jp.api.openai.com",
    )
    assert config.base_paths == ("/v1",)
    assert (config.unmatched, config.traces, config.limits.body_bytes) == ("block", "drop", 64 * 1024 * 1024)
    assert config.intercepts("API.openai.com")
    assert not config.intercepts("openai.com")
    assert config.allows_remote(Remote("https", "anywhere.example", 443))
    assert config.clients.accepts(None)
    assert (config.failover.attempts, config.failover.seconds) == (3, 60)
    keepalive = config.keepalive
    assert (keepalive.early_headers_after_s, keepalive.every_s, keepalive.json_after_s) == (15, 15, 240)


def test_every_key_of_the_file(tmp_path: Path):
    (tmp_path / "mistral.key").write_text("from-file\n")
    config = load(
        tmp_path,
        """
        providers:
          deepseek:
            base_url: https://llm.example.com/v1
            profile: vllm
            api_key: "${LLM_KEY}"
            headers: {X-Title: team}
            query: {region: eu}
            vars: {zone: a}
            overrides: {max_tokens_field: max_completion_tokens}
          mistral:
            api_key_file: mistral.key
          moonshot:
            api_keys: ["${LLM_KEY}", second]
        models:
          a: {targets: [{target: deepseek/x, weight: 3}, mistral/y], balance: weighted}
        allowed_remotes: ["*.Example.com", api.mistral.ai, api.moonshot.ai]
        clients: {keys: [one, two]}
        hosts: [api.openai.com]
        base_paths: [/v1/, /]
        unmatched: forward
        traces: forward
        hosted_tools: {web_search: native, "*": error}
        failover: {attempts: 5, seconds: 2.5}
        keepalive: {early_headers_after_s: 1, every_s: 20, json_after_s: 299.5}
        limits: {body_bytes: 10}
        """,
        LLM_KEY="from-env",
    )
    deepseek = config.providers["deepseek"]
    assert deepseek.base_url == "https://llm.example.com/v1"
    assert provider_profile("deepseek", deepseek, "x").id == "vllm"
    assert provider_profile("deepseek", deepseek, "x").max_tokens_field == "max_completion_tokens"
    assert (deepseek.headers, deepseek.query, deepseek.vars) == ({"X-Title": "team"}, {"region": "eu"}, {"zone": "a"})
    assert (key_of(config, "deepseek"), key_of(config, "mistral")) == ("from-env", "from-file")
    assert [(target.target, target.weight) for target in config.models["a"].targets] == [
        ("deepseek/x", 3),
        ("mistral/y", 1),
    ]
    assert config.models["a"].balance == "weighted"
    assert config.allowed_remotes == ("*.example.com", "api.mistral.ai", "api.moonshot.ai")
    assert config.hosted_tools == {"web_search": "native", "*": "error"}
    assert [config.clients.accepts(key) for key in ("one", "two", "three", "", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (config.hosts, config.base_paths) == (("api.openai.com",), ("/v1", ""))
    assert (config.unmatched, config.traces, config.limits.body_bytes) == ("forward", "forward", 10)
    assert keys_of(config, "moonshot") == ["from-env", "second"]
    assert (config.failover.attempts, config.failover.seconds) == (5, 2.5)
    assert config.keepalive.model_dump() == {"early_headers_after_s": 1, "every_s": 20, "json_after_s": 299.5}
    assert set(config.secrets()) == {"from-env", "from-file", "second", "one", "two"}
    assert config.findings.files == (tmp_path / "mistral.key",)


def test_one_word_stands_for_all_hosted_tools(tmp_path: Path):
    assert load(tmp_path, "hosted_tools: drop\n").hosted_tools == {"*": "drop"}


def test_an_empty_list_of_client_keys_serves_nobody(tmp_path: Path):
    assert not load(tmp_path, "clients: {keys: []}\n").clients.accepts("any")


# No file


def test_the_provider_whose_key_is_there():
    config = load_config(None, {"DEEPSEEK_API_KEY": " k \n"})
    assert routes(config) == {"*": ["deepseek/{model}"]}
    assert key_of(config, "deepseek") == "k"
    assert config.findings.no_provider is None


def test_a_variable_that_two_profiles_share_means_the_first():
    assert routes(load_config(None, {"DASHSCOPE_API_KEY": "k"})) == {"*": ["dashscope/{model}"]}


def test_the_environment_sets_the_model():
    config = load_config(None, {"DEEPSEEK_API_KEY": "k", "BRIDGE_MODEL": "deepseek-chat"})
    assert routes(config) == {"*": ["deepseek/deepseek-chat"]}


def test_several_keys_need_a_decision():
    env = {"DASHSCOPE_API_KEY": "k", "DEEPSEEK_API_KEY": "d"}
    undecided = load_config(None, env)
    assert not undecided.models
    assert undecided.findings.no_provider == (
        "Keys of several providers are in the environment: dashscope (DASHSCOPE_API_KEY), deepseek (DEEPSEEK_API_KEY). "
        "Set BRIDGE_PROVIDER to one of them."
    )
    decided = load_config(None, {**env, "BRIDGE_PROVIDER": "deepseek"})
    assert routes(decided) == {"*": ["deepseek/{model}"]}
    assert list(decided.providers) == ["deepseek"]


def test_nothing_at_all():
    assert load_config(None, {}).findings.no_provider == (
        "No provider is configured. Set the key of a provider (for example DASHSCOPE_API_KEY), or BRIDGE_BASE_URL and "
        "BRIDGE_API_KEY, or write a bridge.yaml, and restart the bridge."
    )


def test_the_clients_own_key_is_no_choice_of_a_provider():
    config = load_config(None, {"OPENAI_API_KEY": "k"})
    assert not config.models
    assert "with BRIDGE_PROVIDER=openai it does" in (config.findings.no_provider or "")
    chosen = load_config(None, {"OPENAI_API_KEY": "k", "BRIDGE_PROVIDER": "openai"})
    assert (routes(chosen), key_of(chosen, "openai")) == ({"*": ["openai/{model}"]}, "k")


def test_any_endpoint():
    config = load_config(
        None, {"BRIDGE_BASE_URL": "https://llm.example.com/v1", "BRIDGE_API_KEY": "k", "BRIDGE_MODEL": "m"}
    )
    assert routes(config) == {"*": ["custom/m"]}
    assert key_of(config, "custom") == "k"
    assert provider_profile("custom", config.providers["custom"], "m").id == "generic"


def test_an_endpoint_of_a_known_host_has_its_profile_and_key():
    config = load_config(None, {"BRIDGE_BASE_URL": "https://api.deepseek.com/beta", "DEEPSEEK_API_KEY": "d"})
    assert provider_profile("custom", config.providers["custom"], "m").id == "deepseek"
    assert key_of(config, "custom") == "d"


def test_another_hosts_key_is_not_sent_to_an_endpoint():
    config = load_config(None, {"BRIDGE_BASE_URL": "https://llm.example.com/v1", "DEEPSEEK_API_KEY": "d"})
    assert key_of(config, "custom") is None


def test_an_endpoint_with_a_profile():
    config = load_config(None, {"BRIDGE_BASE_URL": "http://gpu:8000/v1", "BRIDGE_PROVIDER": "vllm"})
    assert provider_profile("vllm", config.providers["vllm"], "m").id == "vllm"
    assert config.providers["vllm"].base_url == "http://gpu:8000/v1"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"BRIDGE_PROVIDER": "dashscop"}, "BRIDGE_PROVIDER: there is no provider dashscop. Did you mean dashscope?"),
        (
            {"BRIDGE_BASE_URL": "llm.example.com"},
            "BRIDGE_BASE_URL: must be an http:// or https:// URL with a host, such as https://api.example.com/v1.",
        ),
        (
            {"BRIDGE_BASE_URL": "https://me:pw@llm.example.com"},
            "BRIDGE_BASE_URL: must not hold a user name or password; the key belongs in api_key.",
        ),
        (
            {"BRIDGE_REMOTES": "https://x"},
            'BRIDGE_REMOTES: each entry must be a host: "api.example.com", "*.example.com" or "api.example.com:8443", '
            "nothing more.",
        ),
        (
            {"BRIDGE_PROVIDER": "deepseek", "BRIDGE_REMOTES": "127.0.0.1"},
            "environment: providers.deepseek.base_url: the host api.deepseek.com is not in allowed_remotes. "
            "Add it there or to BRIDGE_REMOTES if requests may go to it.",
        ),
        (
            {"BRIDGE_PROVIDER": "azure-v1"},
            "environment: providers.azure-v1.vars.resource: the URL needs a value for resource. Add it.",
        ),
        (
            {"BRIDGE_PROVIDER": "deepseek", "BRIDGE_API_KEY": "kéy"},
            "environment: providers.deepseek.api_key: holds characters that no header can carry.",
        ),
    ],
)
def test_mistakes_in_the_environment(env: dict[str, str], message: str):
    with pytest.raises(ConfigError) as caught:
        load_config(None, env)
    assert str(caught.value) == message


# Options above environment above file


def test_options_stand_above_the_environment():
    config = load_config(
        None,
        {"BRIDGE_PROVIDER": "deepseek", "BRIDGE_MODEL": "a", "MISTRAL_API_KEY": "m"},
        {"provider": "mistral", "model": "b", "base_url": ""},
    )
    assert routes(config) == {"*": ["mistral/b"]}


def test_mistakes_in_options():
    with pytest.raises(ConfigError) as misspelt:
        load_config(None, {}, {"provider": "mistrl"})
    assert str(misspelt.value) == "option bridge_provider: there is no provider mistrl. Did you mean mistral?"
    with pytest.raises(ConfigError) as key:
        load_config(None, {}, {"api_key": "k"})
    assert str(key.value) == "option bridge_api_key: unknown. Known: provider, base_url, model."


def test_the_environment_replaces_the_models_of_a_file_and_says_so(tmp_path: Path):
    text = "providers: {llm: {base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {a: llm/a}\nunmatched: forward\n"
    config = load(tmp_path, text, BRIDGE_MODEL="b")
    assert routes(config) == {"*": ["llm/b"]}
    assert config.unmatched == "forward"
    assert config.warnings == (f"BRIDGE_MODEL replaced the models of {tmp_path / 'bridge.yaml'}.",)


def test_a_model_alone_does_not_choose_among_providers(tmp_path: Path):
    assert error_of(tmp_path, "providers: {deepseek: , mistral: }\n", BRIDGE_MODEL="b") == (
        "BRIDGE_MODEL: there are several providers (deepseek, mistral). Set BRIDGE_PROVIDER too."
    )
    chosen = load(tmp_path, "providers: {deepseek: , mistral: }\n", BRIDGE_MODEL="b", BRIDGE_PROVIDER="mistral")
    assert routes(chosen) == {"*": ["mistral/b"]}


def test_a_key_without_a_provider_is_told(tmp_path: Path):
    config = load(tmp_path, "models: {a: ollama/a}\n", BRIDGE_API_KEY="k")
    assert config.warnings == ("BRIDGE_API_KEY is not used: it needs BRIDGE_PROVIDER or BRIDGE_BASE_URL beside it.",)


def test_the_key_of_the_environment_stands_above_the_files(tmp_path: Path):
    text = "providers: {deepseek: {api_key: '${NOT_SET}'}}\n"
    config = load(tmp_path, text, BRIDGE_PROVIDER="deepseek", BRIDGE_API_KEY="k")
    assert key_of(config, "deepseek") == "k"
    assert not config.findings.missing_keys


def test_remotes_of_the_environment_are_added_or_are_the_list(tmp_path: Path):
    assert load(tmp_path, "allowed_remotes: [a]\n", BRIDGE_REMOTES="b, C ,").allowed_remotes == ("a", "b", "c")
    assert load(tmp_path, "", BRIDGE_REMOTES="b").allowed_remotes == ("b",)
    assert load(tmp_path, "", BRIDGE_REMOTES=" ").allowed_remotes is None


# Models and providers


def test_a_single_provider_needs_no_models(tmp_path: Path):
    assert routes(load(tmp_path, "providers: {deepseek: }\n")) == {"*": ["deepseek/{model}"]}


def test_several_providers_need_models(tmp_path: Path):
    assert error_of(tmp_path, "providers: {deepseek: , mistral: }\n") == (
        "models: is missing, and there are several providers (deepseek, mistral). Say which serves what, "
        'for example "*": deepseek/{model}.'
    )


def test_a_built_in_provider_needs_no_entry(tmp_path: Path):
    config = load(tmp_path, "models: {a: deepseek/a}\n", DEEPSEEK_API_KEY="k")
    assert key_of(config, "deepseek") == "k"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "providers: {deepseek: {api_keys: [k, none]}}\n",
            "providers.deepseek.api_keys: none is no key among others. Remove it; api_key: none is for a provider "
            "without keys.",
        ),
        (
            "providers: {deepseek: {api_keys: [k, clé]}}\n",
            "providers.deepseek.api_keys: holds characters that no header can carry.",
        ),
        (
            "providers: {my-llm: {base_url: 'http://127.0.0.1/v1'}}\nmodels: {a: my-lm/a}\n",
            "models.a: there is no provider my-lm. Did you mean my-llm?",
        ),
        (
            "providers: {dashscop: {}}\n",
            "providers.dashscop.base_url: is missing, and no built-in profile knows it. Did you mean dashscope?",
        ),
        (
            "providers: {x: {base_url: 'ftp://x'}}\n",
            "providers.x.base_url: must be an http:// or https:// URL with a host, such as https://api.example.com/v1.",
        ),
        (
            "providers: {x: {base_url: 'https://{zone}.example.com'}}\n",
            "providers.x.vars.zone: the URL needs a value for zone. Add it.",
        ),
        (
            "providers: {x: {base_url: 'https://{model}.example.com'}}\n",
            "providers.x.base_url: the model cannot be part of the host.",
        ),
        (
            "providers: {x: {base_url: 'https://{zone}.example.com', vars: {zone: evil.org/}}}\n",
            "providers.x.base_url: must be an http:// or https:// URL with a host, such as https://api.example.com/v1.",
        ),
        (
            "providers: {deepseek: {overrides: {headers: {X-Api-Key: k}}}}\n",
            "providers.deepseek.overrides.headers: a credential belongs in api_key.",
        ),
        (
            "providers: {deepseek: {}}\nallowed_remotes: []\n",
            "providers.deepseek.base_url: the host api.deepseek.com is not in allowed_remotes. "
            "Add it there or to BRIDGE_REMOTES if requests may go to it.",
        ),
        (
            "providers: {deepseek: {api_key_file: gone}}\n",
            "providers.deepseek.api_key_file: DIR/gone cannot be read (No such file or directory). "
            "Correct the path or its permissions.",
        ),
        (
            "providers: {deepseek: {api_key_file: empty}}\n",
            "providers.deepseek.api_key_file: DIR/empty is empty. Put the key into it.",
        ),
    ],
)
def test_mistakes_between_keys(tmp_path: Path, text: str, message: str):
    (tmp_path / "empty").write_text(" \n")
    assert error_of(tmp_path, text) == message.replace("DIR", str(tmp_path))


def test_mistakes_in_profiles_name_their_place(tmp_path: Path):
    assert error_of(tmp_path, "providers: {x: {profile: dashscop}}\n").startswith(
        "providers.x.profile: unknown profile 'dashscop' (did you mean 'dashscope'?)"
    )
    assert error_of(tmp_path, "providers: {deepseek: {overrides: {tols: true}}}\n").startswith(
        "providers.deepseek.overrides: unknown field 'tols' (did you mean 'tools'?)"
    )


# Keys


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("deepseek: {api_key: '${MY_KEY}'}", {"deepseek": ("MY_KEY",)}),
        ("deepseek: {api_key: '${EMPTY}'}", {"deepseek": ("EMPTY",)}),
        ("deepseek: {}", {"deepseek": ("DEEPSEEK_API_KEY",)}),
        ("deepseek: {api_keys: ['${MY_KEY}', '${EMPTY}']}", {"deepseek": ("MY_KEY", "EMPTY")}),
        ("deepseek: {overrides: {auth: none}, api_keys: ['${MY_KEY}', k]}", {}),
        ("deepseek: {api_key: none}", {}),
        ("deepseek: {api_key: '${MY_KEY:-none}'}", {}),
        ("deepseek: {overrides: {auth: none}, api_key: '${MY_KEY}'}", {}),
        ("deepseek: {base_url: 'http://127.0.0.1:1/v1'}", {}),
        ("llm: {base_url: 'https://llm.example.com/v1'}", {}),
    ],
)
def test_when_a_key_is_missing(tmp_path: Path, provider: str, missing: dict[str, tuple[str, ...]]):
    config = load(tmp_path, f"providers:\n  {provider}\n", EMPTY=" ")
    assert dict(config.findings.missing_keys) == missing
    assert config.secrets() == ()
    assert len(config.warnings) == len(missing)


def test_a_key_that_is_missing_among_several_is_left_out_and_told(tmp_path: Path):
    config = load(tmp_path, "providers: {deepseek: {api_keys: ['${ONE}', '${TWO}', '${THREE}']}}\n", TWO=" k2\n")
    assert keys_of(config, "deepseek") == ["k2"]
    assert not config.findings.missing_keys
    assert config.warnings == (
        "providers.deepseek.api_keys: none of the environment variables ONE, THREE is set; the other keys serve.",
    )


def test_a_key_that_is_there_twice_counts_once(tmp_path: Path):
    config = load(tmp_path, "providers: {deepseek: {api_keys: ['${ONE}', b, '${TWO}']}}\n", ONE="a", TWO="a")
    assert keys_of(config, "deepseek") == ["a", "b"]


def test_a_list_of_keys_stands_above_the_variable_of_the_profile(tmp_path: Path):
    config = load(tmp_path, "providers: {deepseek: {api_keys: [a, b]}}\n", DEEPSEEK_API_KEY="c")
    assert keys_of(config, "deepseek") == ["a", "b"]


def test_a_missing_key_is_told_at_start(tmp_path: Path):
    config = load(tmp_path, "providers: {deepseek: {}}\n")
    assert config.warnings == (
        "providers.deepseek: the environment variable DEEPSEEK_API_KEY is not set; its calls will fail.",
    )


@pytest.mark.parametrize(
    ("url", "key", "warned"),
    [
        ("http://llm.example.com/v1", "api_key: k", True),
        ("http://llm.example.com/v1", "api_keys: [k, l]", True),
        ("http://llm.example.com/v1", "api_key: none", False),
        ("https://llm.example.com/v1", "api_key: k", False),
        ("http://127.0.0.1:8000/v1", "api_key: k", False),
    ],
)
def test_a_key_in_the_clear_is_told(tmp_path: Path, url: str, key: str, warned: bool):
    config = load(tmp_path, f"providers: {{llm: {{base_url: '{url}', {key}}}}}\n")
    told = "providers.llm.base_url: the key travels unencrypted to llm.example.com. Use https if it is offered."
    assert config.warnings == ((told,) if warned else ())


@given(KEYS)
def test_no_key_shows_in_a_configuration_or_its_errors(key: str):
    env = {"BRIDGE_PROVIDER": "deepseek", "BRIDGE_API_KEY": key}
    config = load_config(None, env)
    assert config.secrets() == (key,)
    shown = f"{config!r} {config} {config.findings} {config.model_dump()} {config.model_dump_json()}"
    with pytest.raises(ConfigError) as refused:
        load_config(None, {**env, "BRIDGE_REMOTES": "127.0.0.1"})
    assert key not in f"{shown} {refused.value!r}"


@pytest.mark.parametrize("section", ["compaction", "vision"])
def test_a_model_that_the_bridge_calls_itself_must_be_served(tmp_path: Path, section: str):
    served = "providers: {vllm: {base_url: 'http://127.0.0.1/v1'}}\nmodels: {seer: vllm/vl}\n"
    text = served + f"{section}: {{model: NAME}}\n"
    assert load(tmp_path, text.replace("NAME", "seer")).model_dump()[section]["model"] == "seer"
    problem = error_of(tmp_path, text.replace("NAME", "sear"))
    assert problem == f"{section}.model: no entry of models serves the model sear. Did you mean seer?"


# A profile in a file


ACME = """
id = "acme"
label = "Acme"
base = "mistral"
base_url = "https://llm.acme.example/v1"
env = ["ACME_API_KEY"]
evidence = "U: our own server"
checked = "2026-11"
stop_max = 2

[[model]]
match = ["thinker-*"]
evidence = "U: its model card"
checked = "2026-11"
thinking_style = "enable_thinking"
"""


@pytest.mark.parametrize("written", ["acme.toml", "./acme.toml", "{folder}/acme.toml", "~/acme.toml"])
def test_a_profile_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "acme.toml").write_text(ACME)
    profile = written.format(folder=tmp_path)
    config = load(
        tmp_path, f"providers: {{llm: {{profile: {profile}, overrides: {{n_max: 3}}}}}}\n", ACME_API_KEY="k-1"
    )
    llm = config.providers["llm"]
    assert key_of(config, "llm") == "k-1"
    assert routes(config) == {"*": ["llm/{model}"]}
    found = provider_profile("llm", llm, "thinker-1")
    assert (found.id, found.base_url, found.tool_id.exact_len) == ("acme", "https://llm.acme.example/v1", 9)
    assert (found.stop_max, found.n_max, found.thinking_style) == (2, 3, "enable_thinking")
    assert provider_profile("llm", llm, "other").thinking_style == "none"
    assert config.findings.files == (tmp_path / profile.replace("~", str(tmp_path)),)


def test_the_shortcut_takes_a_provider_with_a_profile_in_a_file(tmp_path: Path):
    (tmp_path / "acme.toml").write_text(ACME)
    text = "providers: {llm: {profile: acme.toml}, deepseek: {}}\n"
    config = load(tmp_path, text, {"provider": "llm", "model": "m"}, BRIDGE_API_KEY="k-2")
    assert routes(config) == {"*": ["llm/m"]}
    assert provider_profile("llm", config.providers["llm"], "m").id == "acme"
    assert key_of(config, "llm") == "k-2"


def test_a_profile_in_a_file_that_lacks_its_key_says_which(tmp_path: Path):
    (tmp_path / "acme.toml").write_text(ACME)
    config = load(tmp_path, "providers: {llm: {profile: acme.toml}}\n")
    assert config.findings.missing_keys == {"llm": ("ACME_API_KEY",)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(None, "cannot be read (No such file or directory); correct the path", id="missing"),
        pytest.param(b"\xff\xfe", "is not UTF-8 text; save it as such", id="not-text"),
        pytest.param(b"id = ", "not valid TOML: ", id="not-toml"),
        pytest.param(b"a = " + b"[" * 5000, "is nested too deeply; write it out flat", id="deep"),
        pytest.param(b'evidence = "U"\nchecked = "2026-11"\n', "'id' is missing; add id = ", id="no-id"),
        pytest.param(
            ACME.replace("stop_max", "stop_maximum").encode(),
            "unknown field 'stop_maximum' (did you mean 'stop_max'?); docs/profiles.md lists the fields.",
            id="field",
        ),
        pytest.param(
            ACME.replace("2\n", '"two"\n').encode(), "'stop_max': Input should be a valid integer", id="value"
        ),
        pytest.param(
            ACME.replace('"mistral"', '"mistal"').encode(),
            "base 'mistal' is not a built-in platform (did you mean 'mistral'?)",
            id="base",
        ),
    ],
)
def test_a_mistake_in_a_profile_in_a_file(tmp_path: Path, content: bytes | None, told: str):
    path = tmp_path / "acme.toml"
    if content is not None:
        path.write_bytes(content)
    message = error_of(tmp_path, "providers: {llm: {profile: acme.toml}}\n")
    assert message.startswith(f"providers.llm.profile: {path}: {told}")


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        pytest.param("overrides: {stop_maximum: 1}", "providers.llm.overrides: unknown field", id="overrides"),
        pytest.param("base_url: 'nowhere'", "providers.llm.base_url: must be", id="base-url"),
    ],
)
def test_a_mistake_beside_a_profile_in_a_file(tmp_path: Path, entry: str, place: str):
    (tmp_path / "acme.toml").write_text(ACME)
    assert error_of(tmp_path, f"providers: {{llm: {{profile: acme.toml, {entry}}}}}\n").startswith(place)


def test_a_profile_in_a_file_may_be_called_generic(tmp_path: Path):
    (tmp_path / "own.toml").write_text(ACME.replace('id = "acme"', 'id = "generic"'))
    config = load(tmp_path, "providers: {llm: {profile: own.toml, api_key: none}}\n")
    assert provider_profile("llm", config.providers["llm"], "m").stop_max == 2


# Many machines, and the cache

STATE_KEY = "k" * 32


@pytest.mark.parametrize(
    ("text", "env", "found"),
    [
        pytest.param("", {}, None, id="none"),
        pytest.param("", {"BRIDGE_STATE_KEY": STATE_KEY}, STATE_KEY, id="environment"),
        pytest.param("", {"BRIDGE_STATE_KEY": " "}, None, id="blank"),
        pytest.param("state_key: '${THE_KEY}'\n", {"THE_KEY": STATE_KEY}, STATE_KEY, id="file"),
        pytest.param(f"state_key: {STATE_KEY}\n", {"BRIDGE_STATE_KEY": "e" * 32}, STATE_KEY, id="file-wins"),
    ],
)
def test_where_the_state_key_is_from(tmp_path: Path, text: str, env: dict[str, str], found: str | None):
    config = load(tmp_path, text, **env)
    assert (config.state_key.get_secret_value() if config.state_key else None) == found
    assert config.secrets() == ((found,) if found else ())


def test_a_short_state_key_is_refused_and_not_shown(tmp_path: Path):
    problem = error_of(tmp_path, "state_key: tooshort\n")
    assert problem.startswith("state_key: needs at least 32 characters")
    assert "tooshort" not in problem
    with pytest.raises(ConfigError, match=r"BRIDGE_STATE_KEY needs at least 32 characters\. Make one") as caught:
        load(tmp_path, "", BRIDGE_STATE_KEY="tooshort")
    assert "tooshort" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "is_server"),
    [
        ("sqlite", False),
        ("memory", False),
        ("off", False),
        ("sqlite:///x", False),
        ("redis://h", True),
        ("unix:///s", True),
    ],
)
def test_which_stores_several_machines_can_use(tmp_path: Path, store: str, is_server: bool):
    assert load(tmp_path, f"store: '{store}'\n").store_is_server is is_server


def test_a_cache_is_off_until_it_is_wanted(tmp_path: Path):
    assert load(tmp_path, "").cache is None
    wanted = load(tmp_path, "cache: {}\n").cache
    assert wanted is not None
    assert (wanted.ttl_s, wanted.shared) == (3600, False)


def test_a_cache_needs_a_store(tmp_path: Path):
    assert "cache needs a store" in error_of(tmp_path, "cache: {ttl_s: 60}\nstore: off\n")
    assert "cache.ttl_s" in error_of(tmp_path, "cache: {ttl_s: 0}\n")
