"""File, environment and options, put together to the `Config` in force, with everything checked that can be."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from addon.config.errors import ConfigError, did_you_mean, file_trouble, problem_at
from addon.config.model import (
    STATE_KEY_BYTES,
    Config,
    Findings,
    ModelRoute,
    ModelTarget,
    Provider,
    base_url_for,
    missing_variables,
    names_credential,
    provider_profile,
    url_values,
)
from addon.config.reading import Expansion, read_yaml, validated
from addon.config.remotes import Remote, fill, host_pattern, is_loopback, is_nearby, placeholders, remote_of
from addon.config.shortcut import Choice, Shortcut, keys_in, no_provider
from addon.providers.platforms import builtin_platforms, load_platform_file
from addon.providers.profile import Profile, ProfileError

STATE_KEY_VARIABLE = "BRIDGE_STATE_KEY"

KEYLESS = "none"
"""The `api_key` of a provider that wants no key."""


class _Loader:
    """One loading: the file, the environment and the shortcut, put together step by step."""

    def __init__(self, path: Path | None, env: Mapping[str, str], overrides: Mapping[str, str]) -> None:
        self._path = path
        self._env = env
        self._shortcut = Shortcut.read(env, overrides)
        self._source = str(path) if path is not None else "environment"
        self._warnings: list[str] = []
        self._files: list[Path] = []
        self._missing_keys: dict[str, tuple[str, ...]] = {}

    def load(self) -> Config:
        config = self._with_profile_files(self._with_remotes(self._with_state_key(self._from_file())))
        choice = self._choice(config)
        config = self._with_choice(config, choice) if choice else config
        config = self._with_platforms(self._with_models(config))
        self._check_named_models(config)
        config = config.model_copy(
            update={"providers": {name: self._ready(config, name, item) for name, item in config.providers.items()}}
        )
        return config.with_findings(
            Findings(
                source=self._path,
                files=tuple(self._files),
                missing_keys=MappingProxyType(self._missing_keys),
                warnings=tuple(self._warnings),
                no_provider=None if config.models else no_provider(self._env),
            )
        )

    def _error(self, problem: str, *at: str | int) -> ConfigError:
        return problem_at(self._source, at, problem)

    def _from_file(self) -> Config:
        if self._path is None:
            return Config()
        expansion = Expansion(self._env, self._source)
        try:
            document = expansion.expand(read_yaml(self._path))
        except RecursionError:
            raise self._error("is nested too deeply, or contains itself. Write it out flat.") from None
        self._missing_keys = expansion.missing_keys
        return validated(document, self._source)

    def _with_remotes(self, config: Config) -> Config:
        named = [entry for entry in self._env.get("BRIDGE_REMOTES", "").split(",") if entry.strip()]
        if not named:
            return config
        try:
            remotes = tuple(host_pattern(entry) for entry in named)
        except ValueError as error:
            raise ConfigError(f"BRIDGE_REMOTES: each entry {error}.") from None
        return config.model_copy(update={"allowed_remotes": (*(config.allowed_remotes or ()), *remotes)})

    def _with_state_key(self, config: Config) -> Config:
        """The key of the environment, unless the file names one."""
        key = self._env.get(STATE_KEY_VARIABLE, "").strip()
        if config.state_key is not None or not key:
            return config
        if len(key.encode()) < STATE_KEY_BYTES:
            raise ConfigError(
                f"{STATE_KEY_VARIABLE} needs at least {STATE_KEY_BYTES} characters. Make one: openssl rand -base64 32."
            )
        return config.model_copy(update={"state_key": SecretStr(key)})

    def _with_profile_files(self, config: Config) -> Config:
        providers = {name: self._with_profile_file(name, each) for name, each in config.providers.items()}
        return config.model_copy(update={"providers": providers})

    def _with_profile_file(self, name: str, provider: Provider) -> Provider:
        if provider.profile_file is None:
            return provider
        path = self._beside(provider.profile_file)
        self._files.append(path)
        try:
            return provider.with_platform(load_platform_file(path))
        except ProfileError as error:
            raise self._error(f"{error}.", "providers", name, "profile") from None

    def _beside(self, path: Path) -> Path:
        """A path that the configuration file names, relative to that file."""
        return (self._path.parent if self._path else Path()) / path.expanduser()

    # Which provider, if one for everything

    def _choice(self, config: Config) -> Choice | None:
        shortcut = self._shortcut
        if shortcut.base_url is not None:
            return self._choice_by_url(config, shortcut.base_url)
        if shortcut.provider is not None:
            return self._choice_by_name(config, shortcut.provider)
        if shortcut.api_key is not None:
            self._warnings.append("BRIDGE_API_KEY is not used: it needs BRIDGE_PROVIDER or BRIDGE_BASE_URL beside it.")
        if config.providers:
            return self._only_provider(config) if shortcut.model is not None else None
        if config.models and shortcut.model is None:
            return None
        found = list(keys_in(self._env))
        return Choice(found[0], Provider()) if len(found) == 1 else None

    def _choice_by_url(self, config: Config, base_url: str) -> Choice:
        try:
            remote_of(fill(base_url, dict.fromkeys(placeholders(base_url), "x")))
        except ValueError as error:
            raise self._shortcut.error("base_url", f"{error}.") from None
        name = self._shortcut.provider
        chosen = self._choice_by_name(config, name) if name else Choice("custom", Provider())
        provider = chosen.provider.model_copy(update={"base_url": base_url, **self._key_update()})
        return Choice(chosen.name, provider)

    def _choice_by_name(self, config: Config, name: str) -> Choice:
        known = tuple(dict.fromkeys((*config.providers, *builtin_platforms())))
        if name not in known:
            raise self._shortcut.error("provider", f"there is no provider {name}.{did_you_mean(name, known)}")
        return Choice(name, config.providers.get(name, Provider()).model_copy(update=self._key_update()))

    def _key_update(self) -> dict[str, object]:
        if self._shortcut.api_key is None:
            return {}
        return {"api_key": self._shortcut.api_key, "api_keys": (), "api_key_file": None}

    def _only_provider(self, config: Config) -> Choice:
        if len(config.providers) > 1:
            raise self._shortcut.error(
                "model", f"there are several providers ({', '.join(config.providers)}). Set BRIDGE_PROVIDER too."
            )
        return Choice(*next(iter(config.providers.items())))

    def _with_choice(self, config: Config, choice: Choice) -> Config:
        """Everything goes to the chosen provider, whatever the file's `models` say."""
        if config.models:
            used = [self._shortcut.names[name] for name in ("provider", "base_url", "model") if self._said(name)]
            self._warnings.append(f"{' and '.join(used)} replaced the models of {self._source}.")
        if choice.provider.api_key is not None:
            self._missing_keys.pop(choice.name, None)
        target = ModelTarget(target=f"{choice.name}/{self._shortcut.model or '{model}'}")
        return config.model_copy(
            update={
                "providers": {**config.providers, choice.name: choice.provider},
                "models": {"*": ModelRoute(targets=(target,))},
            }
        )

    def _said(self, setting: str) -> bool:
        shortcut = self._shortcut
        said = {"provider": shortcut.provider, "base_url": shortcut.base_url, "model": shortcut.model}
        return said[setting] is not None

    # Which models, at which providers

    def _with_models(self, config: Config) -> Config:
        if config.models or not config.providers:
            return config
        if len(config.providers) > 1:
            raise self._error(
                f"is missing, and there are several providers ({', '.join(config.providers)}). Say which serves what, "
                f'for example "*": {next(iter(config.providers))}/{{model}}.',
                "models",
            )
        target = ModelTarget(target=f"{next(iter(config.providers))}/{{model}}")
        return config.model_copy(update={"models": {"*": ModelRoute(targets=(target,))}})

    def _with_platforms(self, config: Config) -> Config:
        """Built-in platforms that `models` names need no entry in `providers`."""
        added: dict[str, Provider] = {}
        for name, route in config.models.items():
            for target in route.targets:
                if target.provider in builtin_platforms():
                    added[target.provider] = Provider()
                elif target.provider not in config.providers:
                    known = (*config.providers, *builtin_platforms())
                    raise self._error(
                        f"there is no provider {target.provider}.{did_you_mean(target.provider, known)}",
                        "models",
                        name,
                    )
        return config.model_copy(update={"providers": {**added, **config.providers}})

    def _check_named_models(self, config: Config) -> None:
        """The models that the bridge calls on its own account are served as any other."""
        for section, model in (("compaction", config.compaction.model), ("vision", config.vision.model)):
            if model is None or not config.models or any(fnmatchcase(model, name) for name in config.models):
                continue
            remedy = did_you_mean(model, tuple(config.models))
            raise self._error(f"no entry of models serves the model {model}.{remedy}", section, "model")

    # Each provider

    def _ready(self, config: Config, name: str, provider: Provider) -> Provider:
        """The provider with its key, once its profile and URL have been found to be in order."""
        profile = self._profile(name, provider)
        remote = self._remote(name, provider, profile)
        if not config.allows_remote(remote):
            raise self._error(
                f"the host {remote.host} is not in allowed_remotes. Add it there or to BRIDGE_REMOTES "
                "if requests may go to it.",
                "providers",
                name,
                "base_url",
            )
        ready = self._with_keys(name, provider, profile, remote)
        if ready.keys and remote.scheme == "http" and not is_loopback(remote.host):
            self._warnings.append(
                f"providers.{name}.base_url: the key travels unencrypted to {remote.host}. Use https if it is offered."
            )
        return ready

    def _profile(self, name: str, provider: Provider) -> Profile:
        try:
            profile = provider_profile(name, provider, model="")
        except ProfileError as error:
            unknown = provider.platform is None and provider.profile not in (None, *builtin_platforms())
            at = "profile" if unknown else "overrides"
            raise self._error(f"{str(error).removeprefix('overrides: ')}.", "providers", name, at) from None
        for field, named in (("headers", profile.headers), ("query", profile.query)):
            if any(names_credential(key) for key in named):
                raise self._error("a credential belongs in api_key.", "providers", name, "overrides", field)
        return profile

    def _remote(self, name: str, provider: Provider, profile: Profile) -> Remote:
        base_url = provider.base_url or profile.base_url
        if base_url is None:
            hint = did_you_mean(name, tuple(builtin_platforms()), listed=False) if provider.profile is None else ""
            raise self._error(f"is missing, and no built-in profile knows it.{hint}", "providers", name, "base_url")
        self._check_places(name, provider, profile, base_url)
        filled = base_url_for(provider, profile, model="x")
        try:
            return remote_of(filled or "")
        except ValueError as error:
            raise self._error(f"{error}.", "providers", name, "base_url") from None

    def _check_places(self, name: str, provider: Provider, profile: Profile, base_url: str) -> None:
        """Every `{name}` of the URL has a value, and the client's model name has no say in the host."""
        templates = (base_url, profile.chat_path, *profile.query.values(), *provider.query.values())
        for place in (place for template in templates for place in placeholders(template)):
            if place not in url_values(provider, model=""):
                raise self._error(f"the URL needs a value for {place}. Add it.", "providers", name, "vars", place)
        server = base_url.partition("://")[2].partition("/")[0]
        if {"model", "deployment"}.difference(provider.vars).intersection(placeholders(server)):
            raise self._error("the model cannot be part of the host.", "providers", name, "base_url")

    def _with_keys(self, name: str, provider: Provider, profile: Profile, remote: Remote) -> Provider:
        keyless = provider.model_copy(update={"api_key": None, "api_keys": ()})
        if profile.auth == "none":
            self._missing_keys.pop(name, None)
            return keyless
        if provider.api_keys:
            return self._with_pool(name, provider)
        if name in self._missing_keys:
            self._warn_of_missing_key(name)
            return keyless
        key = self._written_key(name, provider)
        if key == KEYLESS:
            return keyless
        if key is None:
            key = next((value for variable in profile.env if (value := self._env.get(variable, "").strip())), None)
        if key is None and profile.env and not is_nearby(remote.host):
            self._missing_keys[name] = profile.env
            self._warn_of_missing_key(name)
        if key is None:
            return keyless
        return provider.model_copy(update={"api_key": self._checked(key, name, "api_key")})

    def _with_pool(self, name: str, provider: Provider) -> Provider:
        """The provider with those of its keys that are there, each once."""
        missing = self._missing_keys.pop(name, ())
        if missing:
            self._warnings.append(f"providers.{name}.api_keys: {missing_variables(missing)}; the other keys serve.")
        keys = dict.fromkeys(key.get_secret_value().strip() for key in provider.api_keys)
        if KEYLESS in keys:
            problem = f"{KEYLESS} is no key among others. Remove it; api_key: {KEYLESS} is for a provider without keys."
            raise self._error(problem, "providers", name, "api_keys")
        return provider.model_copy(
            update={"api_keys": tuple(self._checked(key, name, "api_keys") for key in keys)},
        )

    def _checked(self, key: str, provider: str, at: str) -> SecretStr:
        if not key.isascii() or not key.isprintable():
            raise self._error("holds characters that no header can carry.", "providers", provider, at)
        return SecretStr(key)

    def _written_key(self, name: str, provider: Provider) -> str | None:
        if provider.api_key is not None:
            return provider.api_key.get_secret_value().strip()
        if provider.api_key_file is None:
            return None
        path = self._beside(provider.api_key_file)
        self._files.append(path)
        try:
            key = path.read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(
                f"{path} cannot be read ({file_trouble(error)}). Correct the path or its permissions.",
                "providers",
                name,
                "api_key_file",
            ) from None
        if not key:
            raise self._error(f"{path} is empty. Put the key into it.", "providers", name, "api_key_file")
        return key

    def _warn_of_missing_key(self, name: str) -> None:
        self._warnings.append(f"providers.{name}: {missing_variables(self._missing_keys[name])}; its calls will fail.")


_NO_OVERRIDES: Mapping[str, str] = MappingProxyType({})


def load_config(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, str] = _NO_OVERRIDES) -> Config:
    """The configuration from a file (None: there is none), the environment, and options.

    `overrides` may hold `provider`, `base_url` and `model`, and stands above the environment, which stands above the
    file. Raises `ConfigError`.
    """
    return _Loader(path, env, overrides).load()
