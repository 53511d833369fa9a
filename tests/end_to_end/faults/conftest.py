"""The whole matrix is run once, many calls at a time, against one bridge; the tests look at what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.faults.callers import Heard, call
from tests.end_to_end.faults.servers import Servers, all_servers
from tests.end_to_end.faults.table import LIMITS, Cell
from tests.end_to_end.original import standing_in
from tests.end_to_end.process import Bridge, eventually, launch

AT_ONCE = 16
WELL = "well"
"""A model that the second target serves alone."""


def configuration(cells: Sequence[Cell], servers: Servers, **more: object) -> str:
    """A provider of its own for each cell, so that none suffers for what another has met. `more`: further keys."""
    providers: dict[str, Any] = {
        cell.id: {
            "base_url": servers.base_url(cell.fault.at, cell.number),
            "api_key": f"key-of-{cell.number:08}",
            "profile": "generic",
            "overrides": {**cell.fault.patience, **({"stream_mode": "always"} if cell.fault.streamed else {})},
        }
        for cell in cells
    }
    well = {"base_url": servers.well.base_url, "api_key": "key-of-the-second", "profile": "generic"}
    second = f"{WELL}/{{model}}"
    models = {cell.id: [f"{cell.id}/{{model}}", *([second] if cell.second else [])] for cell in cells}
    return json.dumps({"providers": {**providers, WELL: well}, "models": {**models, WELL: second}, **more})


@dataclass(frozen=True)
class Matrix:
    """What came of the cells that were asked for."""

    heard: Mapping[Cell, Future[Heard]]
    open_files: int
    """How many files the bridge had open before the first of them."""

    def __getitem__(self, cell: Cell) -> Heard:
        return self.heard[cell].result()


@pytest.fixture(scope="package")
def cells(request: pytest.FixtureRequest) -> Sequence[Cell]:
    """Those that a test of this run looks at."""
    calls = [item.callspec for item in request.session.items if hasattr(item, "callspec")]
    wanted = {each.params["cell"] for each in calls if isinstance(each.params.get("cell"), Cell)}
    return sorted(wanted, key=lambda cell: cell.number)


@pytest.fixture(scope="package")
def servers(confdir: Path) -> Iterator[Servers]:
    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127.0.0.0/8 without being asked")
    with all_servers(confdir) as servers:
        yield servers


@pytest.fixture(scope="package")
def bridge(
    cells: Sequence[Cell], servers: Servers, confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bridge]:
    with running(configuration(cells, servers, limits=LIMITS), confdir, tmp_path_factory.mktemp("faults")) as bridge:
        yield bridge


@contextmanager
def running(config: str, confdir: Path, folder: Path) -> Iterator[Bridge]:
    """A bridge while the block runs, and a look through its log when it has ended."""
    (folder / "bridge.yaml").write_text(config, "utf-8")
    with standing_in(confdir) as original:
        bridge = launch(folder, confdir, addons=["redirect"], env={"ORIGINAL_PORT": str(original.port)})
        try:
            assert bridge.address
            yield bridge
        finally:
            bridge.stop()
    bridge.assert_sound()
    assert original.untouched, original.requests


@pytest.fixture(scope="package")
def matrix(cells: Sequence[Cell], servers: Servers, bridge: Bridge) -> Matrix:
    open_files = _after_warming_up(bridge, servers)
    for cell in cells:
        servers.provider.script(cell.id, cell.fault.does)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        heard = {
            cell: pool.submit(call, bridge, cell.id, stream=cell.stream, http2=cell.http2, next_model=WELL)
            for cell in cells
        }
        wait(heard.values())
    return Matrix(heard, open_files)


def _after_warming_up(bridge: Bridge, servers: Servers) -> int:
    """How many files are open once what is opened for good has been opened, and the first clients have gone."""
    sockets = bridge.open_sockets()
    for http2 in (False, True):
        call(bridge, WELL, stream=True, http2=http2, next_model=WELL)
    eventually(lambda: bridge.open_sockets() <= sockets, "the first clients have gone")
    eventually(lambda: servers.open_connections == 0, "the providers have seen that")
    return len(bridge.open_files())
