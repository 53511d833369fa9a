"""A provider that speaks HTTP/2 over TLS and nothing else. It answers at once, unless the model is one that hangs."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from tests.end_to_end.provider import DONE, PATIENCE_S, event, text_chunks

HANGS = "hangs"
"""Part of the name of a model whose stream begins, and does not end."""


@dataclass
class Http2Provider:
    """Listens on one port; all that happens is on record."""

    listener: socket.socket
    tls: ssl.SSLContext
    protocols: list[str | None] = field(default_factory=list)
    """What each connection has agreed upon."""
    resumed: list[bool | None] = field(default_factory=list)
    """Whether each connection took up an earlier TLS session."""
    models: list[str] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)
    """Models whose streams were taken back."""

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, raw: socket.socket) -> None:
        raw.settimeout(PATIENCE_S)
        with suppress(OSError), self.tls.wrap_socket(raw, server_side=True) as connection:
            self.protocols.append(connection.selected_alpn_protocol())
            self.resumed.append(connection.session_reused)
            if self.protocols[-1] == "h2":
                _Conversation(self, connection).hold()


class _Conversation:
    """One connection."""

    def __init__(self, provider: Http2Provider, connection: ssl.SSLSocket) -> None:
        self._provider = provider
        self._connection = connection
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._bodies: dict[int, bytes] = {}

    def hold(self) -> None:
        self._h2.initiate_connection()
        self._connection.sendall(self._h2.data_to_send())
        while data := self._connection.recv(65536):
            for each in self._h2.receive_data(data):
                self._take(each)
            self._connection.sendall(self._h2.data_to_send())

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.DataReceived(stream_id=int(stream)):
                self._bodies[stream] = self._bodies.get(stream, b"") + (event.data or b"")
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self._answer(stream)
            case h2.events.StreamReset(stream_id=int(stream)):
                self._provider.resets.append(self._model(stream))
            case _:
                pass

    def _model(self, stream: int) -> str:
        return str(json.loads(self._bodies[stream])["model"])

    def _answer(self, stream: int) -> None:
        model = self._model(stream)
        portions = [*map(event, text_chunks("Hel", "lo.")), DONE]
        self._h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        if HANGS in model:
            self._h2.send_data(stream, b"".join(portions[:2]))
        else:
            self._h2.send_data(stream, b"".join(portions), end_stream=True)
        self._provider.models.append(model)


@contextmanager
def serving_http2(certificate: Path) -> Iterator[Http2Provider]:
    """A provider while the block runs."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        provider = Http2Provider(listener, tls)
        thread = threading.Thread(target=provider.serve, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
