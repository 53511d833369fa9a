"""The files in docs/examples are what their programs take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from addon.config import load_config

MANY_MACHINES = Path(__file__).parents[1] / "docs" / "examples" / "many-machines"
KEYS = {"DEEPSEEK_API_KEY": "sk-deepseek", "TEAM_KEY": "sk-team", "BRIDGE_STATE_KEY": "k" * 32}


def text_of(name: str) -> str:
    return (MANY_MACHINES / name).read_text("utf-8")


def test_the_configuration_is_for_several_machines() -> None:
    config = load_config(MANY_MACHINES / "bridge.yaml", KEYS)
    assert config.store_is_server
    assert config.warnings == ()
    assert not config.clients.accepts("sk-anybody")
    assert {"change-me-in-both-places", KEYS["BRIDGE_STATE_KEY"]} <= set(config.secrets())


def test_all_files_speak_of_the_same_places() -> None:
    assert re.search(r"^bind 10\.0\.0\.9$", text_of("redis.conf"), re.MULTILINE)
    assert "requirepass change-me-in-both-places" in text_of("redis.conf")
    assert re.findall(r"^    server \S+ (\S+)$", text_of("haproxy.cfg"), re.MULTILINE) == [
        "10.0.0.1:8080",
        "10.0.0.2:8080",
    ]
    assert "--port 8080" in text_of("responses-bridge.service")


@pytest.mark.parametrize("variable", KEYS)
def test_the_service_is_given_each_key(variable: str) -> None:
    assert variable in text_of("responses-bridge.service")


def test_the_guide_shows_the_configuration_as_it_is() -> None:
    guide = (MANY_MACHINES.parents[1] / "scaling.md").read_text("utf-8")
    shown = re.search(r"^   ```yaml\n(.*?)^   ```$", guide, re.MULTILINE | re.DOTALL)
    assert shown is not None
    lines = [line.removeprefix("   ") for line in shown[1].splitlines()]
    assert lines == [line for line in text_of("bridge.yaml").splitlines() if not line.startswith("#")]
