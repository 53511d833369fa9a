"""From the name of a model to the places that serve it: provider, URL, headers, key, profile, best first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import SecretStr

from addon.config import Config, ModelRoute, ModelTarget, Provider
from addon.config.model import ApiMode, base_url_for, missing_variables, provider_profile, url_values
from addon.config.remotes import Remote, fill, remote_of
from addon.providers.profile import Profile

HIDDEN = "[hidden]"
"""Stands where a key would, in everything that is shown or recorded."""
_LISTED_NAMES = 20
_SHOWN_NAME = 100


class RoutingError(Exception):
    """A call cannot be sent anywhere. The message is for the caller: whose fault, what, what to do."""

    code: ClassVar[str]
    """Stable name of the problem, for programs."""


class UnknownModel(RoutingError):
    """No entry of `models` matches the name that was asked for."""

    code = "model_not_found"

    def __init__(self, model: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"The model '{model[:_SHOWN_NAME]}' is not served here. {_offer(known)}, or add an entry for it to models "
            'in the configuration of the bridge ("*" matches every name).'
        )
        self.model = model
        self.known = known


def _offer(known: tuple[str, ...]) -> str:
    names = ", ".join(known[:_LISTED_NAMES]) + (", …" if len(known) > _LISTED_NAMES else "")
    return f"Ask for one of: {names}" if known else "Ask for another"


class MissingKey(RoutingError):
    """The provider wants a key, and the configuration has none."""

    code = "provider_key_missing"

    def __init__(self, provider: str, variables: tuple[str, ...]) -> None:
        super().__init__(
            f"The bridge has no key for the provider {provider}: {missing_variables(variables)}. "
            f"Set it where the bridge runs, or give providers.{provider}.api_key in its configuration, "
            "and restart the bridge."
        )
        self.provider = provider
        self.variables = variables


class RemoteNotAllowed(RoutingError):
    """The provider is at a host that the configuration does not allow."""

    code = "remote_not_allowed"

    def __init__(self, provider: str, host: str) -> None:
        super().__init__(
            f"The provider {provider} is at {host}, which the bridge may not call: the host is not in allowed_remotes. "
            "Add it there, or to BRIDGE_REMOTES, if requests may go to it."
        )
        self.provider = provider
        self.host = host


class NoProvider(RoutingError):
    """Nothing is configured that could serve a call."""

    code = "no_provider"


@dataclass(frozen=True, slots=True)
class Credential:
    """A provider's key and the header it travels in. Only what writes to the connection may ask for `header`."""

    name: str
    secret: SecretStr
    scheme: str = ""
    """What stands before the key in the header's value, for example `Bearer`."""

    def header(self) -> tuple[str, str]:
        """The header with the key, for the wire and nothing else."""
        return self.name, f"{self.scheme} {self.secret.get_secret_value()}".lstrip()

    def hidden(self) -> tuple[str, str]:
        """The header as it is shown and recorded."""
        return self.name, f"{self.scheme} {HIDDEN}".lstrip()


@dataclass(frozen=True, slots=True)
class Way:
    """How calls get to a provider."""

    http2: bool = False
    """HTTP/2 is offered."""
    proxy: Remote | None = None
    """The HTTP proxy in between."""
    max_concurrent: int | None = None
    """Most calls of the provider that run at once."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place where a call can be sent."""

    provider: str
    model: str
    """The provider's name of the model."""
    profile: Profile
    url: str
    """The whole URL of the chat completions endpoint."""
    headers: Mapping[str, str]
    """Headers that are the same for every call, without the key."""
    credential: Credential | None
    key_name: str = ""
    """Which of the provider's keys that is, for people: "deepseek#2"; "deepseek#0" is none."""
    mode: ApiMode = "chat"
    """Which of the provider's APIs is to be called."""
    responses_url: str = ""
    """The whole URL of the provider's own Responses endpoint; empty if the calls go to its chat endpoint."""
    way: Way = Way()

    @property
    def native(self) -> bool:
        """Whether calls go to the provider's own Responses endpoint."""
        return self.mode == "responses" or (self.mode == "auto" and self.profile.native_responses == "yes")

    @property
    def label(self) -> str:
        """provider/model, for people."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """Where the calls for one model go. What is configured as one target is one for each key of its provider here."""

    name: str
    """The name the client asked for."""
    targets: tuple[Target, ...]
    weights: tuple[float, ...]
    """The share of each target: the keys of a provider have that of the configured target together."""
    balance: Literal["order", "weighted"]


class Router:
    """Answers which targets serve a model, for one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def route(self, model: str) -> Route:
        """The targets for a model that a client asks for; raises a `RoutingError` if there is none to be used.

        A target whose key is missing is passed over while another one is left.
        """
        entry = self._entry(model)
        ready = [target for target in _ordered(entry) if target.provider not in self._config.findings.missing_keys]
        if not ready:
            provider = entry.targets[0].provider
            raise MissingKey(provider, self._config.findings.missing_keys[provider])
        expanded = [(self._targets(target.provider, target.model(model)), target.weight) for target in ready]
        return Route(
            name=model,
            targets=tuple(each for targets, _ in expanded for each in targets),
            weights=tuple(weight / len(targets) for targets, weight in expanded for _ in targets),
            balance=entry.balance,
        )

    def describes(self, model: str) -> bool:
        """Whether a name would be routed."""
        return any(fnmatchcase(model, pattern) for pattern in self._config.models)

    def served_models(self) -> tuple[str, ...]:
        """The names worth listing: those that `models` spells out, and the targets of globs that may be asked for.

        With `"*": dashscope/qwen3-max` that is qwen3-max; `"*": dashscope/{model}` stands for too many to list.
        """
        spelt = [name for name in self._config.models if not any(mark in name for mark in "*?[")]
        targets = (target for route in self._config.models.values() for target in route.targets)
        fixed = [target.model("") for target in targets if "{model}" not in target.target]
        return tuple(dict.fromkeys([*spelt, *filter(self.describes, fixed)]))

    def _entry(self, model: str) -> ModelRoute:
        if not self._config.models:
            raise NoProvider(self._config.findings.no_provider or "No provider is configured. Write a bridge.yaml.")
        for pattern, entry in self._config.models.items():
            if fnmatchcase(model, pattern):
                return entry
        raise UnknownModel(model, self.served_models())

    def _targets(self, name: str, asked: str) -> tuple[Target, ...]:
        """One for each key of the provider."""
        keyless = self._target(name, asked)
        credentials = _credentials(self._config.providers[name], keyless.profile)
        keyed = (
            replace(keyless, credential=credential, key_name=f"{name}#{number}")
            for number, credential in enumerate(credentials, 1)
        )
        return tuple(keyed) or (keyless,)

    def _target(self, name: str, asked: str) -> Target:
        """The place without any key."""
        provider = self._config.providers[name]
        profile = provider_profile(name, provider, asked)
        model = profile.model_map.get(asked, asked)
        if model != asked:
            profile = provider_profile(name, provider, model)
        url = chat_url(provider, profile, model)
        own_url = "" if provider.mode == "chat" else responses_url(provider, profile, model)
        for remote in (_remote(name, each) for each in (url, own_url or url)):
            if not self._config.allows_remote(remote):
                raise RemoteNotAllowed(name, remote.host)
        return Target(
            provider=name,
            model=model,
            profile=profile,
            url=url,
            headers={**profile.headers, **provider.headers},
            credential=None,
            key_name=f"{name}#0",
            mode=provider.mode,
            responses_url=own_url,
            way=_way(provider),
        )


def _ordered(entry: ModelRoute) -> tuple[ModelTarget, ...]:
    if entry.balance == "order":
        return entry.targets
    return tuple(sorted(entry.targets, key=lambda target: -target.weight))


def _remote(name: str, url: str) -> Remote:
    try:
        return remote_of(url)
    except ValueError as error:
        raise NoProvider(
            f"The provider {name} has no usable URL: it {error}. Correct providers.{name}.base_url."
        ) from None


def _way(provider: Provider) -> Way:
    proxy = remote_of(provider.proxy) if provider.proxy is not None else None
    return Way(provider.http2, proxy, provider.max_concurrent)


def _credentials(provider: Provider, profile: Profile) -> tuple[Credential, ...]:
    if profile.auth == "none":
        return ()
    if profile.auth == "bearer":
        return tuple(Credential("Authorization", key, scheme="Bearer") for key in provider.keys)
    kind, _, name = profile.auth.partition(":")
    return tuple(Credential(name, key, scheme="Bearer" if kind == "bearer" else "") for key in provider.keys)


def chat_url(provider: Provider, profile: Profile, model: str) -> str:
    """The URL of a model's chat completions endpoint, queries included; empty if no base URL is known.

    The model's name may come from the client: it is quoted, so that it cannot leave its place in the URL.
    A base URL that was given with the endpoint's path in it is taken as it is.
    """
    return _endpoint(base_url_for(provider, profile, model) or "", profile.chat_path, provider, profile, model)


def responses_url(provider: Provider, profile: Profile, model: str) -> str:
    """The URL of a model's own Responses endpoint, made as that of its chat endpoint is.

    It may be at another base URL, which the profile knows; but not if the user has named one for the provider, since
    requests must go nowhere else then.
    """
    base = base_url_for(provider, profile, model) or ""
    is_named = provider.base_url is not None and "responses_base_url" not in provider.overrides
    if profile.responses_base_url is not None and not is_named:
        elsewhere = provider.model_copy(update={"base_url": profile.responses_base_url})
        base = base_url_for(elsewhere, profile, model) or ""
    parts = urlsplit(base)
    path = parts.path.rstrip("/").removesuffix(_path(profile.chat_path, provider, model))
    return _endpoint(parts._replace(path=path).geturl(), profile.responses_path, provider, profile, model)


def _endpoint(base_url: str, endpoint: str, provider: Provider, profile: Profile, model: str) -> str:
    base = urlsplit(base_url)
    end = _path(endpoint, provider, model)
    path = base.path.rstrip("/")
    values = url_values(provider, model)
    query = {
        **dict(parse_qsl(base.query, keep_blank_values=True)),
        **{name: fill(value, values) for name, value in (*profile.query.items(), *provider.query.items())},
    }
    return base._replace(path=path if path.endswith(end) else path + end, query=urlencode(query)).geturl()


def _path(template: str, provider: Provider, model: str) -> str:
    return fill(template, {name: quote(value, safe="") for name, value in url_values(provider, model).items()})
