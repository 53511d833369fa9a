"""`responses-bridge ca-bundle`: one file with every certificate authority that a client of the bridge has to trust."""

from __future__ import annotations

import argparse
import os
import ssl
from pathlib import Path

import certifi

from addon.commands import CommandError
from addon.commands.configuration import DEFAULT_CONFDIR

CA_NAME = "mitmproxy-ca-cert.pem"
BUNDLE_NAME = "responses-bridge-ca-bundle.pem"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confdir", default=DEFAULT_CONFDIR, help="mitmproxy's directory (default: %(default)s)")


def ca_bundle(options: argparse.Namespace, passed_on: list[str]) -> int:
    print(write_ca_bundle(Path(options.confdir).expanduser()))
    return 0


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
