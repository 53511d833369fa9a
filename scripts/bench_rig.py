"""What the benchmark is made of: a provider, a client, and a mitmdump between them. All of it on loopback.

Provider and client share one event loop and keep step: the provider writes a portion of its answer when the client has
read the one before. So each portion is one read of the proxy's, as it is with a model that thinks between two tokens,
and no time is spent waiting.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitmproxy import certs, options

ROOT = Path(__file__).resolve().parent.parent
HOST = "api.openai.com"

SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Provider:
    """Answers as it is told to: with chat/completions, or with what the bridge makes of them for the bare proxy."""

    def __init__(self) -> None:
        self.chat: Sequence[bytes] = ()
        """The portions of the answer to /v1/chat/completions."""
        self.responses: Sequence[bytes] = ()
        """The portions of the answer to /v1/responses."""
        self.step = asyncio.Event()
        """Set by the client when it has read a portion."""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=4 * 1024 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_content_length(head))
                await self._answer(self.chat if b"/chat/completions " in head else self.responses, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()  # the proxy has gone, or the benchmark is over

    async def _answer(self, portions: Sequence[bytes], writer: asyncio.StreamWriter) -> None:
        head = SSE_HEAD
        for number, portion in enumerate(portions, 1):
            self.step.clear()
            end = LAST_CHUNK if number == len(portions) else b""
            writer.write(b"%s%x\r\n%s\r\n%s" % (head, len(portion), portion, end))
            head = b""
            if number < len(portions):
                await self.step.wait()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


class Client:
    """One TLS connection to the API's host through a proxy, as any client behind HTTPS_PROXY makes it."""

    def __init__(self, proxy: Proxy, provider: Provider) -> None:
        self._proxy = proxy
        self._provider = provider

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._proxy.port)
        self._writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise RuntimeError(f"the proxy refused the connection: {head!r}")
        await self._writer.start_tls(self._proxy.trust, server_hostname=HOST)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.close()

    async def call(self, body: bytes) -> Heard:
        """POST /v1/responses; reads the answer to its end."""
        fields = f"host: {HOST}\r\nauthorization: Bearer any\r\ncontent-type: application/json\r\n"
        began = time.perf_counter()
        self._writer.write(
            f"POST /v1/responses HTTP/1.1\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or b"transfer-encoding: chunked" not in head.lower():
            raise RuntimeError(f"this is not the stream that was asked for: {head!r}")
        portions = []
        first = 0.0
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            portions.append((await self._reader.readexactly(size + 2))[:-2])
            first = first or time.perf_counter() - began
            self._provider.step.set()
        await self._reader.readexactly(2)
        return Heard(portions, first)


@dataclass(frozen=True)
class Heard:
    """An answer as it came."""

    portions: list[bytes]
    first_s: float
    """Seconds from the first byte of the call to the first event."""


class Proxy:
    """A mitmdump process."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        self.name = name
        self.port = _free_port()
        self._home = home
        self._log = home / f"{name}-{self.port}.log"
        confdir = home / "confdir"
        certs.CertStore.from_store(confdir, options.CONF_BASENAME, options.KEY_SIZE)
        self.trust = ssl.create_default_context(cafile=str(confdir / "mitmproxy-ca-cert.pem"))
        command = [sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()", *arguments]
        command += ["--listen-host", "127.0.0.1", "--listen-port", str(self.port), "--set", f"confdir={confdir}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(home), **environment},
            )

    async def is_up(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + 60
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()}") from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far. The kernel's clock of a process is finer than the ticks in /proc."""
        clock = (~self._process.pid << 3) | 2  # clock_getcpuclockid(3) in Linux
        return time.clock_gettime(clock)

    def peak_mb(self) -> float:
        """The most memory it has had (resident) so far."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("/proc does not tell the peak memory of a process")

    def memory_mb(self) -> float:
        """The memory that it has now (resident)."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def files(self) -> int:
        """How many files, sockets among them, it has open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def log(self) -> str:
        """All that it has printed."""
        return self._log.read_text("utf-8", "replace")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def bare(provider: Provider, home: Path) -> Proxy:
    """mitmdump without the bridge."""
    settings = ["connection_strategy=lazy", "upstream_cert=false", f"bench_provider_port={provider.port}"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    return Proxy("mitmdump", ["-s", str(ROOT / "scripts" / "bench_bare.py"), *arguments], {}, home)


def bridge(provider: Provider, home: Path) -> Proxy:
    """mitmdump with the bridge."""
    environment = {
        "BRIDGE_BASE_URL": f"http://127.0.0.1:{provider.port}/v1",
        "BRIDGE_API_KEY": "any",
        "BRIDGE_MODEL": "bench",
    }
    return Proxy("bridge", ["-s", str(ROOT / "addon" / "bridge.py")], environment, home)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
