"""Which targets are tried out, and how the results are shown."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from addon.commands import CommandError
from addon.commands.layout import WIDTH
from addon.commands.live import Result, announcement, explanations, legend, select, spent, tried
from addon.config import Config, ModelTarget, load_config
from addon.live_check import Finding, LiveCheck, Verdict
from addon.probes import FEATURES

CONFIG = """
providers: {box: {base_url: "http://127.0.0.1:1/v1"}, other: {base_url: "http://127.0.0.1:2/v1"}}
models:
  alias: box/fixed
  again: box/fixed
  "gpt-*": [box/first, "other/{model}"]
  "*": "box/{model}"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    return load_config(path, {})


def names(targets: Sequence[ModelTarget]) -> list[str]:
    return [target.target for target in targets]


def test_all_targets_whose_model_is_known_each_once(config: Config):
    selection = select(config, [], None, 10)
    assert names(selection.targets) == ["box/fixed", "box/first"]
    assert [remark.partition(" ")[0] for remark in selection.remarks] == ["other/{model}", "box/{model}"]
    assert "--model NAME, or --target other/NAME" in selection.remarks[0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param("gpt-5", ["box/fixed", "box/first", "other/gpt-5"], id="first match"),
        pytest.param("qwen", ["box/fixed", "box/first", "box/qwen"], id="anything else"),
        pytest.param("alias", ["box/fixed", "box/first"], id="nothing to fill"),
    ],
)
def test_a_model_fills_the_targets_that_it_leads_to(config: Config, model: str, expected: list[str]):
    selection = select(config, [], model, 10)
    assert names(selection.targets) == expected
    assert not selection.remarks


def test_targets_may_be_named_whether_they_are_configured_or_not(config: Config):
    assert names(select(config, ["box/new", "other/a/b", "box/new"], None, 1).targets) == ["box/new", "other/a/b"]


def test_more_targets_than_the_limit_are_told(config: Config):
    selection = select(config, [], "gpt-5", 2)
    assert names(selection.targets) == ["box/fixed", "box/first"]
    assert "3 targets are configured; these are the first 2. More: --limit 3" in selection.remarks[0]


@pytest.mark.parametrize(
    ("wanted", "model", "told"),
    [
        pytest.param(["box"], None, "write provider/model, such as box/MODEL", id="no model"),
        pytest.param(["bix/x"], None, "no provider bix. Did you mean box?", id="no such provider"),
    ],
)
def test_a_target_that_leads_nowhere_is_told(config: Config, wanted: list[str], model: str | None, told: str):
    with pytest.raises(CommandError, match=told):
        select(config, wanted, model, 10)


def test_a_model_that_no_entry_serves_is_told(config: Config):
    narrow = config.model_copy(update={"models": {"a": config.models["alias"]}})
    with pytest.raises(CommandError, match=r"--model b: no entry of models serves that name\. There are: a"):
        select(narrow, [], "b", 10)


def test_nothing_to_try_is_told(config: Config):
    general = config.model_copy(update={"models": {"*": config.models["*"]}})
    with pytest.raises(CommandError, match=r"there is no model to be tried\. .*--model NAME"):
        select(general, [], None, 10)


def test_costs_are_announced_before():
    text = " ".join(announcement([ModelTarget(target="box/a"), ModelTarget(target="box/b")]))
    assert "2 models: 6 calls each, 12 in all, about 1,600 tokens together" in text


FINDINGS = (
    Finding("text", Verdict.HEALED, "max_tokens: renamed", input_tokens=1000, output_tokens=1),
    Finding("stream", Verdict.OK, input_tokens=500, output_tokens=2),
    Finding("tool", Verdict.OK),
    Finding("thinking", Verdict.UNSUPPORTED, "nothing came"),
    Finding("image", Verdict.FAILED, "The provider box refused the request: " + "no " * 60, "Do without."),
    Finding("schema", Verdict.SKIPPED),
)


class Found(LiveCheck):
    """Finds the same everywhere."""

    def __init__(self) -> None:
        """It calls nobody."""

    def findings(self, target: ModelTarget) -> Iterator[Finding]:
        yield from FINDINGS


def test_the_table():
    written: list[str] = []
    long = "box/a-model-whose-name-is-longer-than-the-column"
    results = tried(Found(), [ModelTarget(target="box/a"), ModelTarget(target=long)], written.append)
    lines = "".join(written).splitlines()
    assert lines[0].split() == [feature.name for feature in FEATURES]
    assert lines[1].split() == ["box/a", "healed", "ok", "ok", "no", "FAILED", "-"]
    assert lines[2] == long
    assert lines[3].split() == ["healed", "ok", "ok", "no", "FAILED", "-"]
    assert {line.rstrip() for line in lines} == set(lines)
    assert max(map(len, lines)) <= WIDTH
    assert results == [Result("box/a", FINDINGS), Result(long, FINDINGS)]


def test_what_is_not_simply_ok_is_explained():
    lines = list(explanations([Result("box/a", FINDINGS), Result("box/b", FINDINGS[1:3])]))
    assert lines[:4] == [
        "",
        "box/a",
        "  text      ok after healing: max_tokens: renamed",
        "  thinking  not supported: nothing came",
    ]
    assert lines[-1] == "            -> Do without."
    assert max(map(len, lines)) <= WIDTH


def test_cells_that_do_not_speak_for_themselves_are_explained():
    text = " ".join(legend([Result("box/a", FINDINGS)]))
    assert "healed: " in text
    assert "-: not tried" in text
    assert not list(legend([Result("box/a", FINDINGS[1:3])]))


def test_tokens_are_added_up():
    assert "1,500 read, 3 written" in spent([Result("box/a", FINDINGS)])


@pytest.mark.parametrize(
    ("verdict", "works"),
    [(Verdict.OK, True), (Verdict.HEALED, True), (Verdict.UNSUPPORTED, False), (Verdict.FAILED, False)],
)
def test_a_target_works_if_it_answers(verdict: Verdict, works: bool):
    assert Result("box/a", (Finding("text", verdict), *FINDINGS[1:])).works is works
