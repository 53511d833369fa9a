"""Keys about connections and limits: what is taken, and what is refused with a word on what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.config import ConfigError, load_config
from addon.config.remotes import Remote
from addon.routing import Router, Way

PROVIDER = "providers: {acme: {base_url: 'https://acme.test/v1', api_key: none, profile: generic%s}}\n"


def loaded(tmp_path: Path, provider: str = "", more: str = "") -> Way:
    path = tmp_path / "bridge.yaml"
    path.write_text(PROVIDER % provider + more)
    return Router(load_config(path, {})).route("m").targets[0].way


def test_a_provider_is_reached_in_the_usual_way(tmp_path: Path) -> None:
    assert loaded(tmp_path) == Way(http2=False, proxy=None, max_concurrent=None)


def test_a_provider_is_reached_as_configured(tmp_path: Path) -> None:
    way = loaded(tmp_path, ", http2: true, proxy: 'http://Proxy.test:3128', max_concurrent: 4")
    assert way == Way(http2=True, proxy=Remote("http", "proxy.test", 3128), max_concurrent=4)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://user:password@proxy.test:3128", "upstream_auth"),
        ("proxy.test:3128", "http://"),
        ("socks5://proxy.test:1080", "http://"),
        ("http://proxy.test:3128/path", "without a path"),
    ],
)
def test_what_is_no_proxy(tmp_path: Path, proxy: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"providers\.acme\.proxy.*{words}") as raised:
        loaded(tmp_path, f", proxy: '{proxy}'")
    assert "password@" not in str(raised.value)


@pytest.mark.parametrize(
    "limit",
    ["json_depth: 201", "json_depth: 0", "items: 0", "header_bytes: 10", "queued_calls: -1", "concurrent_calls: 0"],
)
def test_limits_that_make_no_sense(tmp_path: Path, limit: str) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{limit.partition(':')[0]}"):
        loaded(tmp_path, more=f"limits: {{{limit}}}\n")
