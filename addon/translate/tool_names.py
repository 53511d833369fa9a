"""A tool as the client knows it → its name at the provider: legal, and the same whenever it is asked for."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeAlias

from addon.translate.native_tools import NativeKind

Kind: TypeAlias = Literal["function", "custom", "tool_search"] | NativeKind
Identity: TypeAlias = tuple[Kind, str | None, str]
"""What makes a tool the client's: kind, namespace, name."""
TOOL_SEARCH: Final = "tool_search"
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


def plain_name(identity: Identity, limit: int) -> str:
    """`namespace__name` where that is a legal name, else the nearest legal one."""
    full = full_name(identity)
    legal = 0 < len(full) <= limit and not _ILLEGAL.search(full)
    return full if legal else hashed_name(identity, limit, 0)


def hashed_name(identity: Identity, limit: int, attempt: int) -> str:
    """A legal name that depends on nothing but the tool, and is hardly another's."""
    kind, namespace, name = identity
    key = "\0".join((kind, namespace or "", name, *("again",) * attempt))
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = _ILLEGAL.sub("_", full_name(identity))[: limit - len(mark) - 1]
    return f"{head or 'tool'}_{mark}"


def full_name(identity: Identity) -> str:
    _, namespace, name = identity
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
