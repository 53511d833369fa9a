"""The command `responses-bridge`: starts the bridge, checks its configuration, lists the providers it knows."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from addon import __version__, demo
from addon.commands import CommandError, authority, check, providers, run, store

MITMPROXY_USAGE = "[-- MITMPROXY_OPTION ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script. What comes after `--` is for mitmproxy."""
    own, passed_on = _split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own)
    command: Callable[[argparse.Namespace, list[str]], int] = options.command
    try:
        status = command(options, passed_on)
        sys.stdout.flush()
        return status
    except CommandError as error:
        print(f"responses-bridge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has read enough; the flush at exit must not complain of it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


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

    command = commands.add_parser(
        "run",
        help="start the bridge; with no provider configured, serve the embedded demo provider",
        usage=f"%(prog)s [-h] [--web | --tui] [--port PORT] {MITMPROXY_USAGE}",
    )
    run.add_options(command)
    command.set_defaults(command=run.run)

    command = commands.add_parser(
        "check",
        help="look through the configuration; with --live, try out what each model can do",
        usage=f"%(prog)s [-h] [--live] [OPTION ...] {MITMPROXY_USAGE}",
        description=check.__doc__,
    )
    check.add_options(command)
    command.set_defaults(command=check.check)

    command = commands.add_parser(
        "providers", help="list the providers that are built in", description=providers.__doc__
    )
    providers.add_options(command)
    command.set_defaults(command=providers.providers)

    command = commands.add_parser(
        "store",
        help="list, show and delete stored responses; give space back",
        description=store.__doc__,
    )
    store.add_options(command)
    command.set_defaults(command=store.store)

    command = commands.add_parser("path", help='print the path of the addon: mitmdump -s "$(responses-bridge path)"')
    command.set_defaults(command=_path)

    command = commands.add_parser("ca-bundle", help="write a CA bundle for SSL_CERT_FILE and print its path")
    authority.add_options(command)
    command.set_defaults(command=authority.ca_bundle)

    command = commands.add_parser("demo-provider", help="serve only the demo provider")
    command.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    command.add_argument("--api-key", help="the key callers must send (default: none is asked for)")
    command.add_argument("--delay", type=float, default=30, help="milliseconds between two chunks (default: 30)")
    command.add_argument("--until-stdin-closes", action="store_true", help="end when standard input ends")
    command.set_defaults(command=_demo_provider)
    return parser


def _path(options: argparse.Namespace, passed_on: list[str]) -> int:
    print(run.BRIDGE)
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
