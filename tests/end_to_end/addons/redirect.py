"""Leads every connection to the original host to the stand-in on loopback (`tests/end_to_end/original.py`)."""

import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def server_connect(data: ServerConnectionHookData) -> None:
    address = data.server.address
    if address is not None and address[0].endswith("openai.com"):
        data.server.address = ("127.0.0.1", int(os.environ["ORIGINAL_PORT"]))
