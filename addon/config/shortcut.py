"""One provider for everything, named by the environment or by options in place of a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import SecretStr

from addon.config.errors import ConfigError
from addon.config.model import Provider
from addon.config.remotes import placeholders
from addon.providers.platforms import builtin_platforms

CLIENTS_OWN = "OPENAI_API_KEY"
"""A variable that is set for the client's sake, and so says nothing about the provider that is wanted."""

OTHER_USES = frozenset({CLIENTS_OWN, "GITHUB_TOKEN"})
"""Variables that are set for something else than a model on many machines."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One provider for everything, named outside the file: by options first, by the environment second."""

    provider: str | None
    base_url: str | None
    model: str | None
    api_key: SecretStr | None
    names: Mapping[str, str]
    """What each setting is called where it was made, for messages."""

    @classmethod
    def read(cls, env: Mapping[str, str], overrides: Mapping[str, str]) -> "Shortcut":
        """Keys are not taken from options: these show in process lists."""
        settings = ("provider", "base_url", "model")
        unknown = [name for name in overrides if name not in settings]
        if unknown:
            raise ConfigError(f"option bridge_{unknown[0]}: unknown. Known: {', '.join(settings)}.")
        values = {name: overrides.get(name) or env.get(f"BRIDGE_{name.upper()}") or None for name in settings}
        key = env.get("BRIDGE_API_KEY", "").strip()
        return cls(
            **values,
            api_key=SecretStr(key) if key else None,
            names={
                name: f"option bridge_{name}" if overrides.get(name) else f"BRIDGE_{name.upper()}" for name in settings
            },
        )

    def error(self, setting: str, problem: str) -> ConfigError:
        """The error for one setting, under the name it was made by."""
        return ConfigError(f"{self.names[setting]}: {problem}")


class Choice(NamedTuple):
    """The provider that serves everything."""

    name: str
    provider: Provider


def keys_in(env: Mapping[str, str]) -> Mapping[str, str]:
    """Built-in platforms that can be used with nothing but a key from the environment, and the key's variable.

    Of platforms that share a variable, the first.
    """
    found: dict[str, str] = {}
    for platform in builtin_platforms().values():
        variable = next((name for name in platform.env if env.get(name, "").strip()), None)
        usable = platform.base_url is not None and not placeholders(platform.base_url)
        if usable and variable is not None and variable not in (*OTHER_USES, *found.values()):
            found[platform.id] = variable
    return found


def no_provider(env: Mapping[str, str]) -> str:
    """Why nothing is served, and what to do about it."""
    found = keys_in(env)
    if found:
        choices = ", ".join(f"{platform} ({variable})" for platform, variable in found.items())
        return f"Keys of several providers are in the environment: {choices}. Set BRIDGE_PROVIDER to one of them."
    hint = f" {CLIENTS_OWN} alone does not count; with BRIDGE_PROVIDER=openai it does." if CLIENTS_OWN in env else ""
    return (
        "No provider is configured. Set the key of a provider (for example DASHSCOPE_API_KEY), or BRIDGE_BASE_URL and "
        f"BRIDGE_API_KEY, or write a bridge.yaml, and restart the bridge.{hint}"
    )
