"""Codex CLI as a user runs it: `codex exec` in a workspace, with nothing but the proxy and its CA set."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from addon.providers.platforms import profile_for
from tests.end_to_end.npm import environment
from tests.end_to_end.process import CLIENT_KEY, Bridge, eventually
from tests.end_to_end.provider import Provider, Received
from tests.translate.valid_history import assert_valid_history

RUN_TIMEOUT_S = 60.0

# Turned off is what Codex asks of hosts other than api.openai.com: its newest version, plugins, the list of models,
# telemetry. None of it concerns the bridge, and out of reach of these hosts the list of models costs it 6 s a run.
_CONFIG = """\
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
plugins = false
api_key_model_discovery = false
"""

_UPGRADE = re.compile(r"GET https://api\.openai\.com/v1/responses\b")
_STRANGERS = re.compile(r"error establishing server connection.*|server connect (?!.*127\.0\.0\.1).*")


@dataclass(frozen=True)
class Finished:
    """A run of Codex that is over."""

    exit_code: int
    message: str
    """What it prints to stdout: the last message of the agent."""
    progress: str
    """What it prints to stderr on the way: commands, patches, warnings, errors."""


@dataclass
class Codex:
    """Codex behind a bridge. `provider` answers for every model, under the name `served` followed by that model's."""

    program: Path
    bridge: Bridge
    provider: Provider
    served: str
    profile: str
    home: Path
    workspace: Path

    @classmethod
    def installed(
        cls, program: Path, bridge: Bridge, provider: Provider, *, served: str, profile: str, folder: Path
    ) -> Codex:
        """A new home and an empty workspace below `folder`."""
        home, workspace = folder / "home", folder / "workspace"
        (home / ".codex").mkdir(parents=True)
        workspace.mkdir()
        (home / ".codex" / "config.toml").write_text(_CONFIG, "utf-8")
        return cls(program, bridge, provider, served, profile, home, workspace)

    def exec(self, *arguments: str) -> Finished:
        """`codex exec` with these arguments, to its end.

        The sandbox is off: it needs rights that a container may not give, and what is run comes from the test.
        """
        options = ["--skip-git-repo-check", "--sandbox", "danger-full-access", "--color", "never"]
        command = [str(self.program), "exec", *options, *arguments]
        # Codex takes no key from OPENAI_API_KEY, and adds this certificate to those it trusts.
        settings = {"CODEX_HOME": str(self.home / ".codex"), "CODEX_API_KEY": CLIENT_KEY}
        settings["CODEX_CA_CERTIFICATE"] = str(self.bridge.ca)
        with subprocess.Popen(
            command,
            cwd=self.workspace,
            env=environment(self.bridge, self.home, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            try:
                message, progress = process.communicate(timeout=RUN_TIMEOUT_S)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Finished(process.returncode, message, progress)

    def turns(self, model: str) -> list[Received]:
        """What the provider was asked for a model, turn by turn."""
        return self.provider.calls(self.served + model)

    def messages(self, model: str, *, anew: Collection[int] = ()) -> list[list[dict[str, Any]]]:
        """The chat history of each turn. All are valid, and each begins with the bytes of the one before.

        Args:
            anew: the turns (0 is the first) whose history is a new one, because it was compacted.
        """
        turns = self.turns(model)
        histories = [turn.body["messages"] for turn in turns]
        for history in histories:
            assert_valid_history(history, profile_for(self.profile, model=self.served + model))
        for key in ("tools", "messages"):
            values = [_elements(turn, key) for turn in turns]
            for number, (earlier, later) in enumerate(pairwise(values), 1):
                kept = later.startswith(earlier)
                assert kept or number in anew, f"{key} began anew at turn {number}, so that no prefix cache can hit"
        return histories

    def assert_at_ease(self, upgrades: int = 1) -> None:
        """It tried a WebSocket once and took the refusal, spoke with nobody else, and left nothing running."""
        assert len(_UPGRADE.findall(self.bridge.log)) == upgrades, self.bridge.log
        assert _STRANGERS.search(self.bridge.log) is None, self.bridge.log
        eventually(lambda: not self._running(), "all processes of Codex have ended")

    def _running(self) -> list[str]:
        """Processes that have inherited our CODEX_HOME, where the system tells the environment of processes."""
        mark = f"CODEX_HOME={self.home}".encode()
        return [entry.parent.name for entry in Path("/proc").glob("[0-9]*/environ") if mark in _read(entry)]


def _read(file: Path) -> bytes:
    """What it holds; nothing if its process has ended meanwhile or is not ours."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _elements(turn: Received, key: str) -> str:
    """The elements of an array in a request's body, as they were written."""
    text = turn.raw.decode()
    start = text.index(f'"{key}":[') + len(key) + 3
    _, end = json.JSONDecoder().raw_decode(text, start)
    return text[start : end - 1]
