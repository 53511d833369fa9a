"""The live part of `responses-bridge check`: which targets are tried out, what that costs, and the table of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from addon.commands import CommandError
from addon.commands.layout import wrapped
from addon.config import Config, ModelTarget
from addon.config.errors import did_you_mean
from addon.live_check import Finding, LiveCheck, Verdict
from addon.probes import FEATURES, MOST_TOKENS

CELLS = {
    Verdict.OK: "ok",
    Verdict.HEALED: "healed",
    Verdict.UNSUPPORTED: "no",
    Verdict.FAILED: "FAILED",
    Verdict.SKIPPED: "-",
}
"""What stands in the table."""

_MEANINGS = {
    Verdict.HEALED: "refused at first, then sent otherwise and answered",
    Verdict.UNSUPPORTED: "not supported",
    Verdict.SKIPPED: "not tried, since no call gets through",
}

_NAME = 36
"""Columns for the name of a target; a longer one gets a line of its own."""
_CELL = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be tried out."""

    targets: tuple[ModelTarget, ...]
    remarks: tuple[str, ...] = ()
    """What is left out, and how to have it tried too."""


@dataclass(frozen=True, slots=True)
class Result:
    """What has been found out about a target."""

    target: str
    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """It answers, whatever else it can do."""
        return self.findings[0].verdict in (Verdict.OK, Verdict.HEALED)


def select(config: Config, wanted: Sequence[str], model: str | None, limit: int) -> Selection:
    """The targets that are named, else all that are configured, each once and `limit` at most.

    Args:
        model: the name that a client might ask for: it fills the `{model}` of the targets that it leads to.

    Raises:
        CommandError: a name leads nowhere, or there is nothing to be tried.
    """
    if wanted:
        return Selection(tuple(_named(config, name) for name in dict.fromkeys(wanted)))
    found, open_ones = _configured(config, model)
    remarks = [
        f"{target} is not tried: which model? Name one: --model NAME, or --target {target.partition('/')[0]}/NAME"
        for target in open_ones
    ]
    if len(found) > limit:
        remarks.append(
            f"{len(found)} targets are configured; these are the first {limit}. More: --limit {len(found)}; one alone: "
            "--target provider/model"
        )
    if not found:
        raise CommandError("there is no model to be tried. " + " ".join(remarks))
    return Selection(tuple(found[:limit]), tuple(remarks))


def _named(config: Config, name: str) -> ModelTarget:
    provider, _, model = name.partition("/")
    if not model:
        raise CommandError(f"--target {name}: write provider/model, such as {_example(config)}")
    if provider not in config.providers:
        remedy = did_you_mean(provider, tuple(config.providers))
        raise CommandError(f"--target {name}: the configuration has no provider {provider}.{remedy}")
    return ModelTarget(target=name)


def _example(config: Config) -> str:
    return f"{next(iter(config.providers), 'PROVIDER')}/MODEL"


def _configured(config: Config, model: str | None) -> tuple[list[ModelTarget], list[str]]:
    """The targets whose model is known, and those that lack one."""
    found: dict[str, ModelTarget] = {}
    open_ones: dict[str, None] = {}
    asked = next((pattern for pattern in config.models if model is not None and fnmatchcase(model, pattern)), None)
    if model is not None and asked is None:
        known = ", ".join(config.models)
        raise CommandError(f"--model {model}: no entry of models serves that name. There are: {known}")
    for pattern, route in config.models.items():
        for target in route.targets:
            if "{model}" not in target.target:
                found[target.target] = target
            elif model is not None and pattern == asked:
                filled = f"{target.provider}/{target.model(model)}"
                found[filled] = ModelTarget(target=filled)
            else:
                open_ones[target.target] = None
    if model is not None:
        open_ones.clear()
    return list(found.values()), list(open_ones)


# --- what is shown


def announcement(targets: Sequence[ModelTarget]) -> list[str]:
    """What is about to be spent."""
    calls, tokens = len(targets) * len(FEATURES), len(targets) * sum(feature.tokens for feature in FEATURES)
    models = "1 model" if len(targets) == 1 else f"{len(targets)} models"
    text = (
        f"Trying out {models}: {len(FEATURES)} calls each, {calls} in all, about {tokens:,} tokens together. Models "
        f"that think write more, at most {MOST_TOKENS:,} tokens a call. Ctrl-C stops it."
    )
    return wrapped(text)


def tried(check: LiveCheck, targets: Sequence[ModelTarget], write: Callable[[str], None]) -> list[Result]:
    """Try them one after the other; `write` gets the table, cell by cell as it grows."""
    write(" " * _NAME + "".join(map(_cell, (feature.name for feature in FEATURES))) + "\n")
    results = []
    for target in targets:
        write(_row_name(target.target))
        findings = []
        for finding in check.findings(target):
            findings.append(finding)
            write(_cell(CELLS[finding.verdict]))
        write("\n")
        results.append(Result(target.target, tuple(findings)))
    return results


def _row_name(name: str) -> str:
    return name.ljust(_NAME) if len(name) <= _NAME else f"{name}\n{' ' * _NAME}"


def _cell(text: str) -> str:
    """Right-aligned, so that no line ends in blanks."""
    return text.rjust(_CELL)


def legend(results: Sequence[Result]) -> Iterator[str]:
    """What the cells mean, as far as they do not speak for themselves."""
    shown = {finding.verdict for result in results for finding in result.findings}
    meanings = [f"{CELLS[verdict]}: {text}" for verdict, text in _MEANINGS.items() if verdict in shown]
    if meanings:
        yield from ("", *wrapped("; ".join(meanings)))


def explanations(results: Sequence[Result]) -> Iterator[str]:
    """Why something is not simply "ok", and what to do about it."""
    for result in results:
        remarkable = [finding for finding in result.findings if finding.detail]
        if remarkable:
            yield ""
            yield result.target
        for finding in remarkable:
            yield from wrapped(f"{finding.verdict}: {finding.detail}", f"  {finding.feature:<9} ")
            if finding.fix:
                yield from wrapped(finding.fix, f"{'':12}-> ")


def spent(results: Sequence[Result]) -> str:
    """The tokens that providers have counted."""
    findings = [finding for result in results for finding in result.findings]
    used, written = sum(each.input_tokens for each in findings), sum(each.output_tokens for each in findings)
    return f"Tokens used, as far as the providers told: {used:,} read, {written:,} written."
