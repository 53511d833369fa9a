"""What a configuration amounts to: where calls go, with which keys, and what is in the way. Nothing is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from addon.config import Config, ModelRoute, ModelTarget, Provider
from addon.config.model import base_url_for, missing_variables, provider_profile
from addon.routing import Router, RoutingError

ASKED = "{model}"
"""Stands for the name that a client asks for."""

_TOO_SHORT = 8
"""A value below this length may be equal to a variable's by chance."""


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """One provider of the configuration."""

    name: str
    base_url: str
    profile: str
    """Its id, and the file it is from if it is not built in."""
    mode: str
    """Which of its APIs is called."""
    key: str
    """Where its key comes from, in words."""
    ready: bool
    """It has its key, or needs none."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One place where a model is served."""

    target: str
    url: str = ""
    api: str = ""
    """`chat` (completions), or the provider's own `responses`."""
    problem: str = ""
    """Why it cannot be called."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One entry of `models`."""

    pattern: str
    balance: str
    targets: tuple[TargetFacts, ...]

    @property
    def serves(self) -> bool:
        return any(not target.problem for target in self.targets)


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it."""

    source: Path | None
    providers: tuple[ProviderFacts, ...]
    routes: tuple[RouteFacts, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    """What keeps calls from being served, with the remedy."""


def survey(config: Config, environment: Mapping[str, str]) -> Survey:
    """What the configuration amounts to in this environment."""
    sources = key_sources(config, environment)
    providers = tuple(_provider(config, name, sources.get(name)) for name in config.providers)
    routes = tuple(_route(config, pattern, entry) for pattern, entry in config.models.items())
    return Survey(config.findings.source, providers, routes, config.warnings, tuple(_problems(config, routes)))


def key_sources(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the key of each provider comes from, in words, for those that have one."""
    return {name: _origins(each, environment) for name, each in config.providers.items() if each.keys}


def _provider(config: Config, name: str, key_source: str | None) -> ProviderFacts:
    provider = config.providers[name]
    profile = provider_profile(name, provider, model="")
    missing = config.findings.missing_keys.get(name)
    key = "no key is sent" if key_source is None else f"key from {key_source}"
    if missing is not None:
        key = f"NO KEY: {missing_variables(missing)}"
    base_url = base_url_for(provider, profile, ASKED) or ""
    known_as = profile.id if provider.profile_file is None else f"{profile.id} ({provider.profile_file})"
    return ProviderFacts(name, _unquoted(base_url), known_as, provider.mode, key, ready=missing is None)


def _origins(provider: Provider, environment: Mapping[str, str]) -> str:
    """The file that holds the key, else the variables that do; else it was written into the configuration itself."""
    if provider.api_key_file is not None:
        return f"the file {provider.api_key_file}"
    keys = (key.get_secret_value() for key in provider.keys)
    return ", ".join(dict.fromkeys(_variables(key, environment) or "the configuration itself" for key in keys))


def _variables(key: str, environment: Mapping[str, str]) -> str:
    names = [f"${name}" for name, value in environment.items() if value.strip() == key and len(key) >= _TOO_SHORT]
    return " or ".join(names)


def _route(config: Config, pattern: str, entry: ModelRoute) -> RouteFacts:
    return RouteFacts(pattern, entry.balance, tuple(_target(config, target) for target in entry.targets))


def _target(config: Config, target: ModelTarget) -> TargetFacts:
    """Where a target leads, found as it is found for a call."""
    alone = config.model_copy(update={"models": {"*": ModelRoute(targets=(target,))}})
    try:
        found = Router(alone.with_findings(config.findings)).route(ASKED).targets[0]
    except RoutingError as error:
        return TargetFacts(target.target, problem=str(error))
    if found.native:
        return TargetFacts(target.target, _unquoted(found.responses_url), "responses")
    return TargetFacts(target.target, _unquoted(found.url), "chat")


def _unquoted(url: str) -> str:
    """The URL with `{model}` as it is written."""
    return url.replace(quote(ASKED, safe=""), ASKED)


def _problems(config: Config, routes: tuple[RouteFacts, ...]) -> Iterator[str]:
    """Each once, however many models suffer from it."""
    if not config.models:
        yield config.findings.no_provider or "No provider is configured."
    unserved: dict[str, list[str]] = {}
    for route in routes:
        if not route.serves:
            unserved.setdefault(route.targets[0].problem, []).append(route.pattern)
    for problem, patterns in unserved.items():
        yield f"models {', '.join(patterns)}: nothing can serve {'it' if len(patterns) == 1 else 'them'}. {problem}"
