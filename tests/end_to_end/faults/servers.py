"""Servers that fail in ways of their own, each on all of loopback: to the bridge 127.1.0.1 and 127.1.0.2 are two.

What a bridge learns of one server (that it fails, and is left alone for a while) then holds for one test alone.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tests.end_to_end.original import standing_in
from tests.end_to_end.provider import Provider, serving

EVERYWHERE = "0.0.0.0"

Place: TypeAlias = Literal[
    "provider", "closing", "tls to plain", "untrusted", "silent tls", "full", "closed", "unknown"
]


class LoopbackProvider(Provider):
    """A scripted provider that answers under every address of loopback, and nobody else."""

    def __init__(self) -> None:
        super().__init__(EVERYWHERE)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return ipaddress.ip_address(client_address[0]).is_loopback


class ClosingServer(LoopbackProvider):
    """Takes a connection and closes it at once."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return False


class UntrustedProvider(LoopbackProvider):
    """Speaks TLS, with a certificate that nobody has signed."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


@dataclass(frozen=True)
class Servers:
    """Where everything is."""

    provider: Provider
    """Does as its script says."""
    well: Provider
    """Says "Hello."."""
    closing: Provider
    untrusted: Provider
    silent: int
    """The port of a server that takes connections and says nothing."""
    full: int
    """The port of one whose queue of connections is full: nobody gets an answer, not even a refusal."""
    closed: int
    """A port where nobody listens."""

    def base_url(self, place: Place, number: int) -> str:
        """A URL that stands for a server of its own, for each number."""
        host = f"127.1.{number // 250}.{number % 250 + 1}"
        match place:
            case "provider":
                return f"http://{host}:{self.provider.server_port}/v1"
            case "closing":
                return f"http://{host}:{self.closing.server_port}/v1"
            case "tls to plain":
                return f"https://{host}:{self.provider.server_port}/v1"
            case "untrusted":
                return f"https://{host}:{self.untrusted.server_port}/v1"
            case "silent tls":
                return f"https://{host}:{self.silent}/v1"
            case "full":
                return f"http://{host}:{self.full}/v1"
            case "closed":
                return f"http://{host}:{self.closed}/v1"
            case "unknown":
                return f"http://nowhere-{number}.invalid/v1"

    @property
    def open_connections(self) -> int:
        providers = (self.provider, self.well, self.closing, self.untrusted)
        return sum(provider.open_connections for provider in providers)


@contextmanager
def all_servers(folder: Path) -> Iterator[Servers]:
    """The servers while the block runs. `folder` has, or gets, a certificate for the untrusted one."""
    with ExitStack() as stack:
        certificate = stack.enter_context(standing_in(folder)).certificate
        yield Servers(
            provider=stack.enter_context(serving(LoopbackProvider())),
            well=stack.enter_context(serving()),
            closing=stack.enter_context(serving(ClosingServer())),
            untrusted=stack.enter_context(serving(UntrustedProvider(certificate))),
            silent=_port_of(stack.enter_context(socket.create_server((EVERYWHERE, 0), backlog=64))),
            full=_full(stack),
            closed=_bound(stack),
        )


def _full(stack: ExitStack) -> int:
    """Linux lets one connection wait where the backlog is 0; all others wait to be let wait."""
    listener = stack.enter_context(socket.create_server((EVERYWHERE, 0), backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(("127.0.0.1", _port_of(listener)))
    return _port_of(listener)


def _bound(stack: ExitStack) -> int:
    reserved = stack.enter_context(socket.socket())
    reserved.bind((EVERYWHERE, 0))
    return _port_of(reserved)


def _port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
