"""`responses-bridge run`: starts mitmproxy with the bridge and says how to point a client at it."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

from addon import __version__, demo
from addon.commands import CommandError
from addon.commands.authority import CA_NAME, write_ca_bundle
from addon.commands.configuration import MitmproxyOptions, loaded
from addon.config import Config
from addon.config.shortcut import keys_in

BRIDGE = Path(__file__).parents[1] / "bridge.py"
"""The script mitmproxy loads."""

DEFAULT_PORT = 8080
"""mitmproxy's own default."""


def add_options(parser: argparse.ArgumentParser) -> None:
    face = parser.add_mutually_exclusive_group()
    face.add_argument(
        "--web", dest="program", action="store_const", const="mitmweb", help="show the calls in a browser"
    )
    face.add_argument(
        "--tui", dest="program", action="store_const", const="mitmproxy", help="show them in the terminal"
    )
    parser.add_argument("--port", type=int, help=f"port the proxy listens on (default: {DEFAULT_PORT})")
    parser.set_defaults(program="mitmdump")


def run(options: argparse.Namespace, passed_on: list[str]) -> int:
    known = MitmproxyOptions.read(passed_on)
    port: int = options.port or known.port or DEFAULT_PORT
    program = _beside_python(options.program)
    if known.mode is None:
        _refuse_taken_port(port)
    bundle = write_ca_bundle(known.confdir)
    environment = dict(os.environ)
    config = configured(known.settings, environment)
    serves = "the configured provider"
    if config is None:
        base_url = _start_demo_provider()
        environment |= {"BRIDGE_BASE_URL": base_url, "BRIDGE_API_KEY": "none", "BRIDGE_MODEL": demo.MODEL}
        serves = f"the demo provider at {base_url}, since none is configured"
    key = "any" if config is None or config.clients.keys is None else "one-of-clients.keys"
    print(instructions(port, ca=known.confdir / CA_NAME, bundle=bundle, serves=serves, key=key), flush=True)
    listen = [] if known.port and not options.port else ["--listen-port", str(port)]
    if "listen_host" not in known.settings:
        listen += ["--listen-host", "127.0.0.1"]
    _become([program, "-s", str(BRIDGE), *passed_on, *listen], environment)


def _beside_python(program: str) -> str:
    """The program of the same installation as this package, whatever else PATH has to offer."""
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        raise CommandError(f"{program} was not found. Install mitmproxy beside {sys.executable}: pip install mitmproxy")
    return found


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} cannot be used ({error.strerror}). Choose another: --port") from error


def configured(settings: Mapping[str, str], environment: Mapping[str, str]) -> Config | None:
    """The configuration that the bridge will find; None if nothing names a provider, which is when the demo serves.

    Raises:
        CommandError: what names a provider does so wrongly, or names several. The bridge would refuse every call.
    """
    config = loaded(settings, environment)
    if config.models:
        return config
    if config.findings.source is not None or keys_in(environment):
        raise CommandError(config.findings.no_provider or "no provider is configured")
    return None


def _start_demo_provider() -> str:
    """Start it as a child that lives as long as this process, or the mitmproxy this process becomes.

    The child reads a pipe whose other end we hold, so it ends with us however we end. In a session of its own it does
    not hear Ctrl-C, which would make it fall silent before the bridge does.

    Returns:
        Its base URL.
    """
    root = str(BRIDGE.parents[1])
    child = subprocess.Popen(
        [sys.executable, "-m", "addon.cli", "demo-provider", "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))},
        start_new_session=True,
        text=True,
    )
    if child.stdin is None or child.stdout is None:
        raise AssertionError("both were asked for as pipes")
    os.set_inheritable(child.stdin.fileno(), True)
    base_url = child.stdout.readline().strip()
    if not base_url:
        raise CommandError("the demo provider did not start")
    return base_url


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Let mitmproxy take this process's place: signals, terminal and exit code are then its own."""
    if sys.platform == "win32":
        sys.exit(subprocess.call(command, env=environment))  # noqa: S603
    os.execve(command[0], command, environment)  # noqa: S606


def instructions(port: int, *, ca: Path, bundle: Path, serves: str, key: str = "any") -> str:
    """What a person pastes into another terminal. `key` is what the client presents as its OpenAI key."""
    proxy = f"HTTPS_PROXY=http://127.0.0.1:{port}"
    auth = "" if key == "any" else f"-H 'Authorization: Bearer {key}' "
    ca_path, bundle_path = shlex.quote(str(ca)), shlex.quote(str(bundle))
    return dedent(f"""\
        responses-bridge {__version__} serves {serves}.
        Calls to https://api.openai.com/v1/responses go there from every client that is started like this:

        # Python (openai SDK)
        {proxy} SSL_CERT_FILE={bundle_path} OPENAI_API_KEY={key} \\
          python -c 'from openai import OpenAI; print(OpenAI().responses.create(model="gpt-5", input="Hi").output_text)'

        # curl
        {proxy} curl --cacert {ca_path} https://api.openai.com/v1/responses \\
          {auth}-H 'Content-Type: application/json' -d '{{"model": "gpt-5", "input": "Hello", "stream": true}}'

        # Node 24 or newer
        {proxy} NODE_USE_ENV_PROXY=1 NODE_EXTRA_CA_CERTS={ca_path} OPENAI_API_KEY={key} node your-program.js

        # Codex CLI
        {proxy} CODEX_CA_CERTIFICATE={ca_path} CODEX_API_KEY={key} codex exec 'Say hello'

        Ctrl-C ends it.
        """)
