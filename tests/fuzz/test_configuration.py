"""Whatever a configuration file or a profile says: it holds, or one error names what is wrong with it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.config import Config, ConfigError, load_config
from addon.providers.platforms import builtin_platforms, load_platform_file, resolve
from addon.providers.profile import Profile, ProfileError
from addon.routing import Router, RoutingError
from tests.fuzz.mutation import damaged, fuzzed, mutated, words_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ruamel.yaml.error.ReusedAnchorWarning")]

KEY = "key-0123456789"
DOCUMENT: Any = {
    "providers": {
        "deepseek": {"api_key": KEY},
        "dashscope": {"api_key": "${KEY}", "headers": {"x-a": "b"}, "query": {"a": "b"}, "vars": {"resource": "r"}},
        "zai": {"api_keys": [KEY, "another-key-0123456789"], "mode": "auto"},
        "vllm": {"base_url": "http://127.0.0.1:8000/v1", "api_key": "none", "overrides": {"idle_timeout_s": 1}},
    },
    "models": {
        "a": "deepseek/{model}",
        "gpt-*": ["deepseek/b", {"target": "vllm/c", "weight": 2}],
        "*": {"targets": ["vllm/{model}"], "balance": "weighted"},
    },
    "allowed_remotes": ["api.deepseek.com", "*.aliyuncs.com", "127.0.0.1:8000"],
    "clients": {"keys": ["a-client-key"]},
    "hosts": ["api.openai.com"],
    "base_paths": ["/v1"],
    "unmatched": "block",
    "traces": "drop",
    "hosted_tools": {"web_search": "native", "*": "drop"},
    "compaction": {"model": "a"},
    "vision": {"model": "a", "per_call": 2},
    "failover": {"attempts": 2, "seconds": 10},
    "keepalive": {"every_s": 5},
    "limits": {"body_bytes": 1000, "json_depth": 20},
}
NAMES = [*Config.model_fields, *Profile.model_fields, "${KEY}", "${NONE}", "${NONE:-}", "${", "http://[::1]/{model}"]

WORDS = [*(word for word in words_of(DOCUMENT) if KEY not in word), *NAMES]
"""Without the keys: in the place of a name they are a name."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "file"


def assert_loads_or_says_why(path: Path) -> None:
    config, problem = loaded(path)
    assert KEY not in problem
    for name in ("a", "gpt-5", "other", "", "\0"):
        with suppress(RoutingError):
            Router(config).route(name)


def loaded(path: Path) -> tuple[Config, str]:
    """The configuration, or an empty one and what is wrong."""
    try:
        return load_config(path, {"KEY": KEY, "BRIDGE_REMOTES": ""}), ""
    except ConfigError as error:
        return Config(), str(error)


@given(mutated(st.just(DOCUMENT), WORDS))
@fuzzed(120)
def test_configurations(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), "utf-8")  # which is YAML
    assert_loads_or_says_why(path)


YAML = ["a: 1\n", "- ", "{", "}", "&a ", "*a", "!!python/object:x ", "!!binary ", "|\n", ": ", "? ", "# c\n", "---\n"]


@given(
    st.lists(st.sampled_from([*YAML, *NAMES]) | st.text(max_size=5)).map("".join).map(str.encode)
    | damaged(st.just(json.dumps(DOCUMENT, indent=1).encode()))
)
@fuzzed(120)
def test_texts_of_a_configuration(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert_loads_or_says_why(path)


PLATFORMS = Path(__file__).parents[2] / "addon" / "providers"
TEXTS = [each.read_bytes() for each in sorted(PLATFORMS.glob("*.toml"))]


@given(damaged(st.sampled_from(TEXTS)))
@fuzzed(100)
def test_texts_of_a_profile(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with suppress(ProfileError):
        resolve(load_platform_file(path), model="m")


OVERRIDES: Any = {name: value for name, value in Profile().model_dump(mode="json").items() if value is not None}


@given(mutated(st.just(OVERRIDES), words_of(OVERRIDES)), st.sampled_from([*builtin_platforms()]))
@fuzzed(100)
def test_overrides_of_a_profile(overrides: Any, platform: str) -> None:
    if isinstance(overrides, dict):
        with suppress(ProfileError):
            resolve(builtin_platforms()[platform], model="m", overrides=overrides)
