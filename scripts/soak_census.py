"""An addon for mitmdump: it writes down what is alive in the process, once that runs and whenever SIGUSR1 says so."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
from collections import Counter
from pathlib import Path

WATCHED = ("BridgeLayer", "BridgeStream", "AttemptStream", "ResponsesExchange", "HTTPFlow", "Server", "Client")


class Census:
    """Counts the objects that belong to a connection or a call."""

    def running(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self.write)
        loop.call_later(0.5, self.write)

    def write(self) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps for later use is nobody's
        alive = Counter(type(each).__name__ for each in gc.get_objects())
        report = {name: alive[name] for name in WATCHED} | {"tasks": len(asyncio.all_tasks())}
        path = Path(os.environ["SOAK_CENSUS"])
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(report))
        draft.replace(path)


addons = [Census()]
