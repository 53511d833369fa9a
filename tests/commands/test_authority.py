"""The certificate authorities that a client has to trust."""

import ssl
from pathlib import Path

import pytest

from addon import cli
from addon.commands.authority import BUNDLE_NAME, write_ca_bundle


def test_ca_bundle_trusts_the_world_and_mitmproxy(confdir: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["ca-bundle", "--confdir", str(confdir)]) == 0
    bundle = capsys.readouterr().out.strip()
    assert bundle == str(confdir / "responses-bridge-ca-bundle.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    names = [
        dict(pair[0] for pair in certificate["subject"]).get("commonName") for certificate in context.get_ca_certs()
    ]
    assert "mitmproxy" in names
    assert len(names) > 50


def test_ca_bundle_does_not_grow_when_the_client_variable_is_set(confdir: Path, monkeypatch: pytest.MonkeyPatch):
    before = write_ca_bundle(confdir).read_bytes()
    monkeypatch.setenv("SSL_CERT_FILE", str(confdir / BUNDLE_NAME))
    assert len(write_ca_bundle(confdir).read_bytes()) <= len(before)


def test_a_ca_without_its_certificate_is_told(tmp_path: Path, confdir: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mitmproxy-ca.pem").write_bytes((confdir / "mitmproxy-ca.pem").read_bytes())
    assert cli.main(["ca-bundle", "--confdir", str(tmp_path)]) == 1
    assert "mitmproxy-ca-cert.pem is missing" in capsys.readouterr().err
