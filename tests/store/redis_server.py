"""A Redis server of the tests' own, on a socket in a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def binary() -> str:
    """`$BRIDGE_REDIS_SERVER`, which then has to be there, or what is on the path, if anything is."""
    named = os.environ.get("BRIDGE_REDIS_SERVER")
    if named is not None:
        assert shutil.which(named), f"BRIDGE_REDIS_SERVER names {named}, which is not there"
        return named
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        pytest.skip("there is no redis-server: apt-get install redis-server, or set BRIDGE_REDIS_SERVER")
    return found


@contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """Its URL. It keeps nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="rb-") as directory:
        path = Path(directory) / "redis.sock"
        command = [binary(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", directory, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                _wait_until_ready(process)
                yield f"unix://{path}"
            finally:
                process.kill()


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "eady to accept connections" in line:
            return
    pytest.fail("redis-server did not start:\n" + "".join(said))
