"""mitmdump (or mitmweb) as a process of its own, with the bridge in it, and how tests talk to it."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.end_to_end.provider import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "addon" / "bridge.py"
ADDONS = Path(__file__).parent / "addons"

OPENAI = "https://api.openai.com"
CLIENT_KEY = "sk-client-0123456789abcdef"
PROVIDER_KEY = "live_fedcba9876543210abcdef"

_CRASHES = re.compile(r"Traceback \(most recent call last\)|mitmproxy has crashed|Addon error|Task exception was never")
_LISTENING = re.compile(r"proxy(?: \([^)]*\))? listening at (\S+):(\d+)\.")

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str) -> T:
    """The first truth that `look` returns. The one place where tests wait for another process."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would configure the bridge or a client by accident."""
    unwanted = re.compile(
        r"BRIDGE_.*|.*_API_KEY|.*_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|OPENAI_.*|PYTHONPATH", re.I
    )
    kept = {name: value for name, value in os.environ.items() if not unwanted.fullmatch(name)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


@dataclass
class Bridge:
    """A running mitmproxy program. Made by the fixture `start_bridge`."""

    process: subprocess.Popen[bytes]
    folder: Path
    """Where it runs: its configuration (bridge.yaml) and its log are here."""
    ca: Path
    """The certificate that clients have to trust."""
    may_crash: bool = False
    """For tests of an addon that raises: tracebacks in the log are meant."""

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    @cached_property
    def address(self) -> tuple[str, int]:
        """Where it listens, as its log says."""

        def look() -> re.Match[str] | None:
            assert self.process.poll() is None, f"it has ended:\n{self.log}"
            return _LISTENING.search(self.log)

        found = eventually(look, "the proxy listens")
        return found[1], int(found[2])

    @property
    def url(self) -> str:
        """The proxy's URL, for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What an unmodified client needs in its environment, and a key of its own."""
        return {
            "HTTPS_PROXY": self.url,
            "https_proxy": self.url,
            "SSL_CERT_FILE": str(self.ca),
            "OPENAI_API_KEY": CLIENT_KEY,
        }

    def tls(self) -> ssl.SSLContext:
        """Trusts the proxy's CA alone."""
        return ssl.create_default_context(cafile=str(self.ca))

    def client(self, *, http2: bool = False, base_url: str = OPENAI) -> httpx.Client:
        """A plain HTTP client behind the proxy."""
        headers = {"authorization": f"Bearer {CLIENT_KEY}"}
        return httpx.Client(
            base_url=base_url,
            proxy=self.url,
            verify=self.tls(),
            trust_env=False,
            headers=headers,
            http2=http2,
            timeout=PATIENCE_S,
        )

    def respond(self, model: str, **body: object) -> httpx.Response:
        """One POST /v1/responses."""
        with self.client() as client:
            return client.post("/v1/responses", json={"model": model, "input": "Hi", **body})

    def configure(self, config: str) -> None:
        """Write bridge.yaml anew, all at once."""
        draft = self.folder / "bridge.yaml.new"
        draft.write_text(config, "utf-8")
        draft.replace(self.folder / "bridge.yaml")

    def open_files(self) -> list[str]:
        """What it has open, as Linux tells."""
        descriptors = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return [str(each.readlink()) for each in descriptors if each.is_symlink()]

    def open_sockets(self) -> int:
        return sum(name.startswith("socket:") for name in self.open_files())

    def logged(self, words: str) -> None:
        """Wait until the log says so."""
        eventually(lambda: words in self.log, f"the log says {words!r}")

    def stop(self) -> None:
        """End it as a user does, so that dumps are written."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def assert_sound(self) -> None:
        """Nothing has crashed in it."""
        crash = None if self.may_crash else _CRASHES.search(self.log)
        assert crash is None, "\n".join(line[:500] for line in self.log.splitlines())


def launch(
    folder: Path,
    confdir: Path,
    *,
    args: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    program: str = "mitmdump",
    script: Path = SCRIPT,
    addons: Iterable[str] = (),
    cwd: Path | None = None,
    listen_host: str = "127.0.0.1",
) -> Bridge:
    """Start a program of mitmproxy with the bridge; `addons` are names of scripts in `addons/`, loaded after it."""
    scripts = [script, *(ADDONS / f"{name}.py" for name in addons)]
    command = [
        str(Path(sys.executable).parent / program),
        *("--set", f"confdir={confdir}", "-p", "0"),
        *(("--listen-host", listen_host) if listen_host else ()),
        *(word for each in scripts for word in ("-s", str(each))),
        *args,
    ]
    environment = clean_environment(
        **{"HOME": str(folder), "BRIDGE_CONFIG": str(folder / "bridge.yaml"), **(env or {})}
    )
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=cwd or folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    return Bridge(process, folder, confdir / "mitmproxy-ca-cert.pem")


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def events_of(body: str) -> list[dict[str, Any]]:
    """The events of a Responses stream."""
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]
