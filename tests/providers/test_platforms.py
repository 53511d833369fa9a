"""The built-in files, and how layers become one profile."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from addon.providers.platforms import (
    GENERIC,
    Platform,
    builtin_platforms,
    load_platform_file,
    platform_at,
    profile_for,
    resolve,
)
from addon.providers.profile import Profile, ProfileError

FOLDER = Path(__file__).parents[2] / "addon" / "providers"
PLATFORM_FILES = sorted(path for path in FOLDER.glob("*.toml") if path.name != "lineage.toml")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('evidence = "U"\nchecked = "2026-11"\n' + text, encoding="utf-8")
    return path


# The files


def test_platforms_come_in_alphabetical_order() -> None:
    assert list(builtin_platforms()) == sorted(builtin_platforms())


@pytest.mark.parametrize("path", PLATFORM_FILES, ids=lambda path: path.stem)
def test_a_file_loads_and_is_called_by_its_id(path: Path) -> None:
    platform = load_platform_file(path)
    assert platform.id == path.stem
    assert platform.label
    assert platform.evidence[:2] in {"D:", "C:", "P:", "R:", "U:"}
    assert platform.checked >= "2026-11"


@pytest.mark.parametrize("platform", builtin_platforms().values(), ids=builtin_platforms())
def test_every_rule_says_how_it_is_known(platform: Platform) -> None:
    for rule in platform.rules:
        assert rule.evidence[:2] in {"D:", "C:", "P:", "R:", "U:"}, rule
        assert rule.fields, rule


@pytest.mark.parametrize("platform", builtin_platforms().values(), ids=builtin_platforms())
def test_efforts_are_mapped_to_accepted_ones(platform: Platform) -> None:
    for model in sample_models(platform):
        profile = profile_for(platform.id, model=model)
        assert set(profile.effort_map.values()) <= set(profile.effort_values), model


@pytest.mark.parametrize("platform", builtin_platforms().values(), ids=builtin_platforms())
def test_rules_of_a_platform_reach_their_models(platform: Platform) -> None:
    for rule in platform.rules:
        for glob in rule.match:
            model = sample(glob)
            assert fnmatchcase(model, glob.lower())
            assert rule.applies_to(model.upper())


def sample(glob: str) -> str:
    """A model id that a glob of the built-in files matches."""
    head, bracket, tail = glob.lower().partition("[")
    if bracket:
        head += tail[0]
        tail = tail.partition("]")[2]
    return (head + tail).replace("*", "")


def sample_models(platform: Platform) -> list[str]:
    return ["", *(sample(glob) for rule in platform.rules for glob in rule.match)]


def test_hosts_belong_to_one_platform() -> None:
    hosts = [host for platform in builtin_platforms().values() for host in platform.hosts]
    assert len(hosts) == len(set(hosts))
    assert all(host == host.lower() and "://" not in host for host in hosts)


def test_base_urls_lead_back_to_their_platform() -> None:
    for platform in builtin_platforms().values():
        if platform.hosts and platform.base_url and "localhost" not in platform.base_url:
            assert platform_at(platform.base_url) is platform


@pytest.mark.parametrize("path", PLATFORM_FILES, ids=lambda path: path.stem)
def test_variants_with_the_same_key_come_behind_their_base(path: Path) -> None:
    """Whoever picks the first platform of a key variable gets the base, never a region or a plan. (A URL with places
    takes more than a key, so it is never picked like that.)"""
    name = tomllib.loads(path.read_text("utf-8")).get("base", path.stem)
    base, variant = builtin_platforms()[name], builtin_platforms()[path.stem]
    picked_by_key = "{" not in (variant.base_url or "") and bool(set(base.env) & set(variant.env))
    assert base.id <= variant.id or not picked_by_key


def test_local_servers_have_no_key_variable() -> None:
    """Except for a proxy that gives out keys of its own."""
    local = [p for p in builtin_platforms().values() if p.base_url and "localhost" in p.base_url]
    assert {p.id for p in local if not p.env} == {"vllm", "sglang", "llamacpp", "ollama", "lmstudio"}
    assert {p.id for p in local if p.env} == {"litellm"}


# Hosts


@pytest.mark.parametrize(
    ("base_url", "platform"),
    [
        pytest.param("https://api.deepseek.com", "deepseek", id="equal"),
        pytest.param("https://API.DeepSeek.com:443/v1", "deepseek", id="case-port-path"),
        pytest.param("https://coding.dashscope.aliyuncs.com/v1", "dashscope-coding", id="longer-host"),
        pytest.param("https://eu.api.groq.com/openai/v1", "groq", id="subdomain"),
        pytest.param("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope-intl", id="not-a-subdomain"),
        pytest.param("https://evil-api.deepseek.com.attacker.net/v1", GENERIC, id="host-inside"),
        pytest.param("https://notdeepseek.com/v1", GENERIC, id="suffix-without-dot"),
        pytest.param("https://notapi.deepseek.com/v1", GENERIC, id="prefix-without-dot"),
        pytest.param("https://api.deepseek.com@attacker.net/v1", GENERIC, id="user-info"),
        pytest.param("https://attacker.net/api.deepseek.com", GENERIC, id="in-path"),
        pytest.param("https://attacker.net/?u=https://api.deepseek.com", GENERIC, id="in-query"),
        pytest.param("https://r.openai.azure.com/openai/v1", "azure-v1", id="azure-v1"),
        pytest.param("https://r.openai.azure.com/openai/deployments/d", "azure-deployment", id="azure-deployment"),
        pytest.param("https://{resource}.openai.azure.com/openai/v1", "azure-v1", id="placeholder"),
        pytest.param("https://api.kimi.com/coding/v1", "kimi-code", id="path"),
        pytest.param("https://api.kimi.com/codings/v1", GENERIC, id="other-path"),
        pytest.param("http://localhost:9999/v1", GENERIC, id="local"),
        pytest.param("http://[::1", GENERIC, id="not-a-url"),
        pytest.param(None, GENERIC, id="none"),
    ],
)
def test_platform_by_host(base_url: str | None, platform: str) -> None:
    assert platform_at(base_url).id == platform
    assert profile_for(None, base_url=base_url, model="m").id == platform


def test_a_named_platform_beats_the_host() -> None:
    assert profile_for("vllm", base_url="https://api.deepseek.com", model="m").id == "vllm"


# Models


@dataclass(frozen=True)
class Case:
    """What the profile of a model is expected to say."""

    platform: str
    model: str
    expected: Mapping[str, object] = field(default_factory=dict)


CASES = [
    Case("generic", "anything", {"max_tokens_field": "max_tokens", "thinking_style": "none", "replay": "never"}),
    Case("openai", "gpt-4o", {"max_tokens_field": "max_completion_tokens", "instruction_role": "system"}),
    Case("openai", "gpt-4o", {"thinking_style": "none", "drop_params_when_thinking": ()}),
    Case("openai", "o4-mini", {"instruction_role": "developer", "thinking_default": "always"}),
    Case("openai", "o1-mini", {"instruction_role": "user", "thinking_style": "none"}),
    Case("openai", "gpt-5-mini", {"thinking_default": "always", "effort_values": ("minimal", "low", "medium", "high")}),
    Case("openai", "gpt-5.1", {"thinking_default": "off", "effort_values": ("none", "low", "medium", "high")}),
    Case("openai", "gpt-5.1-codex-max", {"thinking_default": "always", "effort_values": ("low", "medium", "high")}),
    Case("openai", "gpt-5.6", {"thinking_default": "on"}),
    Case("azure-v1", "gpt-5.6", {"instruction_role": "developer", "file_part": "none", "auth": "header:api-key"}),
    Case("azure-v1", "Mistral-Large-3", {"max_tokens_field": "max_tokens"}),
    Case("azure-deployment", "gpt-4o", {"model_in_body": False, "query": {"api-version": "{api_version}"}}),
    Case("dashscope", "qwen-plus", {"thinking_style": "enable_thinking", "thinking_needs_stream": True}),
    Case("dashscope", "qwen3.5-plus", {"thinking_default": "on", "system_policy": "single"}),
    Case("dashscope", "qwq-plus", {"instruction_role": "user", "stream_mode": "always", "thinking_default": "always"}),
    Case("dashscope", "qwen3-coder-plus", {"thinking_style": "none", "tool_choice_values": ("none", "auto", "named")}),
    Case("dashscope-intl", "deepseek-v4", {"effort_values": ("high", "max")}),
    Case(
        "deepseek", "deepseek-v4-pro", {"replay": "after_tools", "replay_scope": "all_turns", "replay_missing": "space"}
    ),
    Case("deepseek", "deepseek-v3.2", {"replay": "tool_loop", "effort_values": ()}),
    Case("deepseek", "deepseek-r1", {"replay": "never", "thinking_default": "always"}),
    Case("deepseek", "deepseek-chat", {"thinking_default": "off"}),
    Case("moonshot", "moonshot-v1-32k", {"clamp": {"temperature": (0, 1)}, "thinking_style": "none"}),
    Case("moonshot", "kimi-k2.5", {"thinking_style": "thinking_type", "replay": "always", "effort_values": ()}),
    Case("moonshot", "kimi-k2.6", {"thinking_on": {"thinking": {"type": "enabled", "keep": "all"}}}),
    Case("moonshot", "kimi-k2.7-code", {"thinking_default": "always"}),
    Case("moonshot", "kimi-k3", {"effort_values": ("low", "high", "max"), "tool_choice_fallback": "filter_required"}),
    Case("zhipu", "glm-4.5", {"thinking_default": "on", "extra_body": {}, "replay": "tool_loop"}),
    Case("zai", "glm-5.2", {"thinking_default": "on", "effort_values": ("none", "high", "max"), "replay": "always"}),
    Case("zai", "glm-5.3", {"thinking_default": "always", "effort_values": ("low", "high", "max")}),
    Case("openrouter", "openai/gpt-5.6", {"strict_tools": "send", "response_format": "json_schema"}),
    Case("openrouter", "meta-llama/llama-4", {"replay_field": "reasoning_details", "response_format": "json_object"}),
    Case("mistral", "mistral-large-latest", {"thinking_style": "none", "rename_params": {"seed": "random_seed"}}),
    Case("mistral", "magistral-medium-latest", {"thinking_style": "prompt_mode", "replay_field": "thinking_parts"}),
    Case("vllm", "openai/gpt-oss-120b", {"thinking_style": "effort", "thinking_default": "always"}),
    Case("sglang", "Qwen/Qwen3-32B", {"replay_field": "reasoning_content", "thinking_style": "template_kwargs"}),
    Case("llamacpp", "m", {"tool_choice_fallback": "filter_required", "schema_flavor": "grammar"}),
    Case("ollama", "qwen3:8b", {"image_url": "base64", "tool_choice_values": ("auto",)}),
    Case("ollama", "m", {"empty_answer": "overflow", "replay_field": "reasoning"}),
    Case("lmstudio", "m", {"tool_choice_values": ("none", "auto", "required"), "empty_answer": "overflow"}),
    Case("minimax", "MiniMax-M2.7", {"tool_choice_values": ("auto",), "tool_choice_none": "drop_tools"}),
    Case("minimax-cn", "MiniMax-M3", {"reasoning_cumulative": True, "thinking_default": "on", "image_url": "any"}),
    Case("ark-coding", "m", {"native_drop_params": ("include",), "assistant_tool_content": "empty"}),
    Case("tokenhub", "hy3", {"native_responses": "yes", "trailing_assistant": "user_stub"}),
    Case("siliconflow", "m", {"tool_choice_values": ("auto",), "thinking_style": "none", "replay": "never"}),
    Case("siliconflow", "deepseek-ai/DeepSeek-V4", {"replay": "after_tools", "forced_choice_with_thinking": "auto"}),
    Case("groq", "groq/compound", {"tools": False, "n_max": 1, "response_format_with_tools": False}),
    Case("xai", "grok-4.5", {"reasoning_in_completion": False, "stop_max": 0, "replay": "never"}),
    Case("cerebras", "zai-glm-4.7", {"replay_field": "tags", "strict_tools": "uniform"}),
    Case("perplexity", "sonar", {"tools": False, "strict_alternation": True, "web_search": {}}),
    Case("anthropic", "claude-opus-4-5", {"clamp": {"temperature": (0, 1)}, "forced_choice_with_thinking": "auto"}),
    Case("gemini", "gemini-3-flash", {"schema_flavor": "gemini", "call_extra": ("extra_content",)}),
    Case("nvidia", "mistralai/mistral-large-3", {"assistant_between_tool_and_user": True}),
    Case("deepseek-beta", "deepseek-v4", {"trailing_assistant": "prefix", "strict_tools": "uniform"}),
    Case("kimi-code", "kimi-k2.6", {"thinking_default": "always", "native_responses": "no"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.platform}:{case.model}")
def test_model(case: Case) -> None:
    profile = profile_for(case.platform, model=case.model).model_dump()
    assert {name: profile[name] for name in case.expected} == case.expected


def test_mistral_ids_are_nine_letters_and_digits() -> None:
    rule = profile_for("mistral", model="m").tool_id
    assert (rule.exact_len, rule.charset) == (9, "[A-Za-z0-9]")


# Layers


def test_later_model_rules_win(tmp_path: Path) -> None:
    platform = load_platform_file(
        write(
            tmp_path,
            """
id = "mine"
n_max = 2
[[model]]
match = "a*"
evidence = "U"
checked = "2026-11"
n_max = 3
stop_max = 1
[[model]]
match = ["ab*", "x"]
evidence = "U"
checked = "2026-11"
n_max = 4
""",
        )
    )
    assert [resolve(platform, model=m).n_max for m in ("z", "a", "AB-1", "x")] == [2, 3, 4, 4]
    assert resolve(platform, model="ab").stop_max == 1
    assert resolve(platform, model="ab", overrides={"n_max": 5}).n_max == 5


def test_overrides_replace_a_field_whole() -> None:
    profile = profile_for("mistral", model="m", overrides={"rename_params": {"a": "b"}, "drop_params": []})
    assert profile.rename_params == {"a": "b"}
    assert profile.drop_params == ()


def test_lineage_holds_on_unknown_hosts() -> None:
    profile = profile_for(None, base_url="https://gateway.example/v1", model="deepseek-ai/DeepSeek-V4-Pro")
    assert (profile.replay, profile.forced_choice_with_thinking) == ("after_tools", "auto")
    assert profile.thinking_style == "none"
    assert profile_for(None, model="deepseek-r1-0528").replay == "never"


def test_lineage_is_silent_on_known_platforms() -> None:
    assert profile_for("lmstudio", model="deepseek-v4").replay == "never"


def test_a_platform_beats_lineage(tmp_path: Path) -> None:
    text = 'id = "mine"\ninherit_lineage = true\nreplay = "tool_loop"\n'
    profile = resolve(load_platform_file(write(tmp_path, text)), model="deepseek-v4")
    assert profile.replay == "tool_loop"
    assert profile.replay_missing == "space"


def test_a_base_gives_fields_and_rules(tmp_path: Path) -> None:
    platform = load_platform_file(write(tmp_path, 'id = "mine"\nbase = "mistral"\nstop_max = 1\n'))
    profile = resolve(platform, model="magistral-small")
    assert (profile.id, profile.stop_max, profile.thinking_style) == ("mine", 1, "prompt_mode")


def test_equal_questions_give_the_same_object() -> None:
    first = profile_for("deepseek", model="m", overrides={"n_max": 2})
    assert profile_for("deepseek", model="m", overrides={"n_max": 2}) is first


# Mistakes


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param(
            {"max_token_field": "both"},
            "overrides: unknown field 'max_token_field' (did you mean 'max_tokens_field'?); docs/profiles.md",
            id="unknown",
        ),
        pytest.param({"tools": []}, "overrides: 'tools': Input should be a valid boolean", id="type"),
        pytest.param({"clamp": {"t": [2, 1]}}, "overrides: 'clamp.t': Value error, the lower limit", id="nested"),
        pytest.param({"id": "x"}, "overrides: 'id' belongs to the platform", id="identity"),
        pytest.param({"headers": {"a": object()}}, "overrides: Object of type object", id="not-json"),
    ],
)
def test_wrong_overrides_say_what_to_do(overrides: Mapping[str, object], message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profile_for("generic", model="m", overrides=overrides)
    assert str(caught.value).startswith(message)


def test_an_unknown_platform_says_which_are_known() -> None:
    with pytest.raises(
        ProfileError, match=r"unknown profile 'deepsek' \(did you mean 'deepseek'\?\); built-in: anthropic, ark"
    ):
        profile_for("deepsek", model="m")


RULE = '[[model]]\nmatch = "m"\nevidence = "U"\nchecked = "2026-11"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('id = "mine"\nfoo = 1\n', "mine.toml: unknown field 'foo'", id="unknown-field"),
        pytest.param('id = "mine"\nn_max = 0\n', "mine.toml: 'n_max': Input should be greater", id="bad-value"),
        pytest.param("n_max = 1\n", "mine.toml: 'id' is missing", id="no-id"),
        pytest.param("id = \n", "mine.toml: not valid TOML", id="syntax"),
        pytest.param('id = "mine"\nbase = "mistrl"\n', "did you mean 'mistral'?", id="unknown-base"),
        pytest.param('id = "mine"\nbase = "lineage"\n', "is not a built-in platform", id="no-platform"),
        pytest.param('id = "mine"\ninherit_lineage = 3\n', "'inherit_lineage': Input should be", id="bad-head"),
        pytest.param(f'id = "mine"\n{RULE}tols = true\n', "[[model]] match='m': unknown field 'tols'", id="in-rule"),
        pytest.param(f'id = "mine"\n{RULE}hosts = ["a"]\n', "'hosts' belongs to the platform", id="identity-in-rule"),
        pytest.param('id = "mine"\n[[model]]\nmatch = "m"\n', "'evidence': Field required", id="no-evidence"),
    ],
)
def test_wrong_files_say_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load_platform_file(write(tmp_path, text))
    assert str(tmp_path / "mine.toml") in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        load_platform_file(tmp_path / "none.toml")


def test_a_value_never_shows_in_an_error() -> None:
    with pytest.raises(ProfileError) as caught:
        profile_for("generic", model="m", overrides={"headers": ["sk-secret"]})
    assert "sk-secret" not in str(caught.value)


def test_the_base_of_all_is_the_model_with_its_defaults() -> None:
    stated = set(builtin_platforms()[GENERIC].stated)
    generic = profile_for(None, model="m").model_dump(exclude=stated)
    assert generic == Profile().model_dump(exclude=stated)
