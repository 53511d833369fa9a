"""`responses-bridge run` up to the point where mitmproxy takes over, and the demo provider that it starts."""

import itertools
import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

from addon import cli
from addon.commands import CommandError, run

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("settings", "environment", "configured"),
    [
        pytest.param({}, {}, False, id="nothing"),
        pytest.param({}, {"OPENAI_API_KEY": "k"}, False, id="the client's own key"),
        pytest.param({}, {"DEEPSEEK_API_KEY": "k"}, True, id="a provider's key"),
        pytest.param({}, {"BRIDGE_BASE_URL": "http://127.0.0.1:1/v1"}, True, id="an endpoint"),
        pytest.param({"bridge_provider": "ollama"}, {}, True, id="an option"),
    ],
)
@pytest.mark.usefixtures("nothing_configured")
def test_the_demo_serves_when_nothing_names_a_provider(
    settings: dict[str, str], environment: dict[str, str], configured: bool
):
    assert (run.configured(settings, environment) is not None) == configured


@pytest.mark.parametrize(
    ("settings", "environment", "told"),
    [
        pytest.param({}, {"DEEPSEEK_API_KEY": "k", "DASHSCOPE_API_KEY": "k"}, "BRIDGE_PROVIDER", id="several keys"),
        pytest.param({}, {"BRIDGE_PROVIDER": "no-such"}, "no-such", id="a mistake in the environment"),
        pytest.param({"bridge_config": "no-such.yaml"}, {}, "no-such.yaml", id="a file that is not there"),
        pytest.param({"bridge_modle": "x"}, {}, "bridge_modle", id="a misspelt option"),
    ],
)
@pytest.mark.usefixtures("nothing_configured")
def test_a_faulty_configuration_is_told_before_anything_starts(
    settings: dict[str, str], environment: dict[str, str], told: str
):
    with pytest.raises(CommandError, match=told):
        run.configured(settings, environment)


def test_a_faulty_file_is_told(nothing_configured: Path):
    (nothing_configured / "bridge.yaml").write_text("not: [even valid")
    with pytest.raises(CommandError, match=r"bridge\.yaml"):
        run.configured({}, {})


def test_a_key_that_callers_need_is_in_the_instructions():
    text = run.instructions(9000, ca=Path("/ca.pem"), bundle=Path("/b.pem"), serves="x", key="team-key")
    assert "OPENAI_API_KEY=team-key" in text
    assert "CODEX_API_KEY=team-key" in text
    assert "-H 'Authorization: Bearer team-key'" in text


def test_instructions_can_be_pasted():
    text = run.instructions(9000, ca=Path("/a b/ca.pem"), bundle=Path("/a b/bundle.pem"), serves="x")
    commands = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("HTTPS_PROXY")]
    words = [shlex.split(command) for command in commands]
    assert all(command[0] == "HTTPS_PROXY=http://127.0.0.1:9000" for command in words)
    assert [next(word for word in command if "/a b/" in word) for command in words] == [
        "SSL_CERT_FILE=/a b/bundle.pem",
        "/a b/ca.pem",
        "NODE_EXTRA_CA_CERTS=/a b/ca.pem",
        "CODEX_CA_CERTIFICATE=/a b/ca.pem",
    ]
    python, curl = words[0], words[1]
    compile(python[-1], "pasted", "exec")
    assert json.loads(curl[-1])["model"] == "gpt-5"


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.main(["run", "--port", str(taken.getsockname()[1])]) == 1
    assert "--port" in capsys.readouterr().err


# --- run itself ------------------------------------------------------------------------------------------------------

MITMDUMP = """\
#!/bin/sh
# Stands in for mitmdump: tells what it was given, serves until its input ends, and leaves with a code of its own.
printf '%s\\n' "args=$*" "url=$BRIDGE_BASE_URL" "key=$BRIDGE_API_KEY" "model=$BRIDGE_MODEL" ready
cat >/dev/null
exit 7
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """This Python under another path, with a stand-in for mitmdump beside it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "mitmdump").write_text(MITMDUMP)
    (directory / "mitmdump").chmod(0o755)
    (directory / "python").symlink_to(sys.executable)
    return directory / "python"


def start(python: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-m", "addon.cli", *arguments],
        cwd=python.parent,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(python.parent),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        }
        | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = list(itertools.takewhile(lambda line: line != "ready", (line.rstrip("\n") for line in process.stdout)))
    assert process.poll() is None, lines
    return lines


def get_models(base_url: str) -> object:
    with urllib.request.urlopen(f"{base_url}/models", timeout=5) as response:
        return json.load(response)


def wait_until_gone(base_url: str) -> None:
    """Wait for the server's end, which is seen by its connection being closed."""
    address = base_url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.socket() as connection:
        connection.settimeout(10)
        if connection.connect_ex((address[0], int(address[1]))) == 0:
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                return


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_run_serves_the_demo_provider_as_long_as_mitmdump_lives(python: Path, confdir: Path):
    port = free_port()
    with start(python, "run", "--port", str(port), "--", "--set", f"confdir={confdir}", "-q") as process:
        *_, args, url, key, model = lines_until_ready(process)
        base_url = url.removeprefix("url=")
        script, listen = ROOT / "addon" / "bridge.py", f"--listen-port {port} --listen-host 127.0.0.1"
        assert args == f"args=-s {script} --set confdir={confdir} -q {listen}"
        assert (key, model) == ("key=none", "model=demo")
        assert get_models(base_url)
        process.communicate()
    assert process.returncode == 7
    wait_until_gone(base_url)
    with pytest.raises(URLError):
        get_models(base_url)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_run_leaves_a_configured_provider_alone(python: Path, confdir: Path):
    with start(
        python, "run", "--", "--set", f"confdir={confdir}", "-p", str(free_port()), DEEPSEEK_API_KEY="k"
    ) as process:
        lines = lines_until_ready(process)
        process.communicate()
    assert "responses-bridge" in lines[0]
    assert "the configured provider" in lines[0]
    assert lines[-3:] == ["url=", "key=", "model="]


def test_the_demo_provider_ends_with_its_standard_input(tmp_path: Path):
    with start(Path(sys.executable), "demo-provider", "--until-stdin-closes") as process:
        assert process.stdout is not None
        assert get_models(process.stdout.readline().strip())
        process.communicate()
    assert process.returncode == 0
