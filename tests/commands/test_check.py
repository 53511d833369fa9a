"""`responses-bridge check` as a whole, against a provider on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon import cli
from addon.commands.layout import WIDTH
from addon.state import stores_in
from addon.store.records import Limits
from tests.end_to_end.original import standing_in
from tests.end_to_end.provider import Provider, fails, says, serving
from tests.store.redis_server import redis_server

KEY = "live-0123456789abcdef"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def folder(nothing_configured: Path, provider: Provider) -> Path:
    """A working directory with a configuration in it."""
    (nothing_configured / "bridge.yaml").write_text(
        f"providers: {{acme: {{base_url: '{provider.base_url}', api_key: {KEY}}}}}\n"
        "models: {fast: acme/mini, '*': 'acme/{model}'}\n"
    )
    return nothing_configured


def test_a_configuration_in_order(folder: Path, provider: Provider, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Configuration: {folder / 'bridge.yaml'}\n")
    assert f"acme  {provider.base_url}\n" in shown
    assert "key from the configuration itself" in shown
    assert f"{provider.base_url}/chat/completions" in shown
    assert shown.endswith("The configuration is in order.\n")
    assert KEY not in shown
    assert not provider.calls()


@pytest.mark.parametrize("arguments", [["--config", "work.yaml"], ["--", "--set", "bridge_config=work.yaml"]])
def test_another_file_is_named_as_for_run(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]):
    (folder / "work.yaml").write_text("providers: {ollama: {}}\n")
    assert cli.main(["check", *arguments]) == 0
    assert f"Configuration: {folder / 'work.yaml'}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("providers: {deepsek: {}}", "bridge.yaml: providers.deepsek.base_url: ", id="a wrong name"),
        pytest.param("provider: {}", "bridge.yaml: provider: ", id="an unknown key"),
        pytest.param(
            "providers: {deepseek: {}}\nallowed_remotes: [example.com]",
            "bridge.yaml: providers.deepseek.base_url: the host api.deepseek.com is not in allowed_remotes. Add it",
            id="a host that is not allowed",
        ),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(
    content: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "bridge.yaml").write_text(content)
    assert cli.main(["check"]) == 1
    assert told in capsys.readouterr().err


def test_what_is_not_in_order_gives_status_1(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "bridge.yaml").write_text("providers: {deepseek: {}}\n")
    assert cli.main(["check"]) == 1
    shown = capsys.readouterr().out
    assert "\nWarnings\n" in shown
    assert "\nProblems\n" in shown
    assert "NO KEY: the environment variable DEEPSEEK_API_KEY is not set" in shown
    assert "is in order" not in shown
    assert max(map(len, shown.splitlines())) <= WIDTH


@pytest.mark.usefixtures("nothing_configured")
def test_nothing_configured_is_told(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check"]) == 1
    assert "No provider is configured." in capsys.readouterr().out


def test_the_environment_alone_may_configure(
    nothing_configured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    assert cli.main(["check"]) == 0
    shown = capsys.readouterr().out
    assert "Configuration: the environment; there is no file" in shown
    assert "key from $DEEPSEEK_API_KEY" in shown
    assert KEY not in shown


def test_programs_get_json(folder: Path, provider: Provider, capsys: pytest.CaptureFixture[str]):
    provider.script("json", says("pong"))
    assert cli.main(["check", "--live", "--target", "acme/json", "--json"]) == 0
    content = capsys.readouterr().out
    assert KEY not in content
    found = json.loads(content)
    assert found["source"] == str(folder / "bridge.yaml")
    assert [route["pattern"] for route in found["routes"]] == ["fast", "*"]
    assert (found["warnings"], found["problems"]) == ([], [])
    (result,) = found["live"]
    assert (result["target"], result["works"]) == ("acme/json", True)
    assert [each["verdict"] for each in result["features"][:3]] == ["ok", "ok", "not supported"]


@pytest.mark.usefixtures("folder")
def test_trying_out(provider: Provider, capsys: pytest.CaptureFixture[str]):
    provider.script("mini", says("pong"))
    assert cli.main(["check", "--live"]) == 0
    shown = capsys.readouterr().out
    assert "acme/{model} is not tried" in shown
    assert "1 model: 6 calls each" in shown
    assert "acme/mini" in shown
    assert "Tokens used, as far as the providers told: 42 read, 18 written." in shown
    assert max(map(len, shown.splitlines())) <= WIDTH


@pytest.mark.usefixtures("folder")
def test_a_model_that_does_not_answer_gives_status_1_and_the_remedy(
    provider: Provider, capsys: pytest.CaptureFixture[str]
):
    provider.script("mini", fails(401, f"the key {KEY} is wrong"))
    assert cli.main(["check", "--live"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "-> The key comes from the configuration itself." in shown
    assert KEY not in shown


@pytest.mark.usefixtures("folder")
def test_what_was_learned_is_shown_until_it_is_forgotten(provider: Provider, capsys: pytest.CaptureFixture[str]):
    refusal = fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", "unsupported_parameter")
    provider.script("mini", refusal, says("pong"))
    assert cli.main(["check", "--live"]) == 0
    assert "Learned" not in capsys.readouterr().out.split("Trying out")[0]
    assert cli.main(["check"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"- mini at {provider.base_url.removeprefix('http://')}" in shown
    assert "max_tokens_field; until 20" in shown
    assert cli.main(["check", "--json"]) == 0
    (lesson,) = json.loads(capsys.readouterr().out)["learned"]
    assert lesson["model"] == "mini"
    assert lesson["overrides"]["max_tokens_field"] == "max_completion_tokens"
    assert cli.main(["check", "--forget"]) == 0
    assert "Learned" not in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_authorities_are_those_that_the_bridge_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with standing_in(tmp_path) as server:
        (tmp_path / "bridge.yaml").write_text(
            f"providers: {{own: {{base_url: 'https://localhost:{server.port}/v1', api_key: none}}}}\n"
        )
        trust = f"ssl_verify_upstream_trusted_ca={server.certificate}"
        assert cli.main(["check", "--live", "--target", "own/x"]) == 1
        assert server.requests == []
        assert "ssl_verify_upstream_trusted_ca" in capsys.readouterr().out
        cli.main(["check", "--live", "--target", "own/x", "--", "--set", trust])
        assert server.requests


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--target", "acme/x"], "add --live", id="target without live"),
        pytest.param(["--model", "x"], "add --live", id="model without live"),
        pytest.param(["--live", "--target", "nobody/x"], "no provider nobody", id="no such provider"),
        pytest.param(
            ["--live", "--", "--set", "ssl_verify_upstream_trusted_ca=gone.pem"],
            "ssl_verify_upstream_trusted_ca: gone.pem cannot be read as certificates (No such file or directory)",
            id="no such authorities",
        ),
    ],
)
def test_what_cannot_be_done_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check", *arguments]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--limit", "x"], ["--timeout", "-1"], ["--timeout", "inf"]])
def test_numbers_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["check", *arguments])
    assert f"{arguments[1]} is not a number of" in capsys.readouterr().err


# --- bridges on several machines


def test_what_is_forgotten_is_forgotten_by_all_bridges(folder: Path):
    with redis_server() as url, (folder / "bridge.yaml").open("a") as file:
        file.write(f"store: '{url}'\n")
        file.flush()
        store = stores_in(folder)(url, Limits())
        assert store is not None
        store.values.put("learned", "all", b'{"forgotten": 0, "lessons": [{"what": "temperature"}]}', 60)
        assert cli.main(["check", "--forget"]) == 0
        written = json.loads(store.values.get("learned", "all") or b"")
        store.close()
    assert written["lessons"] == []
    assert written["forgotten"] > 1_700_000_000


def test_bridges_that_cannot_be_told_to_forget(folder: Path, capsys: pytest.CaptureFixture[str]):
    with (folder / "bridge.yaml").open("a") as file:
        file.write(f"store: unix://{folder}/nothing.sock\n")
    assert cli.main(["check", "--forget"]) == 1
    assert "Other bridges could not be told to forget. redis unix:" in capsys.readouterr().err
