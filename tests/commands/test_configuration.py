"""What is read of the options for mitmproxy, and the configuration that they lead to."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from addon.commands import CommandError
from addon.commands.configuration import MitmproxyOptions, loaded


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], ("~/.mitmproxy", None, None), id="nothing"),
        pytest.param(["--set", "confdir=/a b"], ("/a b", None, None), id="confdir"),
        pytest.param(["--set=confdir=/a", "--set", "confdir=/b=c"], ("/b=c", None, None), id="last confdir counts"),
        pytest.param(["-p", "9", "-w", "flows"], ("~/.mitmproxy", 9, None), id="short port"),
        pytest.param(["--listen-port", "9", "--mode", "local"], ("~/.mitmproxy", 9, "local"), id="mode"),
    ],
)
def test_options_passed_on_are_read(arguments: Sequence[str], expected: tuple[str, int | None, str | None]):
    known = MitmproxyOptions.read(arguments)
    assert (known.confdir, known.port, known.mode) == (Path(expected[0]).expanduser(), *expected[1:])


def test_options_of_the_bridge_are_heeded(nothing_configured: Path):
    (nothing_configured / "work.yaml").write_text("providers: {ollama: {}}\n")
    config = loaded({"bridge_config": "work.yaml", "bridge_model": "qwen3"}, {})
    assert config.findings.source == nothing_configured / "work.yaml"
    assert config.models["*"].targets[0].target == "ollama/qwen3"


@pytest.mark.usefixtures("nothing_configured")
def test_a_misspelt_option_is_told():
    with pytest.raises(CommandError, match="there is no option bridge_modle"):
        loaded({"bridge_modle": "x"}, {})
