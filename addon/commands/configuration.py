"""The configuration that the bridge will find: from mitmproxy's options, the environment and the file they lead to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from addon.commands import CommandError
from addon.config import Config, ConfigError, find_config, load_config

DEFAULT_CONFDIR = "~/.mitmproxy"
"""mitmproxy's own default."""

BRIDGE_OPTIONS = ("bridge_config", "bridge_provider", "bridge_model", "bridge_base_url")
"""Options that the bridge adds to mitmproxy's, which takes a misspelt one without a word."""


@dataclass(frozen=True)
class MitmproxyOptions:
    """What the bridge's commands have to know of the options for mitmproxy."""

    confdir: Path
    port: int | None
    mode: str | None
    settings: Mapping[str, str]
    """What `--set name=value` says."""

    @classmethod
    def read(cls, arguments: Sequence[str]) -> MitmproxyOptions:
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--set", action="append", default=[])
        parser.add_argument("-p", "--listen-port", type=int)
        parser.add_argument("--listen-host")
        parser.add_argument("-m", "--mode")
        known, _ = parser.parse_known_args(arguments)
        settings = {name: value for name, _, value in (setting.partition("=") for setting in known.set)}
        if known.listen_host:
            settings["listen_host"] = known.listen_host
        return cls(
            confdir=Path(settings.get("confdir", DEFAULT_CONFDIR)).expanduser(),
            port=known.listen_port,
            mode=known.mode,
            settings=settings,
        )


def loaded(settings: Mapping[str, str], environment: Mapping[str, str]) -> Config:
    """The configuration under these options of mitmproxy; without any models where nothing names a provider.

    Raises:
        CommandError: there is a mistake in it. The bridge would refuse every call.
    """
    misspelt = [name for name in settings if name.startswith("bridge_") and name not in BRIDGE_OPTIONS]
    if misspelt:
        raise CommandError(f"there is no option {misspelt[0]}. The bridge has: {', '.join(BRIDGE_OPTIONS)}")
    overrides = {
        name: settings[f"bridge_{name}"] for name in ("provider", "base_url", "model") if f"bridge_{name}" in settings
    }
    try:
        path = find_config(settings.get("bridge_config", ""), environment, Path.cwd(), Path.home())
        return load_config(path, environment, overrides)
    except ConfigError as error:
        raise CommandError(str(error)) from error
