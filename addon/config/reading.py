"""From a path to a checked `Config`: finding the file, YAML, `${VARIABLE}`, and errors in plain words.

No message quotes a value, which might be a secret; nor does it quote the YAML parser, which quotes the file.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

from addon.config.errors import ConfigError, KeyPath, did_you_mean, file_trouble, problem_at
from addon.config.model import (
    Clients,
    Compaction,
    Config,
    Failover,
    Keepalive,
    Limits,
    ModelRoute,
    ModelTarget,
    Provider,
    Section,
    StoreLimits,
    Vision,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def config_candidates(env: Mapping[str, str], cwd: Path, home: Path, option: str = "") -> tuple[Path, ...]:
    """The files that may hold the configuration, best first; only one if it is named by the option or variable."""
    named = option or env.get("BRIDGE_CONFIG", "")
    if named:
        return (_expand_user(named, cwd, home),)
    return (cwd / "bridge.yaml", home / ".config" / "responses-bridge" / "bridge.yaml")


def find_config(option: str, env: Mapping[str, str], cwd: Path, home: Path) -> Path | None:
    """The configuration file to use; None if there is none, an error if one was named and is not there."""
    candidates = config_candidates(env, cwd, home, option)
    found = next((path for path in candidates if path.is_file()), None)
    if found is None and (option or env.get("BRIDGE_CONFIG")):
        named_by = "option bridge_config" if option else "BRIDGE_CONFIG"
        raise ConfigError(f"{named_by}: there is no file {candidates[0]}. Correct the path, or remove the setting.")
    return found


def _expand_user(path: str, cwd: Path, home: Path) -> Path:
    return home / path.removeprefix("~/") if path.startswith("~/") else cwd / path


def read_yaml(path: Path) -> object:
    """What a YAML file holds, in plain dicts, lists and scalars."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({file_trouble(error)}). Correct the file or its permissions."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)  # the warning would quote the file
            document: object = YAML(typ="safe", pure=True).load(text)
    except ReusedAnchorWarning:
        raise ConfigError(f"{path}: the same &anchor is there twice. Give them different names.") from None
    except DuplicateKeyError as error:
        raise ConfigError(f"{path}: {_line(error)}a key is there twice. Remove one of the two.") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {_line(error)}not valid YAML: {_yaml_problem(error)}.") from None
    return document


def _line(error: Exception) -> str:
    """Where the parser stopped. Not its own text of the place: that quotes the file, keys and all."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: "
    return ""


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem:
        return re.sub(r"""(['"]).{2,}\1""", "…", error.problem, flags=re.DOTALL)
    return "it holds a character or value that YAML does not allow; put the value in quotes"


_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>[^}]*))?\}|\$\{")


def _is_provider_key(at: KeyPath) -> bool:
    """A provider's key may be missing: only the calls that need it fail then."""
    match at:
        case ("providers", _, "api_key") | ("providers", _, "api_keys", _):
            return True
    return False


class Expansion:
    """Puts environment variables into the strings of a document, and remembers which keys lack theirs.

    A key that lacks its variable is left out, and so is a list of keys of which none is left.
    """

    def __init__(self, env: Mapping[str, str], source: str) -> None:
        self._env = env
        self._source = source
        self.missing_keys: dict[str, tuple[str, ...]] = {}

    def expand(self, value: object, at: KeyPath = ()) -> object:
        """The value with every string in it expanded."""
        match value:
            case str():
                return self._text(value, at)
            case dict():
                expanded = {key: self.expand(item, (*at, key)) for key, item in value.items()}
                return {key: item for key, item in expanded.items() if item is not None or value[key] is None}
            case list():
                items = [(self.expand(item, (*at, index)), item) for index, item in enumerate(value)]
                expanded_items = [item for item, written in items if item is not None or written is None]
                return expanded_items if expanded_items or not value else None
            case _:
                return value

    def _text(self, text: str, at: KeyPath) -> str | None:
        unset: list[str] = []

        def replacement(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match[0] == "$${":
                return "${"
            if name is None:
                raise problem_at(self._source, at, "a ${ is not a variable. Write ${NAME}, ${NAME:-default}, or $${.")
            value = self._env.get(name)
            if not value and default is not None:
                return str(default)
            if value is None or (not value.strip() and _is_provider_key(at)):
                unset.append(name)
            return value or ""

        expanded = _VARIABLE.sub(replacement, text)
        if not unset:
            return expanded
        if not _is_provider_key(at):
            raise problem_at(
                self._source,
                at,
                f"the environment variable {unset[0]} is not set. Set it, or give a default: ${{{unset[0]}:-…}}.",
            )
        provider = str(at[1])
        self.missing_keys[provider] = (*self.missing_keys.get(provider, ()), *unset)
        return None


_PLAIN_WORDS = {
    "string_type": "must be text. Put the value in quotes.",
    "dict_type": "must be a mapping (lines of key: value).",
    "mapping_type": "must be a mapping (lines of key: value).",
    "model_type": "must be a mapping (lines of key: value).",
    "tuple_type": "must be a list.",
    "too_short": "is an empty list. Add an entry, or remove the key.",
    "missing": "is missing. Add it.",
}


def validated(document: object, source: str) -> Config:
    """The document as a `Config`, or one error that tells all that is wrong, a line each."""
    if document is None:
        return Config()
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: must be a mapping (lines of key: value) at the top.")
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    problems = [_explained(detail, document) for detail in details if not _follows(detail, details)]
    lines = dict.fromkeys(str(problem_at(source, at, problem)) for at, problem in problems)
    raise ConfigError("\n".join(lines))


def _follows(detail: "ErrorDetails", details: Sequence["ErrorDetails"]) -> bool:
    """Whether a list only counts as too short because of entries that are told as wrong anyway."""
    at = detail["loc"]
    deeper = (other["loc"] for other in details if len(other["loc"]) > len(at))
    return detail["type"] == "too_short" and any(loc[: len(at)] == at for loc in deeper)


def _explained(detail: "ErrorDetails", document: object) -> tuple[KeyPath, str]:
    at = tuple(part for part in detail["loc"] if part != "[key]")
    written, value = _as_written(document, at)
    if detail["type"] == "missing":
        return at, _PLAIN_WORDS["missing"]
    if detail["type"] == "extra_forbidden":
        return at, f"unknown key.{did_you_mean(str(at[-1]), _known_keys(at[:-1]))}"
    if detail["type"] == "literal_error" and detail["loc"][-1] == "[key]":
        return at, f"unknown key.{did_you_mean(str(at[-1]), _choices(detail))}"
    if value is None:
        return written, "is empty. Give it a value, or remove the key."
    return written, _in_words(detail, value)


def _in_words(detail: "ErrorDetails", value: object) -> str:
    if detail["type"] == "literal_error":
        choices = _choices(detail)
        return f"must be {' or '.join(choices)}.{did_you_mean(str(value), choices, listed=False)}"
    if detail["type"] in _PLAIN_WORDS:
        return _PLAIN_WORDS[detail["type"]]
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{message}."


def _choices(detail: "ErrorDetails") -> list[str]:
    return re.findall(r"'([^']*)'", detail["msg"])


def _as_written(document: object, at: KeyPath) -> tuple[KeyPath, object]:
    """How far a path exists in the document (short forms are shallower than the model), and what is there."""
    value = document
    for depth, part in enumerate(at):
        match value:
            case dict() if part in value:
                value = value[part]
            case list() if isinstance(part, int) and part < len(value):
                value = value[part]
            case _:
                return at[:depth], value
    return at, value


def _known_keys(at: KeyPath) -> Sequence[str]:
    section: type[Section]
    match at:
        case ("providers", _):
            section = Provider
        case ("models", _):
            section = ModelRoute
        case ("models", *_):
            section = ModelTarget
        case (name,) if isinstance(name, str):
            section = _SECTIONS.get(name, Config)
        case _:
            section = Config
    return tuple(section.model_fields)


_SECTIONS: Mapping[str, type[Section]] = {
    "clients": Clients,
    "compaction": Compaction,
    "vision": Vision,
    "failover": Failover,
    "keepalive": Keepalive,
    "limits": Limits,
    "store_limits": StoreLimits,
}
