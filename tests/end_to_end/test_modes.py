"""Ways to run the bridge: modes of mitmproxy, other folders, without a configuration file."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import SCRIPT, free_port
from tests.end_to_end.provider import PATIENCE_S, Provider


class ConnectProxy:
    """A proxy that knows CONNECT and nothing else, and remembers where it was asked to go."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.targets: list[str] = []

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(connection,), daemon=True).start()

    def _tunnel(self, near: socket.socket) -> None:
        with near:
            target = near.recv(65536).split()[1].decode()
            self.targets.append(target)
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as far:
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    for ready in select.select([near, far], [], [], PATIENCE_S)[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        (far if ready is near else near).sendall(data)


@contextmanager
def connect_proxy() -> Iterator[ConnectProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = ConnectProxy(listener)
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_through_an_upstream_proxy(start_bridge: StartBridge, provider: Provider) -> None:
    """The provider is called by way of the proxy; the original host is not asked for at all."""
    with connect_proxy() as proxy:
        bridge = start_bridge(args=["--mode", f"upstream:http://127.0.0.1:{proxy.port}"])

        assert bridge.respond("m").status_code == 200
        assert "event: response.completed" in bridge.respond("m", stream=True).text
        assert set(proxy.targets) == {f"127.0.0.1:{provider.server_port}"}


def test_a_relative_path_from_the_folder_of_the_sources(start_bridge: StartBridge) -> None:
    bridge = start_bridge(script=Path(os.path.relpath(SCRIPT, SCRIPT.parents[1])), cwd=SCRIPT.parents[1])

    assert bridge.respond("m").status_code == 200


def test_a_folder_with_files_of_awkward_names(start_bridge: StartBridge, tmp_path: Path) -> None:
    """What lies in the folder where mitmdump was started is not taken for a module."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "addon.py").write_text("raise RuntimeError('the wrong module')")
    (folder / "exchange.py").write_text("raise RuntimeError('the wrong module')")

    assert start_bridge(cwd=folder).respond("m").status_code == 200


def test_two_listeners(start_bridge: StartBridge) -> None:
    bridge = start_bridge(args=["--mode", f"regular@{free_port()}", "--mode", f"socks5@{free_port()}"])

    assert bridge.respond("m").status_code == 200


def test_no_file_at_all(start_bridge: StartBridge, provider: Provider, tmp_path: Path) -> None:
    """The environment is enough."""
    environment = {
        "BRIDGE_CONFIG": "",
        "BRIDGE_BASE_URL": provider.base_url,
        "BRIDGE_MODEL": "no-file",
        "BRIDGE_API_KEY": "k-1234567890",
    }
    bridge = start_bridge(env=environment, cwd=tmp_path)

    assert bridge.respond("m").status_code == 200
    assert provider.call("no-file").headers["authorization"] == "Bearer k-1234567890"


def test_options_instead_of_a_file(start_bridge: StartBridge, provider: Provider) -> None:
    options = ["--set", f"bridge_base_url={provider.base_url}", "--set", "bridge_model=by-option"]
    bridge = start_bridge("{}", args=options)

    assert bridge.respond("m").headers["x-bridge-target"].endswith("/by-option")


def test_clients_with_keys(start_bridge: StartBridge, provider: Provider) -> None:
    bridge = start_bridge(config_for(provider, clients="{keys: [sk-someone-else]}"))

    assert bridge.respond("m").status_code == 401


def test_it_listens_on_loopback_unless_told_otherwise(start_bridge: StartBridge) -> None:
    bridge = start_bridge(listen_host="", wait=False)

    bridge.logged("proxy listening at 127.0.0.1:")
    assert bridge.log.rindex("proxy listening at 127.0.0.1:") > bridge.log.find("proxy listening at *:")
