"""The list of built-in providers, and all that is known about one."""

import json
from pathlib import Path

import pytest

from addon import cli
from addon.commands.layout import WIDTH
from addon.commands.providers import MARKS, listing, portrait
from addon.providers.platforms import builtin_platforms

KEY = "sk-not-to-be-shown-0123456789"
PLATFORMS = list(builtin_platforms().values())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["providers", *arguments]) == 0
    return capsys.readouterr().out


def test_all_are_listed_with_url_and_variables(capsys: pytest.CaptureFixture[str]):
    shown = run(capsys)
    for platform in PLATFORMS:
        assert f"\n{platform.id} " in f"\n{shown}"
        assert platform.label in shown
        assert (platform.base_url or "") in shown
        assert all(name in shown for name in platform.env)


def test_variables_that_are_set_are_marked_and_not_shown():
    shown = listing(PLATFORMS, {"DASHSCOPE_API_KEY": KEY, "DEEPSEEK_API_KEY": " "})
    assert "DASHSCOPE_API_KEY*" in shown
    assert "DEEPSEEK_API_KEY*" not in shown
    assert KEY not in shown


def test_every_mark_of_evidence_is_explained():
    marks = {text.partition(":")[0] for platform in PLATFORMS for text in platform.evidence.split("; ") if ":" in text}
    assert marks <= MARKS.keys()
    shown = listing(PLATFORMS, {})
    assert all(f"{mark}: " in shown for mark in marks)


def test_the_list_fits_a_terminal():
    assert max(map(len, listing(PLATFORMS, {}).splitlines())) <= WIDTH


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.id)
def test_everything_that_is_stated_about_a_platform_is_shown(platform):
    shown = portrait(platform, {platform.env[0]: KEY} if platform.env else {})
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert KEY not in shown
    assert shown.count("evidence  ") == 1 + len(platform.rules)
    named = {name for fields in (platform.stated, *(rule.fields for rule in platform.rules)) for name in fields}
    for name in named - {"id", "label", "hosts", "base_url", "env"}:
        assert f"\n  {name} = " in shown


def test_one_platform_shows_which_variable_is_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("MOONSHOT_API_KEY", KEY)
    shown = run(capsys, "moonshot")
    assert "MOONSHOT_API_KEY (set)" in shown
    assert "For models kimi-*\n" in shown
    assert KEY not in shown


def test_programs_get_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("MOONSHOT_API_KEY", KEY)
    content = run(capsys, "--json")
    assert KEY not in content
    found = {entry["id"]: entry for entry in json.loads(content)}
    assert found.keys() == builtin_platforms().keys()
    assert found["moonshot"]["env"] == [{"name": "MOONSHOT_API_KEY", "set": True}]
    assert found["moonshot"]["native_responses"] == "yes"


def test_programs_get_all_of_one_platform(capsys: pytest.CaptureFixture[str]):
    found = json.loads(run(capsys, "moonshot", "--json"))
    platform = builtin_platforms()["moonshot"]
    assert found["fields"] == json.loads(json.dumps(dict(platform.stated)))
    assert [tuple(rule["match"]) for rule in found["models"]] == [rule.match for rule in platform.rules]


def test_a_misspelt_name_gets_a_suggestion(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["providers", "dashscop"]) == 1
    told = capsys.readouterr().err
    assert "there is no built-in provider dashscop. Did you mean dashscope?" in told


def test_a_profile_of_ones_own_is_shown_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "acme.toml"
    path.write_text('id = "acme"\nlabel = "Acme"\nevidence = "U"\nchecked = "2026-11"\nstop_max = 1\n')
    shown = run(capsys, str(path))
    assert shown.startswith("acme: Acme\n")
    assert "\n  stop_max = 1\n" in shown


def test_a_mistake_in_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "acme.toml"
    path.write_text('id = "acme"\nevidence = "U"\nchecked = "2026-11"\nstop_maximum = 1\n')
    assert cli.main(["providers", str(path)]) == 1
    assert f"{path}: unknown field 'stop_maximum' (did you mean 'stop_max'?)" in capsys.readouterr().err
