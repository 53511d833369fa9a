"""Lists the providers that are built in, or shows all that is known about one of them, or about one in a file."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from addon.commands import CommandError
from addon.commands.layout import wrapped
from addon.config.errors import did_you_mean
from addon.providers.platforms import Fields, Platform, builtin_platforms, load_platform_file
from addon.providers.profile import ProfileError

MARKS = {
    "D": "the vendor's documentation",
    "C": "a maintained client does it",
    "P": "a published probe",
    "R": "an issue report",
    "U": "common knowledge, not checked again",
}
"""How a value is known; the letters that `evidence` is written with."""

_HEAD = frozenset({"id", "label", "hosts", "base_url", "env"})
"""Fields that are shown above the others."""

_JSON = TypeAdapter[object](object)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        nargs="?",
        metavar="NAME|FILE.toml",
        help="show this one: its fields, its rules for models, and why; a profile of your own by its file",
    )
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")


def providers(options: argparse.Namespace, passed_on: list[str]) -> int:
    if options.id is None:
        found = list(builtin_platforms().values())
        print(_json([summary(each, os.environ) for each in found]) if options.json else listing(found, os.environ))
        return 0
    platform = _named(options.id)
    print(_json(details(platform, os.environ)) if options.json else portrait(platform, os.environ))
    return 0


def _named(name: str) -> Platform:
    if name.lower().endswith(".toml"):
        return _in_file(Path(name).expanduser())
    known = builtin_platforms()
    if name not in known:
        remedy = did_you_mean(name, tuple(known), listed=False)
        raise CommandError(f"there is no built-in provider {name}.{remedy} `responses-bridge providers` lists all.")
    return known[name]


def _in_file(path: Path) -> Platform:
    try:
        return load_platform_file(path)
    except ProfileError as error:
        raise CommandError(str(error)) from error


# --- for programs


def summary(platform: Platform, environment: Mapping[str, str]) -> dict[str, object]:
    """What the list says of a platform. Of variables it says whether they are set, never what they hold."""
    return {
        "id": platform.id,
        "label": platform.label,
        "base_url": platform.base_url,
        "env": [{"name": name, "set": _is_set(name, environment)} for name in platform.env],
        "native_responses": _native(platform),
        "evidence": platform.evidence,
        "checked": platform.checked,
    }


def details(platform: Platform, environment: Mapping[str, str]) -> dict[str, object]:
    """All that is stated about a platform."""
    return {
        **summary(platform, environment),
        "hosts": platform.hosts,
        "fields": dict(platform.stated),
        "models": [{**rule.model_dump(exclude={"fields"}), "fields": dict(rule.fields)} for rule in platform.rules],
    }


def _json(value: object) -> str:
    return _JSON.dump_json(value, indent=2).decode()


def _is_set(variable: str, environment: Mapping[str, str]) -> bool:
    return bool(environment.get(variable, "").strip())


def _native(platform: Platform) -> object:
    return platform.stated.get("native_responses", "no")


# --- for people


def listing(platforms: Sequence[Platform], environment: Mapping[str, str]) -> str:
    """Two lines for each platform, and what the marks in them mean."""
    column = max(len(platform.id) for platform in platforms) + 2
    lines = [line for platform in platforms for line in _entry(platform, environment, column)]
    used = {mark for platform in platforms for mark in _marks(platform.evidence)}
    meanings = "; ".join(f"{mark}: {MARKS[mark]}" for mark in MARKS if mark in used)
    return "\n".join(
        [
            *lines,
            "",
            "The name on the left is for `providers` and `models` in bridge.yaml, and for BRIDGE_PROVIDER.",
            "Its key is in the variable; * marks those that are set now. Any other server that speaks",
            "/chat/completions is used by its base_url.",
            *wrapped(f"Behind the URL stands how it is known, and when that was last looked at. {meanings}."),
            "/responses: it serves OpenAI's Responses API too.",
            "",
            "All that is known about one of them: responses-bridge providers NAME",
        ]
    )


def _entry(platform: Platform, environment: Mapping[str, str], column: int) -> Iterator[str]:
    variables = " or ".join(f"{name}*" if _is_set(name, environment) else name for name in platform.env)
    yield from wrapped(f"{platform.label}: {variables or 'no key variable'}", platform.id.ljust(column))
    known = [*_marks(platform.evidence), platform.checked]
    if (native := _native(platform)) != "no":
        known.append("/responses" if native == "yes" else f"/responses ({native})")
    yield from wrapped(f"{platform.base_url or 'base_url: yours to give'}  {' '.join(known)}", " " * column)


def _marks(evidence: str) -> list[str]:
    return [mark for mark in MARKS if re.search(rf"\b{mark}:", evidence)]


def portrait(platform: Platform, environment: Mapping[str, str]) -> str:
    """Everything that is stated about one platform, as it would be written in a profile file."""
    return "\n".join([*_heading(platform, environment), *_fields(platform.stated), *_rules(platform)])


def _heading(platform: Platform, environment: Mapping[str, str]) -> Iterator[str]:
    yield f"{platform.id}: {platform.label}"
    yield ""
    variables = [f"{name} ({'set' if _is_set(name, environment) else 'not set'})" for name in platform.env]
    yield from wrapped(platform.base_url or "yours to give", "  base URL  ")
    yield from wrapped(", ".join(variables) or "no variable", "  key       ")
    yield from wrapped(", ".join(platform.hosts) or "–", "  hosts     ")
    yield from wrapped(platform.evidence, "  evidence  ")
    yield f"  checked   {platform.checked}"
    if platform.inherit_lineage:
        yield "  For models of a known family (lineage.toml), what that family needs comes first."
    yield ""
    yield "What differs from the base that suits an unknown server (docs/profiles.md has every field):"
    yield ""


def _fields(fields: Fields) -> Iterator[str]:
    shown = {name: value for name, value in fields.items() if name not in _HEAD}
    for name, value in shown.items():
        yield from wrapped(_written(value), f"  {name} = ", "      ")
    if not shown:
        yield "  nothing"


def _rules(platform: Platform) -> Iterator[str]:
    for rule in platform.rules:
        yield ""
        yield from wrapped(", ".join(rule.match), "For models ", "  ")
        yield from wrapped(f"{rule.evidence} ({rule.checked})", "  evidence  ")
        yield from _fields(rule.fields)


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
