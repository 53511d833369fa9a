"""Looks through the configuration as the bridge will find it; with --live, tries out what each of its models can do."""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import secrets
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import certifi

from addon.commands import CommandError
from addon.commands.configuration import MitmproxyOptions, loaded
from addon.commands.layout import aligned, wrapped
from addon.commands.live import Result, announcement, explanations, legend, select, spent, tried
from addon.commands.survey import ProviderFacts, RouteFacts, Survey, key_sources, survey
from addon.config import Config, LiveConfig
from addon.direct_calls import DirectCaller
from addon.experience import experience_with, learned_in
from addon.live_check import LiveCheck
from addon.observe.redact import Redactor
from addon.service import Service
from addon.sharing import forget_lessons
from addon.state import limits_of, stores_in
from addon.store.errors import StoreError
from addon.store.learned import WEEK_S, Learned, Lesson
from addon.store.secret import state_dir

TRUST_OPTION = "ssl_verify_upstream_trusted_ca"

LEARNED = "Learned from refusals, and sent otherwise since (--forget drops it)"

TIMEOUT_S = 60.0
MOST_TARGETS = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration file (default: the one `run` would find)")
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.add_argument("--forget", action="store_true", help="first drop what was learned from providers")
    live = parser.add_argument_group("trying out models (this costs some tokens)")
    live.add_argument("--live", action="store_true", help="make six tiny calls to each target")
    live.add_argument("--target", action="append", default=[], metavar="PROVIDER/MODEL", help="only this one")
    live.add_argument("--model", metavar="NAME", help="a name to fill the {model} of targets with")
    live.add_argument(
        "--limit", type=_count, metavar="N", default=MOST_TARGETS, help="most targets (default: %(default)s)"
    )
    live.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=TIMEOUT_S,
        help="most seconds of silence (default: %(default)g)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of targets: 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def check(options: argparse.Namespace, passed_on: list[str]) -> int:
    if not options.live and (options.target or options.model):
        raise CommandError("--target and --model say what to try out: add --live")
    settings = dict(MitmproxyOptions.read(passed_on).settings)
    if options.config is not None:
        settings["bridge_config"] = options.config
    config = loaded(settings, os.environ)
    learned = learned_in(state_dir(os.environ, Path.home()))
    if options.forget:
        _forget(config, learned)
    hide = Redactor(config.secrets()).redact
    found = survey(config, os.environ)
    if not options.json:
        print(hide("\n".join(_report(found, learned.lessons()))))
    results = _try_out(config, options, _trust(settings), learned, hide) if options.live else []
    if options.json:
        print(hide(_json(found, learned.lessons(), results)))
    return 0 if not found.problems and all(result.works for result in results) else 1


def _forget(config: Config, learned: Learned) -> None:
    """Here, and at all bridges that share a store."""
    learned.forget()
    if not config.store_is_server:
        return
    try:
        opened = stores_in(state_dir(os.environ, Path.home()))
        store = opened(config.store.get_secret_value(), limits_of(config.store_limits))
        if store is not None:
            with closing(store):
                forget_lessons(store.values, time.time())
    except StoreError as error:
        raise CommandError(f"Other bridges could not be told to forget. {error}") from error


# --- the configuration


def _report(found: Survey, lessons: Sequence[Lesson]) -> Iterator[str]:
    yield f"Configuration: {found.source or 'the environment; there is no file'}"
    if found.providers:
        yield from ("", "Providers", *aligned([row for each in found.providers for row in _provider_rows(each)]))
    if found.routes:
        yield from ("", "Models (the first match wins)")
        yield from aligned([row for route in found.routes for row in _route_rows(route)])
    learned = [_lesson(lesson) for lesson in lessons]
    for title, texts in ((LEARNED, learned), ("Warnings", found.warnings), ("Problems", found.problems)):
        if texts:
            yield from ("", title, *(line for text in texts for line in wrapped(text, "  - ")))
    if not found.problems:
        yield from ("", "The configuration is in order.")


def _provider_rows(provider: ProviderFacts) -> Iterator[Sequence[str]]:
    yield provider.name, provider.base_url
    yield "", f"profile {provider.profile}, mode {provider.mode}"
    yield "", provider.key


def _route_rows(route: RouteFacts) -> Iterator[Sequence[str]]:
    for position, target in enumerate(route.targets):
        yield route.pattern if not position else "", f"{'then ' if position else ''}{target.target}"
        yield "", target.url or "cannot be called: see below"


def _lesson(lesson: Lesson) -> str:
    changed = ", ".join(lesson.overrides)
    return f"{lesson.model} at {lesson.place}: {lesson.what}: {lesson.why} ({changed}; until {_until(lesson)})"


def _until(lesson: Lesson) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(lesson.when + WEEK_S))


def _json(found: Survey, lessons: Sequence[Lesson], results: Sequence[Result]) -> str:
    learned = [{**asdict(lesson), "until": _until(lesson)} for lesson in lessons]
    content = {**asdict(found), "learned": learned, "live": [_result(result) for result in results]}
    return json.dumps(content, indent=2, ensure_ascii=False, default=str)


def _result(result: Result) -> dict[str, object]:
    return {"target": result.target, "works": result.works, "features": [asdict(each) for each in result.findings]}


# --- what its models can do


def _try_out(
    config: Config, options: argparse.Namespace, trust: ssl.SSLContext, learned: Learned, hide: Callable[[str], str]
) -> list[Result]:
    selection = select(config, options.target, options.model, options.limit)
    talks = not options.json
    if talks:
        remarks = [line for remark in selection.remarks for line in wrapped(remark)]
        print(hide("\n".join(["", *remarks, *announcement(selection.targets), ""])), flush=True)
    caller = DirectCaller(timeout=options.timeout, trust=trust)
    live = LiveCheck(config, functools.partial(service_for, learned), caller, key_sources(config, os.environ))
    results = tried(live, selection.targets, _show if talks else _ignore)
    if talks:
        print(hide("\n".join([*legend(results), *explanations(results), "", spent(results)])))
    return results


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _ignore(text: str) -> None:
    """For programs: they get it all at the end."""


def _trust(settings: Mapping[str, str]) -> ssl.SSLContext:
    """The authorities that mitmproxy trusts for the calls of the bridge: certifi's, or those of its option."""
    chosen = settings.get(TRUST_OPTION, "")
    try:
        return ssl.create_default_context(cafile=Path(chosen).expanduser() if chosen else certifi.where())
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(f"{TRUST_OPTION}: {chosen} cannot be read as certificates ({reason})") from None


def service_for(learned: Learned, config: Config) -> Service:
    """The bridge's own service, without memories of other targets. What it signs is for nobody to keep."""
    return Service(
        LiveConfig(lambda: config),
        ids=lambda prefix: f"{prefix}_{uuid.uuid4().hex}",
        now=time.time,
        state_key=functools.cache(lambda: secrets.token_bytes(32)),
        experience=experience_with(learned),
    )
