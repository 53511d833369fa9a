"""Errors of the file, sentence by sentence, and what `${VARIABLE}` does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.config import Config, ConfigError, find_config, load_config
from addon.config.reading import Expansion, read_yaml


def load(tmp_path: Path, text: str, **env: str) -> Config:
    path = tmp_path / "bridge.yaml"
    path.write_text(text, "utf-8")
    return load_config(path, env)


def error_of(tmp_path: Path, text: str, **env: str) -> str:
    """The message, without the file's name in front."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **env)
    message = str(caught.value)
    prefix = f"{tmp_path / 'bridge.yaml'}: "
    assert all(line.startswith(prefix) for line in message.splitlines())
    return message.replace(prefix, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [\n", "line 2: not valid YAML: expected the node content, but found ….", id="syntax"),
        pytest.param("hosts: 'x\n", "line 2: not valid YAML: found unexpected end of stream.", id="open quote"),
        pytest.param(
            "traces: drop\ntraces: drop\n", "line 2: a key is there twice. Remove one of the two.", id="twice"
        ),
        pytest.param("traces: *gone\n", "line 1: not valid YAML: found undefined alias ….", id="alias"),
        pytest.param(
            "traces: 2024-13-99\n",
            "not valid YAML: it holds a character or value that YAML does not allow; put the value in quotes.",
            id="bad date",
        ),
        pytest.param("&x hosts: &y [*y]\n", "is nested too deeply, or contains itself. Write it out flat.", id="loop"),
        pytest.param("- a\n", "must be a mapping (lines of key: value) at the top.", id="list at the top"),
        pytest.param("modles: {}\n", "modles: unknown key. Did you mean models?", id="misspelt"),
        pytest.param(
            "weather: fine\n",
            f"weather: unknown key. Known: {', '.join(Config.model_fields)}.",
            id="unknown",
        ),
        pytest.param(
            "providers: {deepseek: {api_kee: x}}\n",
            "providers.deepseek.api_kee: unknown key. Did you mean api_key?",
            id="misspelt in a provider",
        ),
        pytest.param(
            "providers: {deepseek: {api_key: a, api_keys: [b]}}\n",
            "providers.deepseek: has both api_key and api_keys; remove one of them.",
            id="a key and several",
        ),
        pytest.param(
            "providers: {deepseek: {api_keys: [a], api_key_file: b}}\n",
            "providers.deepseek: has both api_keys and api_key_file; remove one of them.",
            id="several keys and a file",
        ),
        pytest.param(
            "providers: {deepseek: {api_keys: a}}\n", "providers.deepseek.api_keys: must be a list.", id="one key"
        ),
        pytest.param(
            "providers: {deepseek: {api_keys: []}}\n",
            "providers.deepseek.api_keys: is an empty list. Add an entry, or remove the key.",
            id="an empty list of keys",
        ),
        pytest.param(
            "providers: {deepseek: {api_keys: [a, ' ']}}\n",
            "providers.deepseek.api_keys.1: is empty; give a key or remove the entry.",
            id="an empty key among several",
        ),
        pytest.param(
            "providers: {deepseek: {api_keys: [12345678]}}\n",
            "providers.deepseek.api_keys.0: must be text. Put the value in quotes.",
            id="a number as key",
        ),
        pytest.param(
            "failover: {attemps: 1}\n", "failover.attemps: unknown key. Did you mean attempts?", id="misspelt attempts"
        ),
        pytest.param(
            "failover: {attempts: 0}\n",
            "failover.attempts: must be greater than or equal to 1.",
            id="no attempt at all",
        ),
        pytest.param("failover: {seconds: 0}\n", "failover.seconds: must be greater than 0.", id="no time at all"),
        pytest.param(
            "keepalive: {every: 1}\n", "keepalive.every: unknown key. Did you mean every_s?", id="misspelt every_s"
        ),
        *(
            pytest.param(
                f"keepalive: {{{key}: 300}}\n",
                f"keepalive.{key}: must be less than 300: Codex and clients on Node give up after 300 s of silence.",
                id=f"{key} beyond patience",
            )
            for key in ("early_headers_after_s", "every_s", "json_after_s")
        ),
        pytest.param("keepalive: {every_s: .nan}\n", "keepalive.every_s: must be greater than 0.", id="no number"),
        pytest.param("vision: {modle: x}\n", "vision.modle: unknown key. Did you mean model?", id="misspelt in vision"),
        pytest.param("clients: {key: [x]}\n", "clients.key: unknown key. Did you mean keys?", id="misspelt in clients"),
        pytest.param(
            "limits: {body_byte: 1}\n",
            "limits.body_byte: unknown key. Did you mean body_bytes?",
            id="misspelt in limits",
        ),
        pytest.param(
            "models: {a: {targets: [{target: deepseek/a, wait: 1}]}}\n",
            "models.a.targets.0.wait: unknown key. Did you mean weight?",
            id="misspelt in a target",
        ),
        pytest.param(
            "models: {a: {targets: [deepseek/a], balanse: order}}\n",
            "models.a.balanse: unknown key. Did you mean balance?",
            id="misspelt in a route",
        ),
        pytest.param(
            "unmatched: blok\n", "unmatched: must be block or forward. Did you mean block?", id="misspelt value"
        ),
        pytest.param("traces: 7\n", "traces: must be drop or forward.", id="wrong value"),
        pytest.param("providers: []\n", "providers: must be a mapping (lines of key: value).", id="list for mapping"),
        pytest.param("hosts: api.openai.com\n", "hosts: must be a list.", id="text for list"),
        pytest.param("clients:\n", "clients: is empty. Give it a value, or remove the key.", id="nothing"),
        pytest.param(
            "allowed_remotes:\n", "allowed_remotes: is empty. Give it a value, or remove the key.", id="no remotes"
        ),
        pytest.param(
            "clients: {keys: }\n", "clients.keys: is empty. Give it a value, or remove the key.", id="no keys"
        ),
        pytest.param("hosts: []\n", "hosts: is an empty list. Add an entry, or remove the key.", id="empty list"),
        pytest.param(
            "providers: {deepseek: {vars: {api_version: 2024-10-21}}}\n",
            "providers.deepseek.vars.api_version: must be text. Put the value in quotes.",
            id="date",
        ),
        pytest.param("hosted_tools: off\n", "hosted_tools: must be native or drop or error.", id="policy"),
        pytest.param(
            "hosted_tools: {web_serch: drop}\n",
            "hosted_tools.web_serch: unknown key. Did you mean web_search?",
            id="type of a hosted tool",
        ),
        pytest.param("limits: {body_bytes: 0}\n", "limits.body_bytes: must be greater than 0.", id="number"),
        pytest.param(
            "hosts: ['https://api.openai.com']\n",
            'hosts.0: must be a host: "api.example.com", "*.example.com" or "api.example.com:8443", nothing more.',
            id="URL for host",
        ),
        pytest.param("base_paths: [v1]\n", 'base_paths.0: must be a path such as "/v1".', id="path"),
        pytest.param(
            "models: {a: gpt-4}\n",
            'models.a: must be "provider/model", for example "dashscope/qwen-turbo" or "dashscope/{model}".',
            id="target without provider",
        ),
        pytest.param("models: {a: {}}\n", "models.a.targets: is missing. Add it.", id="no targets"),
        pytest.param(
            "providers: {a/b: {}}\n",
            "providers.a/b: is not a valid provider name; use letters, digits, '.', '_' and '-'.",
            id="provider name",
        ),
        pytest.param(
            "providers: {deepseek: {api_key: a, api_key_file: b}}\n",
            "providers.deepseek: has both api_key and api_key_file; remove one of them.",
            id="two keys",
        ),
        pytest.param(
            "providers: {deepseek: {headers: {Authorization: x}}}\n",
            "providers.deepseek.headers.Authorization: looks like a credential, and would be visible in recorded "
            'flows; use api_key, with overrides: {auth: "header:NAME"} if it travels in another header.',
            id="credential in headers",
        ),
        pytest.param(
            "clients: {keys: ['']}\n", "clients.keys.0: is empty; give a key or remove the entry.", id="empty key"
        ),
    ],
)
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, message: str):
    assert error_of(tmp_path, text) == message


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    message = error_of(tmp_path, "traces: dorp\nunmatched: blok\n")
    assert message.splitlines() == [
        "unmatched: must be block or forward. Did you mean block?",
        "traces: must be drop or forward. Did you mean drop?",
    ]


@pytest.mark.parametrize("name", ["api-key", "X-Api-Key", "Cookie", "Proxy-Authorization", "x-auth-token", "key"])
def test_credentials_are_kept_out_of_headers_and_query(tmp_path: Path, name: str):
    for place in ("headers", "query"):
        message = error_of(tmp_path, f"providers: {{deepseek: {{{place}: {{{name}: x}}}}}}\n")
        assert "looks like a credential" in message


def test_ordinary_headers_are_no_credentials(tmp_path: Path):
    config = load(tmp_path, "providers: {deepseek: {headers: {X-Title: t, x-max-tokens: '5', X-Monkey: m}}}\n")
    assert dict(config.providers["deepseek"].headers) == {"X-Title": "t", "x-max-tokens": "5", "X-Monkey": "m"}


def test_a_file_that_cannot_be_read(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_bytes(b"hosts: [\xff]")
    with pytest.raises(ConfigError, match="cannot be read \\(it is not UTF-8 text\\)"):
        load_config(path, {})
    with pytest.raises(ConfigError, match="cannot be read \\(No such file or directory\\)"):
        load_config(tmp_path / "none.yaml", {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_an_empty_file_is_all_defaults(tmp_path: Path, text: str):
    assert dict(load(tmp_path, text)) == dict(Config())


# ${VARIABLE}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${HOST}", "h"),
        ("https://${HOST}/${PATH_}", "https://h/p"),
        ("${NOT_SET:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${NOT_SET:-}", ""),
        ("$${HOST}", "${HOST}"),
        ("$HOST $ {model}", "$HOST $ {model}"),
    ],
)
def test_variables(text: str, expanded: str):
    expansion = Expansion({"HOST": "h", "PATH_": "p", "EMPTY": ""}, "file")
    assert expansion.expand({"a": [text, 1, None]}) == {"a": [expanded, 1, None]}


def test_an_unset_variable_is_an_error(tmp_path: Path):
    assert error_of(tmp_path, "hosts: ['${API_HOST}']\n") == (
        "hosts.0: the environment variable API_HOST is not set. Set it, or give a default: ${API_HOST:-…}."
    )


@pytest.mark.parametrize("text", ["${", "${HOST", "${not a name}", "${HOST-x}"])
def test_what_is_no_variable_is_an_error(tmp_path: Path, text: str):
    message = error_of(tmp_path, f"hosts: ['{text}']\n", HOST="h")
    assert message == "hosts.0: a ${ is not a variable. Write ${NAME}, ${NAME:-default}, or $${."


def test_numbers_may_come_from_variables(tmp_path: Path):
    assert load(tmp_path, "limits: {body_bytes: '${MAX}'}\n", MAX="5").limits.body_bytes == 5


# Secrets

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map("{}~#~".format)


@given(secret=SECRETS)
@pytest.mark.parametrize(
    "template",
    [
        "providers: {{deepseek: {{api_key: {0}, oops: 1}}}}\n",
        "providers: {{deepseek: {{api_key: [{0}]}}}}\n",
        "providers: {{deepseek: {{api_keys: {0}}}}}\n",
        "providers: {{deepseek: {{api_keys: [{0}, ''], oops: 1}}}}\n",
        "providers: {{deepseek: {{api_keys: [{0}, none]}}}}\n",
        "providers: {{deepseek: {{api_keys: [[{0}]]}}}}\n",
        "providers: {{deepseek: {{api_key: {0}, api_key_file: x}}}}\n",
        "providers: {{deepseek: {{api_key: *{0}}}}}\n",
        "providers: {{deepseek: {{api_key: !{0} x}}}}\n",
        "providers: {{deepseek: {{api_key: {0}}}\n",
        "providers: {{deepseek: {{api_key: a, api_key: {0}}}}}\n",
        "providers: {{deepseek: {{api_key: '{0}' x}}}}\n",
        'providers: {{deepseek: {{api_key: "{0}\n',
        "providers: {0}\n",
        "clients: {{keys: {0}}}\n",
        "clients: {{keys: [{0}], oops: 1}}\n",
    ],
)
def test_no_error_quotes_a_secret(tmp_path_factory: pytest.TempPathFactory, template: str, secret: str):
    path = tmp_path_factory.getbasetemp() / "secret.yaml"
    path.write_text(template.format(secret), "utf-8")
    try:
        shown = repr(load_config(path, {}))
    except ConfigError as error:
        shown = f"{error} {error!r} {error.__cause__!r}"
    assert secret not in shown


# Finding the file


def test_the_first_file_there_is(tmp_path: Path):
    cwd, home = tmp_path / "cwd", tmp_path / "home"
    at_home = home / ".config" / "responses-bridge" / "bridge.yaml"
    for folder in (cwd, at_home.parent):
        folder.mkdir(parents=True)
    assert find_config("", {}, cwd, home) is None
    at_home.touch()
    assert find_config("", {}, cwd, home) == at_home
    (cwd / "bridge.yaml").touch()
    assert find_config("", {}, cwd, home) == cwd / "bridge.yaml"
    (cwd / "named.yaml").touch()
    assert find_config("", {"BRIDGE_CONFIG": "named.yaml"}, cwd, home) == cwd / "named.yaml"
    assert find_config(str(at_home), {"BRIDGE_CONFIG": "named.yaml"}, cwd, home) == at_home
    assert find_config("~/.config/responses-bridge/bridge.yaml", {}, cwd, home) == at_home


def test_a_named_file_must_be_there(tmp_path: Path):
    (tmp_path / "bridge.yaml").touch()
    with pytest.raises(ConfigError) as by_option:
        find_config("gone.yaml", {}, tmp_path, tmp_path)
    with pytest.raises(ConfigError) as by_variable:
        find_config("", {"BRIDGE_CONFIG": "gone.yaml"}, tmp_path, tmp_path)
    sentence = f"there is no file {tmp_path / 'gone.yaml'}. Correct the path, or remove the setting."
    assert str(by_option.value) == f"option bridge_config: {sentence}"
    assert str(by_variable.value) == f"BRIDGE_CONFIG: {sentence}"


def test_an_anchor_used_twice_is_told_without_quoting_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("a: &x sk-secret\nb: &x sk-other\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert "the same &anchor is there twice" in str(caught.value)
    assert "sk-" not in str(caught.value)
