"""A stand-in for api.openai.com: whatever reaches it is on record, so that "nothing leaves" can be seen.

`addons/redirect.py` leads mitmproxy here whenever it turns to the original host.
"""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.end_to_end.provider import PATIENCE_S

ANSWER = b'{"from": "the original host"}'
_TLS_HANDSHAKE = b"\x16"


class Original:
    """Listens on one port for TLS and plain HTTP; answers each request, whatever it is, with `ANSWER`."""

    def __init__(self, listener: socket.socket, certificate: Path) -> None:
        self._listener = listener
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self.certificate = certificate
        self.port: int = listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        """Each request as it came."""

    @property
    def untouched(self) -> bool:
        """Nobody has even connected."""
        return self.connections == 0 and not self.requests

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        try:
            if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)
        except OSError:
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        said = b""
        while (missing := _missing(said)) > 0:
            portion = connection.recv(missing)
            if not portion:
                return
            said += portion
        self.requests.append(said)
        connection.sendall(head % len(ANSWER) + ANSWER)


def _missing(request: bytes) -> int:
    """How many more bytes of a request to wait for, at most; 0 when it is whole."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return 65536
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    return (int(length[1]) if length else 0) - len(body)


def _write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the original host")])
    names = x509.SubjectAlternativeName([x509.DNSName("api.openai.com"), x509.DNSName("localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))


@contextmanager
def standing_in(folder: Path) -> Iterator[Original]:
    """A stand-in while the block runs; its certificate is written to `folder`."""
    certificate = folder / "original.pem"
    if not certificate.exists():
        _write_certificate(certificate)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        original = Original(listener, certificate)
        thread = threading.Thread(target=original.serve, daemon=True)
        thread.start()
        try:
            yield original
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
