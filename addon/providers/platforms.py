"""From a platform, a base URL and a model to the profile that holds for them.

Layers, later ones winning field by field: `generic.toml` ← lineage rules ← the platform's file ← its `[[model]]` rules
← the user's overrides. A field is replaced whole: lists and tables are not merged. Lineage rules know what a family of
weights needs wherever it runs. They apply to unknown servers and to platforms that say `inherit_lineage`; they stand
below the platform because each host switches the same weights in its own way.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from addon.providers.profile import Profile, ProfileError

GENERIC = "generic"
"""Id of the platform for servers nobody knows; its file is the lowest layer of every profile."""

_LINEAGE_FILE = "lineage.toml"
_RULE_KEYS = frozenset({"match", "evidence", "checked"})
_PLATFORM_KEYS = frozenset({"base", "inherit_lineage", "evidence", "checked", "model"})
_IDENTITY = frozenset({"id", "label", "hosts", "env"})

Fields: TypeAlias = Mapping[str, object]
"""Profile fields that one layer states, by name, as read from TOML or YAML."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Globs: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_as_list), Field(min_length=1)]


class Provenance(BaseModel, frozen=True, extra="forbid"):
    """How a set of values is known, and when that was last looked at."""

    evidence: Text
    checked: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]


class Rule(Provenance, frozen=True):
    """Fields that hold for the models whose id matches one of the globs, in any case."""

    match: Globs
    fields: Fields

    def applies_to(self, model: str) -> bool:
        """Whether the provider's id of a model is meant by this rule."""
        return any(fnmatchcase(model.lower(), glob.lower()) for glob in self.match)


class _Head(Provenance, frozen=True):
    """The keys of a platform file that are not profile fields."""

    base: str | None = None
    inherit_lineage: bool = False
    model: tuple[dict[str, object], ...] = ()


class _Lineage(BaseModel, frozen=True, extra="forbid"):
    lineage: tuple[dict[str, object], ...]


@dataclass(frozen=True, eq=False)
class Platform:
    """One platform file, its `base` folded in: who the provider is, what it states, and its rules per model."""

    id: str
    label: str
    hosts: tuple[str, ...]
    base_url: str | None
    env: tuple[str, ...]
    auth: str
    evidence: str
    checked: str
    inherit_lineage: bool
    stated: Fields
    """The profile fields the platform sets for all its models."""
    rules: tuple[Rule, ...]
    """What holds for some of its models only, in order."""


def profile_for(
    platform: str | None,
    *,
    base_url: str | None = None,
    model: str,
    overrides: Fields | None = None,
) -> Profile:
    """The profile for a model: of the platform named, else of the one the base URL's host belongs to, else generic.

    `model` is the id the provider knows. Equal arguments give the same object.
    """
    chosen = platform_named(platform) if platform is not None else platform_at(base_url)
    return resolve(chosen, model=model, overrides=overrides)


def resolve(platform: Platform, *, model: str, overrides: Fields | None = None) -> Profile:
    """The profile of a model at a platform, which may come from a user's own file."""
    try:
        key = json.dumps(overrides or {}, sort_keys=True)
    except TypeError as error:
        raise ProfileError(f"overrides: {error}; use text, numbers, true/false, lists and tables") from error
    return _resolve(platform, model, key)


@lru_cache(maxsize=1024)
def _resolve(platform: Platform, model: str, overrides_json: str) -> Profile:
    overrides: dict[str, object] = json.loads(overrides_json)
    _validated(overrides, where="overrides", forbidden=frozenset({"id"}))
    layers = [*_base_layers(platform, model), overrides]
    merged = {name: value for layer in layers for name, value in layer.items()}
    return Profile.model_validate(merged)


def _base_layers(platform: Platform, model: str) -> Iterable[Fields]:
    generic = builtin_platforms()[GENERIC]
    known = platform is not generic
    yield generic.stated
    if platform.inherit_lineage or not known:
        yield from (rule.fields for rule in _lineage_rules() if rule.applies_to(model))
    if known:
        yield platform.stated
    yield from (rule.fields for rule in platform.rules if rule.applies_to(model))


def platform_named(name: str) -> Platform:
    """The built-in platform with this id."""
    platforms = builtin_platforms()
    if name not in platforms:
        raise ProfileError(f"unknown profile {name!r}{_suggestion(name, platforms)}; built-in: {', '.join(platforms)}")
    return platforms[name]


def platform_at(base_url: str | None) -> Platform:
    """The built-in platform that a base URL belongs to; generic when none claims its host."""
    platforms = builtin_platforms()
    claims = [
        (len(entry), platform)
        for platform in platforms.values()
        for entry in platform.hosts
        if _claims(entry, base_url)
    ]
    return max(claims, key=lambda claim: claim[0])[1] if claims else platforms[GENERIC]


def _claims(entry: str, base_url: str | None) -> bool:
    """Whether a `hosts` entry (a host, or a host and the start of a path) covers the URL, label by label."""
    if base_url is None:
        return False
    try:
        url = urlsplit(base_url)
    except ValueError:
        return False
    host = (url.hostname or "").rstrip(".")
    owner, _, path = entry.partition("/")
    same_host = host == owner or host.endswith(f".{owner}")
    return same_host and f"{url.path}/".startswith(f"/{path}/" if path else "/")


@cache
def builtin_platforms() -> Mapping[str, Platform]:
    """All built-in platforms by id, in alphabetical order."""
    return MappingProxyType({name: _builtin(name) for name in _builtin_ids()})


def _folder() -> Traversable:
    return resources.files("addon.providers")


@cache
def _builtin_ids() -> tuple[str, ...]:
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml") and n != _LINEAGE_FILE))


@cache
def _builtin(name: str) -> Platform:
    file_name = f"{name}.toml"
    return _platform(_parse((_folder() / file_name).read_text("utf-8"), file_name), file_name)


@cache
def _lineage_rules() -> tuple[Rule, ...]:
    data = _parse((_folder() / _LINEAGE_FILE).read_text("utf-8"), _LINEAGE_FILE)
    sections = _checked(_Lineage, data, _LINEAGE_FILE).lineage
    return tuple(_rule(section, f"{_LINEAGE_FILE}: [[lineage]]") for section in sections)


def load_platform_file(path: Path) -> Platform:
    """Read and check one platform file; a `base` in it names a built-in platform."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: is not UTF-8 text; save it as such") from error
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read ({error.strerror}); correct the path or its permissions") from error
    return _platform(_parse(text, str(path)), str(path))


def _parse(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ProfileError(f"{source}: is nested too deeply; write it out flat") from error


def _platform(data: dict[str, object], source: str) -> Platform:
    head = _checked(_Head, {key: value for key, value in data.items() if key in _PLATFORM_KEYS}, source)
    own = {key: value for key, value in data.items() if key not in _PLATFORM_KEYS}
    _validated(own, where=source)
    if "id" not in own:
        raise ProfileError(f"{source}: 'id' is missing; add id = \"…\", the name the configuration uses")
    base = _base(head.base, source)
    stated = {**base.stated, **own} if base else own
    rules = tuple(_rule(section, f"{source}: [[model]]") for section in head.model)
    profile = Profile.model_validate(stated)
    return Platform(
        id=profile.id,
        label=profile.label,
        hosts=profile.hosts,
        base_url=profile.base_url,
        env=profile.env,
        auth=profile.auth,
        evidence=head.evidence,
        checked=head.checked,
        inherit_lineage=head.inherit_lineage or (base is not None and base.inherit_lineage),
        stated=MappingProxyType(stated),
        rules=(*base.rules, *rules) if base else rules,
    )


def _base(name: str | None, source: str) -> Platform | None:
    if name is None:
        return None
    known = _builtin_ids()
    if name not in known:
        hint = _suggestion(name, known)
        raise ProfileError(f"{source}: base {name!r} is not a built-in platform{hint}; built-in: {', '.join(known)}")
    return _builtin(name)


def _rule(section: dict[str, object], where: str) -> Rule:
    where = f"{where} match={section.get('match')!r}"
    fields = {key: value for key, value in section.items() if key not in _RULE_KEYS}
    _validated(fields, where=where, forbidden=_IDENTITY)
    head = {key: value for key, value in section.items() if key in _RULE_KEYS}
    return _checked(Rule, {**head, "fields": fields}, where)


def _validated(fields: Fields, *, where: str, forbidden: frozenset[str] = frozenset()) -> None:
    """Check one layer by itself, so that a mistake is told with the place where it was made."""
    for name in fields:
        if name not in Profile.model_fields:
            hint = _suggestion(name, Profile.model_fields)
            raise ProfileError(f"{where}: unknown field {name!r}{hint}; docs/profiles.md lists the fields")
        if name in forbidden:
            raise ProfileError(f"{where}: {name!r} belongs to the platform and cannot be set here; remove it")
    _checked(Profile, fields, where)


def _checked(model: type[ModelT], data: Fields, where: str) -> ModelT:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{where}: {field!r}: {first['msg']}; docs/profiles.md tells what it accepts") from error


def _suggestion(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
