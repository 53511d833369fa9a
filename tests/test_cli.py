"""The command `responses-bridge`: what is common to its commands."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from addon import __version__, cli
from addon.commands import CommandError, providers

ROOT = Path(__file__).parents[1]


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"responses-bridge {__version__}\n"


def test_path_is_the_addon(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["path"]) == 0
    assert capsys.readouterr().out == f"{ROOT / 'addon' / 'bridge.py'}\n"


@pytest.mark.parametrize("command", ["run", "check", "providers", "path", "ca-bundle", "demo-provider"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    assert f"usage: responses-bridge {command}" in capsys.readouterr().out


def test_what_cannot_be_done_is_told_with_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def refuse(options: argparse.Namespace, passed_on: list[str]) -> int:
        raise CommandError("no. Do that.")

    monkeypatch.setattr(providers, "providers", refuse)
    assert cli.main(["providers"]) == 1
    assert capsys.readouterr().err == "responses-bridge: no. Do that.\n"


def test_ctrl_c_is_no_crash(monkeypatch: pytest.MonkeyPatch):
    def interrupted(options: argparse.Namespace, passed_on: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(providers, "providers", interrupted)
    assert cli.main(["providers"]) == 130


def test_what_comes_behind_two_dashes_is_passed_on(monkeypatch: pytest.MonkeyPatch):
    heard: list[str] = []

    def listen(options: argparse.Namespace, passed_on: list[str]) -> int:
        heard.extend(passed_on)
        return 0

    monkeypatch.setattr(providers, "providers", listen)
    assert cli.main(["providers", "vllm", "--", "--set", "a=b", "--", "c"]) == 0
    assert heard == ["--set", "a=b", "--", "c"]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "addon.cli", "providers"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
