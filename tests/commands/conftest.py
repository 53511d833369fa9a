"""What the tests of commands share: mitmproxy's directory, and a world in which nothing is configured."""

import os
from pathlib import Path

import pytest

from addon.commands.authority import write_ca_bundle


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for mitmproxy's CA, which takes a while to make."""
    directory = tmp_path_factory.mktemp("conf dir")
    write_ca_bundle(directory)
    return directory


@pytest.fixture
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and home, and no provider's key in the environment."""
    for name in [*os.environ]:
        if name.startswith("BRIDGE_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BRIDGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
