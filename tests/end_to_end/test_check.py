"""`responses-bridge check` and `providers` as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.process import PROVIDER_KEY, ROOT, clean_environment
from tests.end_to_end.provider import Provider, calls_tools, completion, fails, says, sends_json

ABLE = (
    says("pong"),
    says("one, ", "two"),
    calls_tools(("call_1", "get_weather", '{"city": "Paris"}')),
    sends_json(completion("3", reasoning_content="r, r, r")),
    says("Yellow."),
    says('{"name": "Rome", "country": "Italy"}'),
)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a directory of its own, with nothing configured but what is there."""
    return subprocess.run(
        [sys.executable, "-m", "addon.cli", *arguments],
        cwd=folder,
        env=clean_environment(
            HOME=str(folder), PYTHONPATH=str(ROOT), BRIDGE_STATE_DIR=str(folder / "state"), **environment
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(provider: Provider, tmp_path: Path, model: str) -> Path:
    common = f"base_url: '{provider.base_url}', overrides: {{response_format: json_schema}}"
    (tmp_path / "bridge.yaml").write_text(
        f"providers: {{acme: {{{common}, api_key: '${{ACME_KEY}}'}}}}\nmodels: {{gpt: acme/{model}}}\n"
    )
    return tmp_path


def test_each_feature_is_tried_and_nothing_secret_is_shown(folder: Path, provider: Provider, model: str):
    provider.script(model, *ABLE)
    done = run(folder, "check", "--live", ACME_KEY=PROVIDER_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "key from $ACME_KEY" in done.stdout
    assert next(line for line in done.stdout.splitlines() if line.endswith("ok")).split()[-6:] == ["ok"] * 6
    assert PROVIDER_KEY not in done.stdout
    assert all(call.headers["authorization"] == f"Bearer {PROVIDER_KEY}" for call in provider.calls(model))


def test_a_lesson_lasts_until_it_is_forgotten(folder: Path, provider: Provider, model: str):
    refusal = fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", "unsupported_parameter")
    provider.script(model, refusal, *ABLE, *ABLE)
    first = run(folder, "check", "--live", ACME_KEY=PROVIDER_KEY)
    assert "ok after healing" in first.stdout
    again = run(folder, "check", "--live", ACME_KEY=PROVIDER_KEY)
    assert f"{model} at " in again.stdout
    assert "healing" not in again.stdout
    assert len(provider.calls(model)) == 13
    assert f"{model} at " not in run(folder, "check", "--forget", ACME_KEY=PROVIDER_KEY).stdout


def test_a_wrong_key_gives_status_1_and_names_its_variable(folder: Path, provider: Provider, model: str):
    provider.script(model, fails(401, f"Incorrect API key provided: {PROVIDER_KEY}"))
    done = run(folder, "check", "--live", "--json", ACME_KEY=PROVIDER_KEY)
    assert done.returncode == 1
    assert PROVIDER_KEY not in done.stdout
    (result,) = json.loads(done.stdout)["live"]
    assert result["features"][0]["fix"] == "The key comes from $ACME_KEY."
    assert len(provider.calls(model)) == 1


def test_a_mistake_in_the_file_is_told(folder: Path):
    (folder / "bridge.yaml").write_text("modles: {}\n")
    done = run(folder, "check")
    assert (done.returncode, done.stdout) == (1, "")
    assert "bridge.yaml: modles: " in done.stderr


def test_the_providers_are_listed(folder: Path):
    done = run(folder, "providers", DASHSCOPE_API_KEY=PROVIDER_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "DASHSCOPE_API_KEY*" in done.stdout
    assert PROVIDER_KEY not in done.stdout
