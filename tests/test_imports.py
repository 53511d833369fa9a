"""The rooms of the house: who may import whom. What is imported is read from the source; nothing is run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = {
    "addon.wire": (),
    "addon.providers": ("addon.wire",),
    "addon.config": ("addon.wire", "addon.providers"),
    "addon.routing": ("addon.wire", "addon.providers", "addon.config"),
    "addon.store": ("addon.wire",),
    "addon.observe": ("addon.wire",),
    "addon.state": ("addon.wire", "addon.config", "addon.store", "addon.translate"),
    "addon.endpoints": (
        "addon.wire", "addon.routing", "addon.store", "addon.translate", "addon.state", "addon.background",
        "addon.actions", "addon.client_answer", "addon.exchange",
    ),
    "addon.background": (
        "addon.wire", "addon.config", "addon.store", "addon.translate", "addon.state",
        "addon.actions", "addon.client_answer", "addon.exchange",
    ),
    "addon.translate": ("addon.wire", "addon.providers.profile"),
    "addon.proxy": (
        "addon.wire", "addon.config", "addon.routing", "addon.store", "addon.observe", "addon.translate.errors",
        "addon.actions", "addon.exchange", "addon.service", "addon.endpoints", "addon.state", "addon.background",
        "addon.experience", "addon.health",
    ),
    "addon.bridge": ("addon.proxy",),
    "addon.cli": ("addon", "addon.commands", "addon.demo"),
    "addon.commands": (
        "addon", "addon.demo", "addon.wire", "addon.config", "addon.routing", "addon.providers", "addon.store",
        "addon.observe", "addon.state", "addon.experience", "addon.service", "addon.sharing",
        "addon.direct_calls", "addon.probes", "addon.live_check",
    ),
    "addon.live_check": (
        "addon.wire", "addon.config", "addon.actions", "addon.exchange", "addon.service", "addon.direct_calls",
        "addon.probes",
    ),
    "addon.direct_calls": ("addon.actions", "addon.exchange"),
    "addon.probes": ("addon.wire", "addon.providers.profile"),
    "addon.demo": (),
}  # fmt: skip
"""What each room may import, apart from itself."""

CALL = tuple(
    f"addon.{name}"
    for name in (
        "actions", "client_answer", "health", "selection", "tries", "experience", "watch", "exchange", "chat_exchange",
        "preceding", "compacting", "checking", "caching", "place", "calls", "sharing", "service",
    )
)  # fmt: skip
BELOW_CALL = tuple(
    f"addon.{room}"
    for room in (
        "wire",
        "translate",
        "providers",
        "config",
        "routing",
        "store",
        "observe",
        "state",
        "background",
        "endpoints",
    )
)

PURE = ("addon.wire", "addon.translate", "addon.probes")
OUTSIDE_WORLD = frozenset(
    {
        "asyncio", "datetime", "http", "mitmproxy", "multiprocessing", "os", "random", "secrets", "select", "selectors",
        "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "uuid",
    }
)  # fmt: skip
"""Modules that know a clock, chance, the environment, the network or the proxy."""


@dataclass(frozen=True)
class Import:
    module: str
    """As exact as the source says: `from addon.wire import json` is of `addon.wire.json`."""
    inner: bool
    """It stands in a function, so it happens only when that is called."""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "addon").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_in(tree: ast.AST, inner: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, inner) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from (Import(exactly(module, alias.name), inner) for alias in names)
            case ast.ImportFrom():
                pytest.fail("relative import")
            case _:
                yield from imports_in(node, inner or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def exactly(module: str, name: str) -> str:
    return f"{module}.{name}" if f"{module}.{name}" in MODULES else module


def imports_of(module: str) -> list[Import]:
    return list(imports_in(ast.parse(MODULES[module].read_text("utf-8"))))


def within(module: str, room: str) -> bool:
    """`addon` itself is a room with nothing in it but the version."""
    return module == room or (room != "addon" and module.startswith(f"{room}."))


def allowed_in(module: str) -> tuple[str, ...] | None:
    if module == "addon":
        return ()
    if module in CALL:
        return (*CALL, *BELOW_CALL)
    return next(((room, *others) for room, others in ROOMS.items() if within(module, room)), None)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_lies_below_it(module: str) -> None:
    allowed = allowed_in(module)
    assert allowed is not None, "a new room: say above what it may import"
    ours = {found.module for found in imports_of(module)} & MODULES.keys()
    assert not [name for name in ours if not any(within(name, room) for room in allowed)]


def test_no_modules_import_each_other_in_a_ring() -> None:
    graph = {module: {found.module for found in imports_of(module)} & MODULES.keys() for module in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", [name for name in MODULES if any(within(name, room) for room in PURE)])
def test_conversion_knows_no_outside_world(module: str) -> None:
    roots = {found.module.split(".")[0] for found in imports_of(module)}
    assert not roots & OUTSIDE_WORLD


@pytest.mark.parametrize("module", [name for name in MODULES if not within(name, "addon.proxy")])
def test_mitmproxy_stays_in_the_proxy_rooms(module: str) -> None:
    of_mitmproxy = [found for found in imports_of(module) if within(found.module, "mitmproxy")]
    if module == "addon.commands.authority":  # only where it makes mitmproxy's CA; the other commands do without
        of_mitmproxy = [found for found in of_mitmproxy if not found.inner]
    assert module == "addon.bridge" or not of_mitmproxy


def test_what_is_read_is_what_is_imported() -> None:
    source = "import os.path\nfrom addon.wire import json\ndef f():\n    from mitmproxy import http, ctx\n"
    assert list(imports_in(ast.parse(source))) == [
        Import("os.path", inner=False),
        Import("addon.wire.json", inner=False),
        Import("mitmproxy", inner=True),
        Import("mitmproxy", inner=True),
    ]
