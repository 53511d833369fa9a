"""Client programs from npm, and the environment they are started in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.process import Bridge, clean_environment

TIMEOUT_S = 30.0

# What every program starts with and ends with. `model` is the test's own.
_PROGRAM = """
const OpenAI = require("openai");
const model = process.env.MODEL;
const client = new OpenAI({ maxRetries: Number(process.env.MAX_RETRIES) });
const tell = (seen) => console.log(JSON.stringify(seen));
(async () => {
%s
})().catch((error) => { console.error(error); process.exit(1); });
"""

_SETTINGS = re.compile(r"(NODE|NPM|CODEX)_.*", re.I)


def node_modules() -> Path:
    """Where the packages are. Skips the test if nobody says."""
    named = os.environ.get("BRIDGE_NODE_MODULES")
    if not named:
        pytest.skip("BRIDGE_NODE_MODULES does not name a node_modules directory with the clients; .ci/run makes one")
    return Path(named).resolve()


def program(name: str) -> Path:
    """A program that some package brings. Where packages are installed but this one is not, the test fails."""
    found = node_modules() / ".bin" / name
    assert found.exists(), f"{found} does not exist; .ci/run says which packages it has to come from"
    return found


def environment(bridge: Bridge, home: Path, **more: str) -> dict[str, str]:
    """As a user of the bridge sets it, with a home of its own; the packages' own Node is the first that is found."""
    kept = {name: value for name, value in clean_environment().items() if not _SETTINGS.fullmatch(name)}
    path = os.pathsep.join([str(node_modules() / ".bin"), kept.get("PATH", os.defpath)])
    return {**kept, **bridge.environment, "PATH": path, "HOME": str(home), **more}


def node() -> Path:
    """Node 24 or newer: the first whose `fetch` can be told to honour HTTPS_PROXY. An older one skips the test."""
    bundled = node_modules() / ".bin" / "node"
    found = os.environ.get("BRIDGE_NODE") or (str(bundled) if bundled.exists() else shutil.which("node"))
    if found is None:
        pytest.skip("there is no Node; BRIDGE_NODE or the npm package `node` could bring one")
    version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 24:
        pytest.skip(f"{found} is Node {version}, whose fetch takes no proxy from the environment; 24 is the first")
    return Path(found)


def told_by(node_program: Path, program: str, bridge: Bridge, home: Path, **settings: str) -> Any:
    """What a program for the npm package `openai` tells, after it has run to its end."""
    of_node = {"NODE_PATH": str(node_modules()), "NODE_USE_ENV_PROXY": "1", "NODE_EXTRA_CA_CERTS": str(bridge.ca)}
    finished = subprocess.run(
        [node_program, "--eval", _PROGRAM % program],
        env=environment(bridge, home, **of_node, **{"MAX_RETRIES": "0", **settings}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
