"""The command `responses-bridge`: starts mitmproxy with the bridge and says how to point a client at it."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import certifi

from addon import __version__, demo
from addon.config import Config, ConfigError, find_config, load_config
from addon.config.shortcut import keys_in

BRIDGE = Path(__file__).with_name("bridge.py")
"""The script mitmproxy loads."""

DEFAULT_PORT = 8080
DEFAULT_CONFDIR = "~/.mitmproxy"
"""mitmproxy's own defaults."""

BRIDGE_OPTIONS = ("bridge_config", "bridge_provider", "bridge_model", "bridge_base_url")
"""Options that the bridge adds to mitmproxy's, which takes a misspelt one without a word."""

CA_NAME = "mitmproxy-ca-cert.pem"
BUNDLE_NAME = "responses-bridge-ca-bundle.pem"


class CommandError(Exception):
    """The command cannot be carried out; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script. What comes after `--` is for mitmproxy."""
    own, passed_on = _split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own)
    command: Callable[[argparse.Namespace, list[str]], int] = options.command
    try:
        return command(options, passed_on)
    except CommandError as error:
        print(f"responses-bridge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cut at the first `--`; argparse versions differ in what they make of it."""
    if "--" not in arguments:
        return list(arguments), []
    at = list(arguments).index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="responses-bridge", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser(
        "run",
        help="start the bridge; with no provider configured, serve the embedded demo provider",
        usage="%(prog)s [-h] [--web | --tui] [--port PORT] [-- MITMPROXY_OPTION ...]",
    )
    face = run.add_mutually_exclusive_group()
    face.add_argument(
        "--web", dest="program", action="store_const", const="mitmweb", help="show the calls in a browser"
    )
    face.add_argument(
        "--tui", dest="program", action="store_const", const="mitmproxy", help="show them in the terminal"
    )
    run.add_argument("--port", type=int, help=f"port the proxy listens on (default: {DEFAULT_PORT})")
    run.set_defaults(command=_run, program="mitmdump")

    path = commands.add_parser("path", help='print the path of the addon: mitmdump -s "$(responses-bridge path)"')
    path.set_defaults(command=_path)

    bundle = commands.add_parser("ca-bundle", help="write a CA bundle for SSL_CERT_FILE and print its path")
    bundle.add_argument("--confdir", default=DEFAULT_CONFDIR, help="mitmproxy's directory (default: %(default)s)")
    bundle.set_defaults(command=_ca_bundle)

    provider = commands.add_parser("demo-provider", help="serve only the demo provider")
    provider.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    provider.add_argument("--api-key", help="the key callers must send (default: none is asked for)")
    provider.add_argument("--delay", type=float, default=30, help="milliseconds between two chunks (default: 30)")
    provider.add_argument("--until-stdin-closes", action="store_true", help="end when standard input ends")
    provider.set_defaults(command=_demo_provider)
    return parser


# --- run -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MitmproxyOptions:
    """What the bridge's command has to know of the options it passes on."""

    confdir: Path
    port: int | None
    mode: str | None
    settings: Mapping[str, str]
    """What `--set name=value` says."""

    @classmethod
    def read(cls, arguments: Sequence[str]) -> MitmproxyOptions:
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--set", action="append", default=[])
        parser.add_argument("-p", "--listen-port", type=int)
        parser.add_argument("--listen-host")
        parser.add_argument("-m", "--mode")
        known, _ = parser.parse_known_args(arguments)
        settings = {name: value for name, _, value in (setting.partition("=") for setting in known.set)}
        if known.listen_host:
            settings["listen_host"] = known.listen_host
        return cls(
            confdir=Path(settings.get("confdir", DEFAULT_CONFDIR)).expanduser(),
            port=known.listen_port,
            mode=known.mode,
            settings=settings,
        )


def _run(options: argparse.Namespace, passed_on: list[str]) -> int:
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
    misspelt = [name for name in settings if name.startswith("bridge_") and name not in BRIDGE_OPTIONS]
    if misspelt:
        raise CommandError(f"there is no option {misspelt[0]}. The bridge has: {', '.join(BRIDGE_OPTIONS)}")
    overrides = {
        name: settings[f"bridge_{name}"] for name in ("provider", "base_url", "model") if f"bridge_{name}" in settings
    }
    try:
        path = find_config(settings.get("bridge_config", ""), environment, Path.cwd(), Path.home())
        config = load_config(path, environment, overrides)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    if config.models:
        return config
    if path is not None or keys_in(environment):
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


# --- the certificate authority ---------------------------------------------------------------------------------------


def write_ca_bundle(confdir: Path) -> Path:
    """Write the CAs this machine trusts, certifi's and mitmproxy's own into one file.

    `SSL_CERT_FILE` replaces a client's whole trust store: with mitmproxy's CA alone in it, every host that the bridge
    does not intercept would fail.

    Returns:
        The bundle's path.
    """
    ca = _ensure_ca(confdir)
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    trusted.load_verify_locations(ca)
    bundle = confdir / BUNDLE_NAME
    unfinished = bundle.with_suffix(f".{os.getpid()}")
    unfinished.write_text("".join(map(ssl.DER_cert_to_PEM_cert, trusted.get_ca_certs(binary_form=True))))
    unfinished.replace(bundle)
    return bundle


def _ensure_ca(confdir: Path) -> Path:
    """mitmproxy's CA, which mitmproxy would otherwise make at its first start, too late for our bundle."""
    from mitmproxy import certs, options  # only here: every other command does without

    ca = confdir / CA_NAME
    if not ca.exists():
        certs.CertStore.from_store(confdir, options.CONF_BASENAME, options.KEY_SIZE)
    if not ca.exists():
        raise CommandError(f"{ca} is missing beside mitmproxy-ca.pem. Remove that file too: both are made anew.")
    return ca


# --- the other commands ----------------------------------------------------------------------------------------------


def _path(options: argparse.Namespace, passed_on: list[str]) -> int:
    print(BRIDGE)
    return 0


def _ca_bundle(options: argparse.Namespace, passed_on: list[str]) -> int:
    print(write_ca_bundle(Path(options.confdir).expanduser()))
    return 0


def _demo_provider(options: argparse.Namespace, passed_on: list[str]) -> int:
    demo.serve(
        options.port,
        api_key=options.api_key,
        delay=options.delay / 1000,
        until_stdin_closes=options.until_stdin_closes,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
