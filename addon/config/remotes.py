"""Hosts and URLs: which server a URL leads to, and whether a list of hosts means it. Never by substring."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator


class Remote(NamedTuple):
    """The server a URL leads to."""

    scheme: str
    host: str
    port: int


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_PATTERN = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]{1,5}))?")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None or _ip(host) is not None


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return None


def host_pattern(text: str) -> str:
    """Check one entry of a host list and give it in lower case."""
    pattern = text.strip().lower()
    if _ip(pattern) is not None and ":" in pattern:
        return f"[{pattern.strip('[]')}]"
    parts = _PATTERN.fullmatch(pattern)
    if parts is None or not _is_host(parts["host"].removeprefix("*.")):
        raise ValueError('must be a host: "api.example.com", "*.example.com" or "api.example.com:8443", nothing more')
    return pattern


HostPattern: TypeAlias = Annotated[str, AfterValidator(host_pattern)]


def host_matches(pattern: str, host: str, port: int) -> bool:
    """Whether a checked entry of a host list means this server; `*.` stands for one label or more, in front only."""
    parts = _PATTERN.fullmatch(pattern)
    if parts is None or parts["port"] not in (None, str(port)):
        return False
    wanted, host = parts["host"].strip("[]"), host.lower().rstrip(".").strip("[]")
    if wanted.startswith("*."):
        return host.endswith(wanted.removeprefix("*")) and host != wanted.removeprefix("*")
    return host == wanted


def remote_of(url: str) -> Remote:
    """The server of an http(s) URL; a ValueError says what the URL lacks."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise ValueError("is not a valid URL; write https://host/path") from error
    if parts.scheme not in ("http", "https") or not _is_host(host):
        raise ValueError("must be an http:// or https:// URL with a host, such as https://api.example.com/v1")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password; the key belongs in api_key")
    if parts.fragment:
        raise ValueError("must not have a fragment (#…); remove it")
    return Remote(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def placeholders(template: str) -> tuple[str, ...]:
    """The names of the `{name}` places in a URL template."""
    return tuple(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the `{name}` places of a template; an unknown name stays as it is."""
    return _PLACEHOLDER.sub(lambda place: values.get(place[1], place[0]), template)


def is_loopback(host: str) -> bool:
    address = _ip(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def is_nearby(host: str) -> bool:
    """Whether a host looks like a server of one's own, which usually asks for no key."""
    address = _ip(host)
    if address is not None:
        return address.is_private
    return "." not in host or host.endswith((".localhost", ".local", ".lan", ".internal"))
