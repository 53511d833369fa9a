"""What the configuration file may say: one checked, immutable `Config`, and its sections."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from addon.config.remotes import HostPattern, Remote, fill, host_matches, remote_of
from addon.providers.platforms import Platform, builtin_platforms, profile_for, resolve
from addon.providers.profile import Profile
from addon.wire.json import MAX_DEPTH

DEFAULT_HOSTS = (
    "api.openai.com",
    *(f"{region}.api.openai.com" for region in ("us", "eu", "ae", "au", "in", "jp")),
)
KIB = 1024
MIB = 1024 * KIB


_CREDENTIAL_WORDS = frozenset({"authorization", "cookie", "apikey", "token", "secret", "password", "signature"})


def names_credential(name: str) -> bool:
    """Whether a header or parameter of this name usually carries a secret."""
    words = re.split(r"[-_]", name.lower())
    return words[-1] == "key" or not _CREDENTIAL_WORDS.isdisjoint(words)


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("is not a valid header name")
    return _not_a_credential(name)


def _not_a_credential(name: str) -> str:
    """Headers and queries are shown in flows and dumps; a key may only travel by `api_key`, which never is."""
    if names_credential(name):
        raise ValueError(
            "looks like a credential, and would be visible in recorded flows; "
            'use api_key, with overrides: {auth: "header:NAME"} if it travels in another header'
        )
    return name


def _header_value(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII text")
    return value


def _base_path(path: str) -> str:
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ValueError('must be a path such as "/v1"')
    return path.rstrip("/")


def _proxy_url(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "must not hold a user name or password; give them to mitmproxy: --set upstream_auth=USER:PASSWORD"
        )
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must be a proxy's URL without a path, such as http://proxy.example.com:3128")
    remote_of(url)
    return url


def _provider_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("is not a valid provider name; use letters, digits, '.', '_' and '-'")
    return name


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("is empty; give a key or remove the entry")
    return secret


STORES = ("sqlite", "memory", "off")
STORE_SCHEMES = ("sqlite", "redis", "rediss", "unix", "valkey", "valkeys")


def _store_name(value: object) -> object:
    """YAML 1.1 reads `off` as a word for false."""
    return "off" if value is False else value


def _known_store(name: SecretStr) -> SecretStr:
    written = name.get_secret_value()
    if written not in STORES and urlsplit(written).scheme not in STORE_SCHEMES:
        raise ValueError("must be sqlite, sqlite:///PATH, memory, off or a server's URL such as redis://HOST:6379/0")
    return name


STATE_KEY_BYTES = 32


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value().encode()) < STATE_KEY_BYTES:
        raise ValueError(f"needs at least {STATE_KEY_BYTES} characters; `openssl rand -base64 32` makes such a key")
    return key


PATIENCE_S = 300
"""Codex and clients on Node give up after so many seconds in which they hear nothing."""


def _within_patience(seconds: float) -> float:
    if seconds >= PATIENCE_S:
        raise ValueError(
            f"must be less than {PATIENCE_S}: Codex and clients on Node give up after {PATIENCE_S} s of silence"
        )
    return seconds


HeaderName: TypeAlias = Annotated[str, AfterValidator(_header_name)]
HeaderValue: TypeAlias = Annotated[str, AfterValidator(_header_value)]
QueryName: TypeAlias = Annotated[str, AfterValidator(_not_a_credential)]
BasePath: TypeAlias = Annotated[str, AfterValidator(_base_path)]
ProxyUrl: TypeAlias = Annotated[str, AfterValidator(_proxy_url)]
ProviderName: TypeAlias = Annotated[str, AfterValidator(_provider_name)]
Secret: TypeAlias = Annotated[SecretStr, AfterValidator(_not_blank)]
StoreName: TypeAlias = Annotated[SecretStr, BeforeValidator(_store_name), AfterValidator(_known_store)]
StateKey: TypeAlias = Annotated[SecretStr, AfterValidator(_long_enough)]
Silence: TypeAlias = Annotated[float, Field(gt=0), AfterValidator(_within_patience)]


HostedTool: TypeAlias = Literal[
    "web_search",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "computer",
    "shell",
    "programmatic_tool_calling",
    "*",
]
HostedAction: TypeAlias = Literal["native", "drop", "error"]
ApiMode: TypeAlias = Literal["chat", "responses", "auto"]


def _for_all(value: object) -> object:
    """One word stands for all tools."""
    return {"*": value} if isinstance(value, str) else value


class Section(
    BaseModel,
    frozen=True,
    extra="forbid",
    use_attribute_docstrings=True,
    protected_namespaces=(),
    hide_input_in_errors=True,
):
    """A part of the file: an unknown key is an error, and so is changing it after loading."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        """A key with nothing behind it is a mistake: were it the default, `allowed_remotes:` would allow everything."""
        if value is None:
            raise ValueError("is empty")
        return value


class Provider(Section):
    """Where chat/completions calls go, and how."""

    base_url: str | None = None
    """URL that `/chat/completions` is appended to; not needed when the profile knows it. May hold `{name}` places."""
    profile: str | None = None
    """A built-in profile's id, or a `.toml` file with one; default: the provider's name, else by `base_url`'s host."""
    api_key: Secret | None = None
    """The provider's key, best as `${VARIABLE}`; `none` sends no key. Default: the profile's environment variables."""
    api_keys: tuple[Secret, ...] = Field(default=(), min_length=1)
    """Several keys instead of one, best as `${VARIABLE}` each: calls take turns, and a key that is refused rests."""
    api_key_file: Path | None = None
    """File that holds the key and nothing else; relative to the configuration file."""
    headers: Mapping[HeaderName, HeaderValue] = {}
    """Extra headers of every request. Not for credentials: headers are visible in recorded flows."""
    query: Mapping[QueryName, str] = {}
    """Extra query parameters of the URL; values may hold `{name}` places."""
    vars: Mapping[str, str] = {}
    """Values for the `{name}` places of the URL, such as `resource`, `deployment` or `api_version`."""
    overrides: Mapping[str, JsonValue] = {}
    """Fields of the profile to replace."""
    max_concurrent: int | None = Field(default=None, gt=0)
    """Most calls of this provider that run at once; the others wait in line. Not given: as many as come."""
    http2: bool = False
    """Whether HTTP/2 is offered to the provider."""
    proxy: ProxyUrl | None = None
    """The HTTP proxy that leads to the provider, such as `http://proxy.example.com:3128`."""
    mode: ApiMode = "chat"
    """Which of its APIs is called: `chat`/completions, its own `responses`, or `auto`: that if it is known to work."""

    _platform: Platform | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _empty_body(cls, data: object) -> object:
        """`dashscope:` with nothing behind it is a provider with all defaults."""
        return {} if data is None else data

    @model_validator(mode="after")
    def _one_key(self) -> "Provider":
        given = [name for name in ("api_key", "api_keys", "api_key_file") if name in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(f"has both {given[0]} and {given[1]}; remove one of them")
        return self

    @property
    def keys(self) -> tuple[SecretStr, ...]:
        """All its keys, whether one was given or several."""
        return self.api_keys or (() if self.api_key is None else (self.api_key,))

    @property
    def profile_file(self) -> Path | None:
        """The file that `profile` names, as it is written there; None if it is an id."""
        return Path(self.profile) if self.profile is not None and self.profile.lower().endswith(".toml") else None

    @property
    def platform(self) -> Platform | None:
        """What was read from that file."""
        return self._platform

    def with_platform(self, platform: Platform) -> "Provider":
        """The same provider with a platform that was read from a file."""
        copy = self.model_copy()
        copy._platform = platform
        return copy


class ModelTarget(Section):
    """One place where a model may be served."""

    target: str
    """`provider/model`; `{model}` stands for the name the client asked for."""
    weight: int = Field(default=1, ge=0)
    """Share of this target with `balance: weighted`; larger is more."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: object) -> object:
        return {"target": data} if isinstance(data, str) else data

    @field_validator("target")
    @classmethod
    def _two_parts(cls, target: str) -> str:
        provider, _, model = target.partition("/")
        if not provider or not model:
            raise ValueError('must be "provider/model", for example "dashscope/qwen-turbo" or "dashscope/{model}"')
        return target

    @property
    def provider(self) -> str:
        """The name of a provider."""
        return self.target.partition("/")[0]

    def model(self, asked: str) -> str:
        """The model's name at the provider, for a client that asked for `asked`."""
        return self.target.partition("/")[2].replace("{model}", asked)


class ModelRoute(Section):
    """Where the models with one name, or the names of one glob, are served."""

    targets: tuple[ModelTarget, ...] = Field(min_length=1)
    """The targets; one that fails makes way for the next."""
    balance: Literal["order", "weighted"] = "order"
    """`order`: the first one serves, the others stand by; `weighted`: all serve, each by its share."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: object) -> object:
        match data:
            case str():
                return {"targets": [data]}
            case list():
                return {"targets": data}
            case _:
                return data


class Clients(Section):
    """Who is served."""

    keys: tuple[Secret, ...] | None = None
    """Keys of which a client must present one as its OpenAI key. Not given: everybody; an empty list: nobody."""

    def accepts(self, presented: str | None) -> bool:
        """Whether a caller with this key (the bearer token it sent) is served."""
        if self.keys is None:
            return True
        given = (presented or "").encode()
        return any(hmac.compare_digest(key.get_secret_value().encode(), given) for key in self.keys)


class Compaction(Section):
    """How long conversations are summarised when a client asks for it."""

    model: str | None = None
    """The model that writes the summaries, as a client would name it. Not given: the one that the client asks for."""


class Vision(Section):
    """What becomes of images when the routed model takes none."""

    model: str | None = None
    """The model that describes them in words, as a client would name it. Not given: a marker says one was left out."""
    per_call: int = Field(default=8, gt=0)
    """How many images are described before one call, the latest first; each takes a call of the vision model."""


class Failover(Section):
    """How far one call goes when providers fail. Clients try again themselves, so it is not far."""

    attempts: int = Field(default=3, ge=1)
    """How many targets are tried for one call, at most; another key of a provider counts as another target."""
    seconds: float = Field(default=60, gt=0)
    """After so many seconds of a call no other target is tried."""


class Keepalive(Section):
    """When a client hears something though its provider is silent, in seconds."""

    early_headers_after_s: Silence = 15
    """A stream whose provider says nothing is opened to the client after so long."""
    every_s: Silence = 15
    """Silence in an answer that has begun, until a sign of life is sent."""
    json_after_s: Silence = 240
    """An answer that is not streamed is begun with blanks after so long; its status is 200 from then on."""


class Limits(Section):
    """What a client may ask of the bridge, and what a provider may answer."""

    body_bytes: int = Field(default=64 * MIB, gt=0)
    """Largest request body, in bytes after decompression; a larger one gets a 413."""
    header_bytes: int = Field(default=64 * KIB, ge=1 * KIB)
    """Largest request head; a larger one gets a 431."""
    json_depth: int = Field(default=MAX_DEPTH, gt=0, le=MAX_DEPTH)
    """How deep objects and arrays of a request may be nested."""
    items: int = Field(default=20_000, gt=0)
    """Most input items of one request."""
    answer_bytes: int = Field(default=64 * MIB, gt=0)
    """Largest answer of a provider, in bytes after decompression."""
    event_chars: int = Field(default=16 * MIB, gt=0)
    """Largest event of a provider's stream, in characters; no line may be longer either."""
    unsent_bytes: int = Field(default=16 * MIB, gt=0)
    """How much of an answer waits for an HTTP/2 client that does not take it, before its stream is reset."""
    unread_s: float = Field(default=300, gt=0)
    """Seconds that a client may take nothing of its answer before its connection is closed."""
    concurrent_calls: int = Field(default=1024, gt=0)
    """Most calls of providers that run at once; `max_concurrent` is the same for one provider."""
    queued_calls: int = Field(default=256, ge=0)
    """Most calls that wait for one of those to end; one more gets a 429."""


class Background(Section):
    """Responses that are made without a client that waits (`background: true`)."""

    concurrent: int = Field(default=16, gt=0)
    """Most of them that are made at once."""
    queued: int = Field(default=256, ge=0)
    """Most that wait for one of those to end; one more gets a 429."""


class StoreLimits(Section):
    """How much the store keeps, and for how long. What has not been continued for longest goes first."""

    days: float = Field(default=30, gt=0)
    """Days for which a response can be retrieved and continued, and a conversation after its last change."""
    responses: int = Field(default=100_000, gt=0)
    """Most responses, those of conversations included."""
    megabytes: int = Field(default=1024, gt=0)
    """Most space that all of it takes up, in MiB."""


class Cache(Section):
    """Answers given again to identical requests, without a call of the provider."""

    ttl_s: float = Field(default=3600, gt=0)
    """Seconds for which an answer is given again."""
    shared: bool = False
    """Whether callers with different keys get each other's answers."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What loading found out besides the values themselves."""

    source: Path | None = None
    files: tuple[Path, ...] = ()
    """Files it names: with keys, and with profiles."""
    missing_keys: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Providers whose key is missing, and the variables that would hold it."""
    warnings: tuple[str, ...] = ()
    no_provider: str | None = None


class Config(Section):
    """The whole configuration, checked. Each key is described in `docs/configuration.md`."""

    providers: Mapping[ProviderName, Provider] = {}
    """The providers by name. Default: the one whose key is in the environment."""
    models: Mapping[str, ModelRoute] = {}
    """Where models are served, by the name or glob the client asks for; the first match wins."""
    allowed_remotes: tuple[HostPattern, ...] | None = None
    """Hosts that providers may have. Not given: any."""
    clients: Clients = Clients()
    """Who is served."""
    hosts: tuple[HostPattern, ...] = Field(default=DEFAULT_HOSTS, min_length=1)
    """Hosts whose traffic is intercepted; all others are tunnelled unseen."""
    base_paths: tuple[BasePath, ...] = Field(default=("/v1",), min_length=1)
    """Paths below which the API is served on the intercepted hosts."""
    unmatched: Literal["block", "forward"] = "block"
    """Other paths on intercepted hosts: `block` answers 404, `forward` lets them through to the original host."""
    traces: Literal["drop", "forward"] = "drop"
    """Traces that agent SDKs upload, with prompts in them: `drop` accepts and forgets them, `forward` lets them out."""
    hosted_tools: Annotated[Mapping[HostedTool, HostedAction], BeforeValidator(_for_all)] = {}
    """Tools that run at OpenAI, by type; `*` is the rest: the provider's own (`native`), left out, or an error."""
    check_grammars: bool = False
    """Check inputs of custom tools against their grammars and send a wrong one back to the model once, unheard."""
    check_schemas: bool = False
    """Check answers against the JSON Schema a client asks for and send a wrong one back to the model once, unheard."""
    compaction: Compaction = Compaction()
    """How long conversations are summarised when a client asks for it."""
    vision: Vision = Vision()
    """What becomes of images when the routed model takes none."""
    failover: Failover = Failover()
    """How far one call goes when providers fail."""
    keepalive: Keepalive = Keepalive()
    """When a client hears something though its provider is silent."""
    limits: Limits = Limits()
    """What a client may ask of the bridge, and what a provider may answer."""
    store: StoreName = SecretStr("sqlite")
    """Where responses and conversations are kept: `sqlite`, `sqlite:///PATH`, `memory`, `off`, or a server: `redis://…`."""
    store_limits: StoreLimits = StoreLimits()
    """How much the store keeps, and for how long."""
    state_key: StateKey | None = None
    """Signs the reasoning and summaries that clients keep; the same for all machines that are to read them."""
    cache: Cache | None = None
    """Whether answers are given again to identical requests. Not given: each request is a call of a provider."""
    background: Background = Background()
    """Responses that are made without a client that waits."""
    shutdown_grace_s: float = Field(default=30, ge=0)
    """Seconds that calls under way have to end when the bridge is told to stop."""

    _findings: Findings = PrivateAttr(default_factory=Findings)

    @model_validator(mode="after")
    def _cache_has_a_place(self) -> "Config":
        if self.cache is not None and self.store.get_secret_value() == "off":
            raise ValueError("cache needs a store to keep answers in, and store is off; say memory, at least")
        return self

    @property
    def store_is_server(self) -> bool:
        """Several machines may use the same store."""
        written = self.store.get_secret_value()
        return written not in STORES and urlsplit(written).scheme != "sqlite"

    @property
    def findings(self) -> Findings:
        """What loading found out besides the values."""
        return self._findings

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and yet worth a word in the log."""
        return self._findings.warnings

    def with_findings(self, findings: Findings) -> "Config":
        """The same values with other findings."""
        copy = self.model_copy()
        copy._findings = findings
        return copy

    def intercepts(self, host: str, port: int = 443) -> bool:
        """Whether the traffic of this host is ours."""
        return any(host_matches(pattern, host, port) for pattern in self.hosts)

    def allows_remote(self, remote: Remote) -> bool:
        """Whether a provider may be at this server."""
        if self.allowed_remotes is None:
            return True
        return any(host_matches(pattern, remote.host, remote.port) for pattern in self.allowed_remotes)

    def secrets(self) -> tuple[str, ...]:
        """Every secret in the configuration, for the redactor."""
        keys = [key for provider in self.providers.values() for key in provider.keys]
        keys += [self.state_key] if self.state_key is not None else []
        return (*(key.get_secret_value() for key in (*keys, *(self.clients.keys or ()))), *self._store_password())

    def _store_password(self) -> tuple[str, ...]:
        """As the URL has it, and as it is meant."""
        login, at, _ = urlsplit(self.store.get_secret_value()).netloc.rpartition("@")
        password = login.partition(":")[2] if at else ""
        return tuple(dict.fromkeys(each for each in (password, unquote(password)) if each))


def provider_profile(name: str, provider: Provider, model: str) -> Profile:
    """The profile that holds for one model (the provider's name of it) at a configured provider."""
    if provider.platform is not None:
        return resolve(provider.platform, model=model, overrides=provider.overrides)
    platform = provider.profile or (name if name in builtin_platforms() else None)
    return profile_for(platform, base_url=provider.base_url, model=model, overrides=provider.overrides)


def url_values(provider: Provider, model: str) -> Mapping[str, str]:
    """What the `{name}` places of a provider's URL stand for."""
    return {"model": model, "deployment": model, **provider.vars}


def base_url_for(provider: Provider, profile: Profile, model: str) -> str | None:
    """The provider's base URL with every place filled in, or None if neither it nor its profile has one."""
    template = provider.base_url or profile.base_url
    if template is None:
        return None
    return fill(template, {name: quote(value, safe="") for name, value in url_values(provider, model).items()})


def missing_variables(names: Sequence[str]) -> str:
    """Half a sentence on variables that would hold a key and do not."""
    if len(names) == 1:
        return f"the environment variable {names[0]} is not set"
    return f"none of the environment variables {', '.join(names)} is set"
