"""A process that writes chains of responses into a file, and says so each time: python writer.py FILE NAME CHAINS."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from tests.store.builders import OWNER, message, running, said, stored

TURNS = 5
LEASE = 60


def main(path: str, name: str, chains: str) -> None:
    store = SqliteStore(Path(path), limits=Limits(), now=time.time, patience=30)
    store.leases.hold(name, LEASE)
    for number in range(int(chains)):
        write_chain(store, f"{name}.{number}", name)


def write_chain(store: SqliteStore, chain: str, name: str) -> None:
    parent = None
    for turn in range(TURNS):
        response_id = f"{chain}.{turn}"
        text = f"{response_id} " * 500
        store.responses.add(
            OWNER,
            stored(
                response_id,
                parent=parent,
                sent=[message(f"{response_id}.in", text)],
                output=[said(f"{response_id}.out")],
            ),
        )
        print(response_id, flush=True)
        parent = response_id
    store.responses.add(OWNER, running(f"{chain}.running", name))


if __name__ == "__main__":
    main(*sys.argv[1:])
