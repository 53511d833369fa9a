"""Configuration: one YAML file, the environment and a few options go in; one checked, immutable `Config` comes out.

Whatever is wrong becomes a `ConfigError` with one message: the place, what is wrong there, the remedy; never a value
that might be a secret. What can only be told when a call comes (a key that is missing, no provider at all) does not
stop the loading: it is kept in the `Config` for the router to tell.
"""

from addon.config.errors import ConfigError
from addon.config.live import LiveConfig
from addon.config.loading import load_config
from addon.config.model import Clients, Config, Limits, ModelRoute, ModelTarget, Provider
from addon.config.reading import config_candidates, find_config
from addon.config.remotes import host_matches

__all__ = [
    "Clients",
    "Config",
    "ConfigError",
    "Limits",
    "LiveConfig",
    "ModelRoute",
    "ModelTarget",
    "Provider",
    "config_candidates",
    "find_config",
    "host_matches",
    "load_config",
]
